"""Point-M2AE: a masked autoencoder on several scales."""

from collections.abc import Sequence
from typing import NamedTuple

import torch.nn as nn
from torch import Tensor

from mmkd3d.registry import MODELS, TASK_UTILS

from ..layers.patches import Patches
from .base import BasePretrainer, draw_reconstruction


class Decoded(NamedTuple):
    """What came out at the level where patches are rebuilt.

    Attributes:
        tokens: (B, G, C) of all its patches.
        mask: (B, G) bool, True = masked.
        patches: Its patches.
    """

    tokens: Tensor
    mask: Tensor
    patches: Patches


@MODELS.register_module()
class M2AE(BasePretrainer):
    """Multi-scale masked autoencoder (Point-M2AE, NeurIPS 2022).

    The top level of a hierarchical student is masked, and through it all
    others; a decoder fills in the tokens from the top down. At the finest
    level that it reaches the points of the masked patches are predicted in
    the coordinates of their own centres.

    Norms of the student that nothing reads here keep what they start with.

    Args:
        backbone: Config of a student with levels.
        decoder: Config of a decoder ``(levels, centers, mask) -> (B, G, C)``.
        masker: Config of a masker; it masks the top level.
        loss: Config of a loss between clouds.
        num_pred_points: Points of a predicted patch; default as many as a
            patch has. Point-M2AE predicts 16 for patches of 8.
        data_preprocessor: See :class:`BasePretrainer`.
        init_cfg: As in mmengine.

    Raises:
        ValueError: Decoder and student do not fit, or nothing is masked.
    """

    with_levels = True

    def __init__(
        self,
        backbone: dict,
        *,
        decoder: dict,
        masker: dict,
        loss: dict,
        num_pred_points: int | None = None,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(backbone, data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.decoder = MODELS.build(decoder)
        self.masker = TASK_UTILS.build(masker)
        self.chamfer = MODELS.build(loss)
        level_dims, stage_dims = (self.backbone.level_dims, self.decoder.stage_dims)
        self.level = len(level_dims) - len(stage_dims)
        if self.level < 0 or level_dims[self.level :] != stage_dims[::-1]:
            raise ValueError(
                'The stages of the decoder have the widths of the levels of '
                f'the student from the top down: got stage_dims={stage_dims} '
                f'for level_dims={level_dims}.'
            )
        self.backbone.freeze_norms(below=self.level)
        groups = self.backbone.group.levels
        num_tokens = groups[-1].num_groups
        if not self.masker.num_masked(num_tokens):
            raise ValueError(
                f'A ratio of {self.masker.ratio} masks none of {num_tokens} '
                'tokens, so there is nothing to rebuild: raise the ratio of '
                'the masker.'
            )
        self.group_size = groups[self.level].group_size
        self.to_points = nn.Linear(
            self.decoder.embed_dims, 3 * (num_pred_points or self.group_size)
        )

    def draw_mask(self, points: Tensor, patches: Sequence[Patches]) -> Tensor:
        """(B, G) bool of the top level, True = masked."""
        return self.masker(patches[-1].centers, points=points)

    def decode(self, patches: Sequence[Patches], mask: Tensor) -> Decoded:
        """Show the visible patches to the student, and fill in the rest.

        Args:
            patches: Of all levels.
            mask: (B, G) bool of the top level, True = masked.
        """
        out = self.backbone.encode(patches, mask)
        centers = [level.centers for level in patches]
        tokens = self.decoder(out['levels'], centers, mask)
        return Decoded(tokens, out['masks'][self.level], patches[self.level])

    def reconstruct(self, points: Tensor) -> Decoded:
        """Mask points (B, N, 3+F), and fill in what was masked."""
        points = points[..., :3].contiguous()
        patches = self.backbone.group(points)
        return self.decode(patches, self.draw_mask(points, patches))

    def rebuild(self, out: Decoded) -> Tensor:
        """Points (L, K, 3) of the L masked patches, around their centres."""
        return self.to_points(out.tokens[out.mask]).unflatten(1, (-1, 3))

    def losses(self, out: Decoded) -> dict:
        """Chamfer distance of predicted and true patches.

        0 where all patches are visible by chance, through their neighbours.
        """
        pred = self.rebuild(out)
        if not len(pred):
            return dict(loss_chamfer=pred.sum())
        return dict(loss_chamfer=self.chamfer(pred, out.patches.points[out.mask]))

    def loss(self, points: Tensor, data_samples: list | None) -> dict:
        """Chamfer distance of predicted and true patches."""
        return self.losses(self.reconstruct(points))

    def predict(self, points: Tensor, data_samples: list | None) -> list:
        """For every cloud ``input``, ``visible`` and ``pred`` points."""
        out = self.reconstruct(points)
        return draw_reconstruction(points, out.patches, out.mask, self.rebuild(out))
