"""Segmentation head for backbones with patches of one resolution."""

from collections.abc import Sequence

import torch
import torch.nn as nn
from torch import Tensor

from mmkd3d.registry import MODELS

from ..layers.point_mlp import carry_to_points, shared_mlp
from ..layers.transformer import init_transformer
from .base import BaseSegHead


@MODELS.register_module()
class PointSegHead(BaseSegHead):
    """Segmentation head of ACT (section 9.1) and ReCon (section 8).

    Features of several levels are interpolated from the patch centres to the
    points. Each point is classified from these, the maximum and mean of the
    levels over all patches, for ReCon the maximum over the global tokens, and
    for part segmentation the category of the object.

    Args:
        in_channels: Width of the backbone, C.
        num_classes: Number of point labels.
        num_levels: Number of levels of the backbone (``out_indices``), L.
        propagation_dims: Widths of the MLP after the interpolation.
        hidden_dims: Widths of the hidden layers of the final MLP.
        with_global: Use the maximum over the global tokens of the last block.
        kwargs: See :class:`~.base.BaseSegHead`.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        num_levels: int = 3,
        propagation_dims: Sequence[int] = (1536, 1024),
        hidden_dims: Sequence[int] = (512, 256),
        with_global: bool = False,
        **kwargs,
    ):
        super().__init__(num_classes, hidden_dims=hidden_dims, **kwargs)
        self.num_levels = num_levels
        self.with_global = with_global
        width = num_levels * in_channels
        self.propagation = nn.Sequential(
            *shared_mlp(self.point_channels + width, *propagation_dims)
        )
        self.add_classifier(propagation_dims[-1], 2 * width + with_global * in_channels)
        init_transformer(self)

    def forward(self, feats: dict, category: Tensor | None = None) -> Tensor:
        """Compute logits, see :class:`~.base.BaseSegHead`."""
        levels = self.concat(feats['levels'])  # (B, G, LC)
        x = self.propagate(feats['points'], feats['centers'], levels, self.point_features(feats))
        cloud = [levels.amax(dim=1), levels.mean(dim=1)]
        if self.with_global:
            cloud.append(self.join_global_tokens(feats))
        cloud = self.with_category(torch.cat(cloud, dim=1), category)
        return self.classify([x], cloud)  # x (B, N, D), cloud (B, 2LC [+ C] [+ 64])

    def concat(self, levels: Sequence[Tensor]) -> Tensor:
        """Concatenate the levels to (B, G, LC)."""
        if len(levels) != self.num_levels:
            raise ValueError(
                f'The head expects num_levels={self.num_levels}, the backbone returns '
                f'{len(levels)}: list as many blocks in out_indices.'
            )
        return torch.cat(tuple(levels), dim=-1)

    def join_global_tokens(self, feats: dict) -> Tensor:
        """Return the element-wise maximum (B, C) of the global tokens before the final norm."""
        tokens = feats.get('raw_global_tokens')
        if not tokens:
            raise ValueError(
                'with_global=True requires a backbone with global tokens (ReConTransformer): '
                'set it to False.'
            )
        return torch.stack([*tokens.values()]).amax(dim=0)

    def propagate(
        self, points: Tensor, centers: Tensor, levels: Tensor, features: Tensor | None = None
    ) -> Tensor:
        """Interpolate ``levels`` from the centres to the points, and apply an MLP.

        Args:
            points: (B, N, 3).
            centers: (B, G, 3).
            levels: (B, G, LC).
            features: (B, N, F) of the points.

        Returns:
            (B, N, D).
        """
        return carry_to_points(self.propagation, points, centers, levels, features)
