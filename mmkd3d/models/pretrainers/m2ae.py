"""Point-M2AE: a masked autoencoder on several scales."""

from collections.abc import Sequence

from torch import Tensor

from mmkd3d.registry import MODELS

from ..layers.patches import Patches, PointHead
from .base import BasePretrainer, show_reconstruction


@MODELS.register_module()
class M2AE(BasePretrainer):
    """Multi-scale masked autoencoder (Point-M2AE, NeurIPS 2022).

    The top level of a hierarchical student is masked, and the levels below accordingly. A decoder
    fills in the masked tokens from the top level down to ``self.level``, where the points of the
    masked patches are predicted, relative to their centres.

    Norms of the student that this method does not use are frozen.

    Args:
        backbone: Config of a hierarchical student.
        decoder: Config of a decoder ``(levels, centers, mask) -> (B, G, C)``.
        masker: Config of a masker, for the top level.
        losses: Config of ``chamfer``, a loss between point clouds.
        num_pred_points: Points of a predicted patch; default as many as a patch has. Point-M2AE
            predicts 16 for patches of 8.
        kwargs: Of :class:`BasePretrainer`.

    Raises:
        ValueError: The decoder does not fit the student, or nothing is masked.
    """

    with_levels = True

    def __init__(
        self,
        backbone: dict,
        *,
        decoder: dict,
        masker: dict,
        losses: dict,
        num_pred_points: int | None = None,
        **kwargs,
    ):
        super().__init__(backbone, masker=masker, **kwargs)
        self.decoder = MODELS.build(decoder)
        self.loss_chamfer = MODELS.build(losses['chamfer'])
        level_dims, stage_dims = self.backbone.level_dims, self.decoder.stage_dims
        self.level = len(level_dims) - len(stage_dims)
        if self.level < 0 or level_dims[self.level :] != stage_dims[::-1]:
            raise ValueError(
                'The stages of the decoder must have the widths of the levels of the student from '
                f'the top down, got stage_dims={stage_dims} for level_dims={level_dims}.'
            )
        self.backbone.freeze_norms(below=self.level)
        groups = self.backbone.group.levels
        self.check_masks()
        self.group_size = groups[self.level].group_size
        self.to_points = PointHead(self.decoder.embed_dims, num_pred_points or self.group_size)

    def forward_decoder(self, feats: dict, patches: Sequence[Patches], mask: Tensor) -> Tensor:
        """Predict the tokens (B, G, C) of all patches of ``self.level``."""
        return self.decoder(feats['levels'], [level.centers for level in patches], mask)

    def forward_target(self, patches: Sequence[Patches], masked: Tensor) -> Tensor:
        """Points (L, K, 3) of the L masked patches of ``self.level``."""
        return patches[self.level].points[masked]

    def loss(self, points: Tensor, data_samples: list | None) -> dict:
        """Chamfer distance between predicted and true patches.

        It is 0 if all patches of ``self.level`` belong to a visible token of the top level.
        """
        patches = self.group(points)  # of each level (B, G, K, 3)
        mask = self.draw_mask(points, patches)  # (B, G) of the top level
        feats = self.forward_encoder(patches, mask)  # levels (B, G, C) each
        tokens = self.forward_decoder(feats, patches, mask)  # (B, G, C) of self.level
        masked = feats['masks'][self.level]  # (B, G)
        target = self.forward_target(patches, masked)  # (L, K, 3)
        pred = self.to_points(tokens[masked])  # (L, K, 3)
        return dict(loss_chamfer=self.loss_chamfer(pred, target))

    def predict(self, points: Tensor, data_samples: list | None) -> list:
        """Return ``input``, ``visible`` and ``pred`` points of each cloud."""
        patches = self.group(points)
        mask = self.draw_mask(points, patches)
        feats = self.forward_encoder(patches, mask)
        tokens = self.forward_decoder(feats, patches, mask)
        masked = feats['masks'][self.level]
        pred = self.to_points(tokens[masked])
        return show_reconstruction(points, patches[self.level], masked, pred)
