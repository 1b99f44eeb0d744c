"""ReCon as implemented in its published code, with the same weights.

See :mod:`.published`.
"""

import numpy as np
import torch

from mmkd3d.models.backbones.recon_transformer import CrossAttention
from mmkd3d.models.data_preprocessor import RandomRotation
from mmkd3d.models.layers.patches import PatchGroup
from mmkd3d.models.targets.text import TextTarget

from .ops import squared_distance
from .published import PublishedBatchNorm, PublishedMasker, PublishedPatchEmbed


class PublishedPatchGroup(PatchGroup):
    """Finds neighbours in a full table of expanded squared distances."""

    def neighbors(self, points, centers):
        return (
            squared_distance(centers, points)
            .topk(self.group_size, largest=False, sorted=False)
            .indices
        )


class PublishedRotation(RandomRotation):
    """Rotates one cloud at a time by a matrix copied to the device."""

    def forward(self, points):
        points = points.clone()
        for cloud in points:
            angle = np.random.uniform() * self.max_angle
            cos, sin = np.cos(angle), np.sin(angle)
            matrix = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
            cloud[:, :3] = cloud[:, :3] @ torch.from_numpy(matrix.astype(np.float32)).to(
                points.device
            )
        return points


class PublishedCrossAttention(CrossAttention):
    """Computes the softmax explicitly."""

    def forward(self, queries, tokens):
        q = self._split_heads(self.q(queries))
        k, v = map(self._split_heads, self.kv(tokens).chunk(2, dim=-1))
        weight = (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(-1)
        return self.proj((weight @ v).transpose(1, 2).flatten(2))


class PublishedTextTarget(TextTarget):
    """Encodes one sentence per sample in every step."""

    @torch.no_grad()
    def forward(self, points, data_samples, prompt_idx=None):
        texts = self.texts(data_samples)
        if prompt_idx is None:
            prompt_idx = np.random.randint(len(self.templates), size=len(texts))
        sentences = [self.templates[i].replace('{}', text) for i, text in zip(prompt_idx, texts)]
        return self.teacher.encode_text(sentences)


FORMS = (
    PublishedPatchGroup,
    PublishedBatchNorm,
    PublishedPatchEmbed,
    PublishedMasker,
    PublishedRotation,
    PublishedCrossAttention,
    PublishedTextTarget,
)
