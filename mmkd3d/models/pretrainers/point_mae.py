"""Point-MAE, and the reconstruction that other methods share with it."""

from torch import Tensor

from mmkd3d.registry import MODELS

from ..layers.patches import Patches, PointHead
from .base import BasePretrainer, show_reconstruction


class Reconstruction(BasePretrainer):
    """Base of the methods that predict the points of masked patches.

    Args:
        args, kwargs: Of :class:`BasePretrainer`.
    """

    def build_decoder(self, decoder: dict | None) -> None:
        """Build ``decoder`` and the head ``to_points``.

        Raises:
            ValueError: There is no decoder, nothing is masked, or the student is hierarchical.
        """
        if self.num_levels:
            raise ValueError(
                f'Only patches of one size are reconstructed, and {type(self.backbone).__name__} '
                'is hierarchical: set losses.chamfer=None, or use another student.'
            )
        num_groups = self.backbone.group.num_groups
        if not decoder or self.masker is None or not self.masker.num_masked(num_groups):
            raise ValueError(
                'Masked patches are reconstructed by a decoder, got '
                f'decoder={decoder} and masker={self.masker} for {num_groups} patches: '
                'give a decoder and a masker with a higher ratio, or set losses.chamfer=None.'
            )
        self.decoder = MODELS.build(decoder)
        self.to_points = PointHead(self.decoder.embed_dims, self.backbone.group.group_size)

    def forward_target(self, patches: Patches, mask: Tensor) -> Tensor:
        """Points (BM, K, 3) of the masked patches, relative to their centres."""
        return patches.points[mask]

    def predict(self, points: Tensor, data_samples: list | None) -> list:
        """Return ``input``, ``visible`` and ``pred`` points of each cloud."""
        if self.decoder is None:
            raise ValueError('With losses.chamfer=None nothing is reconstructed.')
        patches = self.group(points)
        mask = self.draw_mask(points, patches)
        feats = self.forward_encoder(patches, mask)
        pred = self.to_points(self.forward_decoder(feats, patches, mask))
        return show_reconstruction(points, patches, mask, pred)


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
