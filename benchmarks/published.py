"""Point-MAE as implemented in its published code, whose parts the other methods share.

Each class implements its base class as the published code does: with the same
parameters and, up to rounding, the same result.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mmkd3d.models.layers.patches import PatchEmbed, PatchGroup, RowBatchNorm
from mmkd3d.models.layers.transformer import split_by_mask
from mmkd3d.models.maskers.base import RandomMasker
from mmkd3d.models.teachers.base import BaseTeacher


def convolve(mlp: nn.Sequential, x: Tensor) -> Tensor:
    """Run an MLP as 1x1 convolutions over ``x`` (N, C, L)."""
    for layer in mlp:
        x = convolve_linear(layer, x) if isinstance(layer, nn.Linear) else layer(x)
    return x


def convolve_linear(layer: nn.Linear, x: Tensor) -> Tensor:
    return F.conv1d(x, layer.weight[..., None], layer.bias)


class PublishedBatchNorm(RowBatchNorm):
    """torch's batch norm, which also normalises (N, C, L)."""

    forward = nn.BatchNorm1d.forward


class PublishedPatchEmbed(PatchEmbed):
    """Copies the maximum to all points before the second MLP."""

    def forward(self, patches, mask=None):
        B, G, K, _ = patches.shape
        local = convolve(self.first, patches.flatten(0, 1).transpose(1, 2))
        pooled = local.max(dim=2, keepdim=True).values  # (BG, 256, 1)
        x = torch.cat([pooled.expand(-1, -1, K), local], dim=1)
        x = convolve(self.second, x).max(dim=2).values.view(B, G, -1)
        return x if mask is None else split_by_mask(x, mask)[0]


def looped_knn(query: Tensor, points: Tensor, k: int) -> Tensor:
    """Indices (B, M, k) from full tables of squared differences."""
    return torch.stack(
        [
            (q[:, None] - p).square().sum(2).topk(k, largest=False).indices
            for q, p in zip(query, points)
        ]
    )


class PublishedPatchGroup(PatchGroup):
    """Searches neighbours one cloud at a time."""

    def neighbors(self, points, centers):
        return looped_knn(centers, points, self.group_size)


class PublishedMasker(RandomMasker):
    """Shuffles masks with numpy, one cloud at a time."""

    def forward(self, centers, **unused):
        B, G, _ = centers.shape
        masks, num_masked = np.zeros((B, G)), int(self.ratio * G)
        for i in range(B):
            mask = np.hstack([np.zeros(G - num_masked), np.ones(num_masked)])
            np.random.shuffle(mask)
            masks[i] = mask
        return torch.from_numpy(masks).to(torch.bool).to(centers.device)


FORMS = (PublishedPatchGroup, PublishedBatchNorm, PublishedPatchEmbed, PublishedMasker)  # Point-MAE


def make_published(model: nn.Module, forms: Iterable[type]) -> None:
    """Switch the modules of ``model`` to their published implementations.

    Args:
        model: Modified in place; the weights are kept.
        forms: Classes such as those above.
    """
    published = {form.__base__: form for form in forms}
    for part in parts_of(model):
        if type(part) in published:
            part.__class__ = published[type(part)]
        if hasattr(part, 'fused_attn'):  # timm's attention: use the explicit softmax
            part.fused_attn = False


def parts_of(model: nn.Module) -> Iterator[nn.Module]:
    """All modules, including those inside frozen networks."""
    for module in model.modules():
        yield module
        if isinstance(module, BaseTeacher):
            yield from parts_of(module.net)
