"""Point-MAE: the method without a teacher."""

from torch import Tensor

from mmkd3d.registry import MODELS

from .base import Reconstruction


@MODELS.register_module()
class PointMAE(Reconstruction):
    """Masked autoencoder of point clouds (Point-MAE, ECCV 2022).

    The student sees the visible patches; a light decoder predicts the points of the masked ones,
    relative to their centres. The other methods here add a teacher to it.

    Differs from the published code: the student may have a class token.

    Args:
        backbone: Config of the student.
        decoder: Config of a decoder ``(visible, centers, mask) -> (B, M, C)``.
        masker: Config of a masker.
        loss: Config of a loss between point clouds.
        kwargs: Of :class:`BasePretrainer`.
    """

    with_levels = False

    def __init__(self, backbone: dict, *, decoder: dict, masker: dict, loss: dict, **kwargs):
        super().__init__(backbone, masker=masker, **kwargs)
        self.build_decoder(decoder)
        self.loss_fn = MODELS.build(loss)

    def loss(self, points: Tensor, data_samples: list | None) -> dict:
        """Chamfer distance between predicted and true patches."""
        patches = self.group(points)  # (B, G, K, 3)
        mask = self.draw_mask(points, patches)  # (B, G), True = masked
        target = self.forward_target(patches, mask)  # (BM, K, 3)
        feats = self.forward_encoder(patches, mask)  # tokens (B, V, C)
        tokens = self.forward_decoder(feats, patches, mask)  # (B, M, C)
        pred = self.to_points(tokens)  # (BM, K, 3)
        return dict(loss_chamfer=self.loss_fn(pred, target))
