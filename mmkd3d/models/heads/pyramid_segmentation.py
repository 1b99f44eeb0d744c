"""A label for every point, from levels of different resolution."""

from collections.abc import Sequence

import torch
import torch.nn as nn
from torch import Tensor

from mmkd3d.registry import MODELS

from ..layers.patches import maximum
from ..layers.point_mlp import carry_to_points, shared_mlp
from .base import BaseSegHead


@MODELS.register_module()
class PyramidSegHead(BaseSegHead):
    """Segmentation on a hierarchical student (I2P-MAE, section 12).

    Every level is carried from its own centres to the points. Maximum plus
    mean of what arrives, over the points, and for parts the category of the
    object are added to every point.

    Args:
        in_channels: Widths of the levels, finest first (the student's
            ``level_dims``).
        num_classes: Number of labels.
        propagation_dims: Widths of the MLP after each interpolation.
        hidden_dims: Widths of the MLP before the last layer.
        kwargs: Of :class:`~.base.BaseSegHead`.
    """

    cloud_first = True

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        *,
        propagation_dims: Sequence[int] = (1536, 1024),
        hidden_dims: Sequence[int] = (1024, 512, 256),
        **kwargs,
    ):
        super().__init__(num_classes, hidden_dims=hidden_dims, **kwargs)
        self.in_channels = tuple(in_channels)
        self.propagations = nn.ModuleList(
            nn.Sequential(*shared_mlp(self.point_channels + width, *propagation_dims))
            for width in self.in_channels
        )
        width = len(self.in_channels) * propagation_dims[-1]
        self.add_classifier(width, width)

    def forward(self, feats: dict, category: Tensor | None = None) -> Tensor:
        """Logits of all points, see :class:`~.base.BaseSegHead`."""
        ups = self.propagate(feats)
        cloud = self.with_category(self.pool(ups), category)
        return self.classify(ups, cloud)

    def propagate(self, feats: dict) -> list[Tensor]:
        """Features of the points from each level, L x (B, N, D)."""
        self._check_levels(feats)
        features = self.point_features(feats)
        return [
            carry_to_points(mlp, feats['points'], centers, tokens, features)
            for mlp, centers, tokens in zip(
                self.propagations, feats['level_centers'], feats['levels']
            )
        ]

    def pool(self, ups: Sequence[Tensor]) -> Tensor:
        """Maximum plus mean over the points, all levels: (B, LD)."""
        return torch.cat([maximum(x) + x.mean(dim=1) for x in ups], dim=1)

    def _check_levels(self, feats: dict) -> None:
        if 'level_centers' not in feats:
            raise ValueError(
                'The head needs a student whose levels have centres of their '
                'own, a PointM2AE; PointSegHead takes levels of one '
                'resolution.'
            )
        widths = tuple(level.shape[2] for level in feats['levels'])
        if widths != self.in_channels:
            raise ValueError(
                f'The head expects levels of in_channels={self.in_channels}, '
                f"the student's are {widths} wide: set in_channels to its "
                'level_dims.'
            )
