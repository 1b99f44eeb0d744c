"""Point-MAE: what is left of every method here without its teacher."""

import torch.nn as nn
from torch import Tensor

from mmkd3d.registry import MODELS, TASK_UTILS

from .base import BasePretrainer, draw_reconstruction


@MODELS.register_module()
class PointMAE(BasePretrainer):
    """Masked autoencoder of point clouds (Point-MAE, ECCV 2022).

    The student sees the visible patches; a light decoder predicts the points
    of the masked ones in the coordinates of their own centres.

    Differs from the published code: the student may have a class token (it
    has none there); patches are masked after they were embedded, as there, so
    that BatchNorm sees all of them.

    Args:
        backbone: Config of the student.
        decoder: Config of a decoder ``(visible, centers, mask) -> (B, M, C)``.
        masker: Config of a masker.
        loss: Config of a loss between clouds.
        data_preprocessor: See :class:`BasePretrainer`.
        init_cfg: As in mmengine.
    """

    with_levels = False

    def __init__(
        self,
        backbone: dict,
        *,
        decoder: dict,
        masker: dict,
        loss: dict,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(backbone, data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.decoder = MODELS.build(decoder)
        self.masker = TASK_UTILS.build(masker)
        self.chamfer = MODELS.build(loss)
        self.to_points = nn.Linear(self.decoder.embed_dims, 3 * self.backbone.group.group_size)

    def reconstruct(self, points: Tensor) -> tuple[Tensor, Tensor, tuple]:
        """Predict the masked patches.

        Args:
            points: (B, N, 3+F).

        Returns:
            pred: (B, M, K, 3) centre-relative points of the masked patches.
            mask: (B, G) bool, True = masked.
            patches: What the cloud was cut into.
        """
        points = points[..., :3].contiguous()
        patches = self.backbone.group(points)
        mask = self.masker(patches.centers, points=points)  # (B, G)
        visible = self.backbone.encode(patches, mask)['tokens']  # (B, V, C)
        masked = self.decoder(visible, patches.centers, mask)  # (B, M, C)
        pred = self.to_points(masked).unflatten(2, (-1, 3))  # (B, M, K, 3)
        return pred, mask, patches

    def loss(self, points: Tensor, data_samples: list | None) -> dict:
        """Chamfer distance of predicted and true patches."""
        pred, mask, patches = self.reconstruct(points)
        return dict(loss_chamfer=self.chamfer(pred.flatten(0, 1), patches.points[mask]))

    def predict(self, points: Tensor, data_samples: list | None) -> list:
        """For every cloud ``input``, ``visible`` and ``pred`` points."""
        pred, mask, patches = self.reconstruct(points)
        return draw_reconstruction(points, patches, mask, pred.flatten(0, 1))
