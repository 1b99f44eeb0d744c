"""Segmentation head for backbones with levels of different resolution."""

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
    """Segmentation head of Point-M2AE and I2P-MAE (I2P-MAE, section 12).

    Each level is interpolated from its own centres to the points. Each point
    is classified from these features, their maximum plus mean over all
    points, and for part segmentation the category of the object.

    Args:
        in_channels: Width of each level, finest first (``level_dims`` of the
            backbone).
        num_classes: Number of point labels.
        propagation_dims: Widths of the MLP after each interpolation.
        hidden_dims: Widths of the hidden layers of the final MLP.
        kwargs: See :class:`~.base.BaseSegHead`.
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
        """Compute logits, see :class:`~.base.BaseSegHead`."""
        levels = self.propagate(feats)  # L x (B, N, D)
        return self.classify(levels, self.with_category(self.pool(levels), category))

    def propagate(self, feats: dict) -> list[Tensor]:
        """Interpolate each level to the points and apply its MLP, L x (B, N, D)."""
        self._check_levels(feats)
        features = self.point_features(feats)
        return [
            carry_to_points(mlp, feats['points'], centers, tokens, features)
            for mlp, centers, tokens in zip(
                self.propagations, feats['level_centers'], feats['levels']
            )
        ]

    def pool(self, levels: Sequence[Tensor]) -> Tensor:
        """Return maximum plus mean over the points of all levels, (B, LD)."""
        return torch.cat([maximum(x) + x.mean(dim=1) for x in levels], dim=1)

    def _check_levels(self, feats: dict) -> None:
        if 'level_centers' not in feats:
            raise ValueError(
                'PyramidSegHead requires a PointM2AE backbone: use PointSegHead for a backbone '
                'with one resolution.'
            )
        widths = tuple(level.shape[2] for level in feats['levels'])
        if widths != self.in_channels:
            raise ValueError(
                f'The head expects in_channels={self.in_channels}, the levels of the backbone '
                f'have {widths} channels: set in_channels to its level_dims.'
            )
