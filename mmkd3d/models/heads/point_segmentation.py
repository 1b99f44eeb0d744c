"""A label for every point, from the tokens of a student."""

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
    """Segmentation of scenes and of the parts of objects (ACT, section 9.1).

    Three levels of the student are carried from the centres of the patches to
    the points; their maximum and mean over the patches, for ReCon (section 8)
    the maximum over its global tokens and, for parts, the category of the
    object are added to every point.

    Args:
        in_channels: Width of the student, C.
        num_classes: Number of labels.
        num_levels: Levels of the student, L (its ``out_indices``).
        propagation_dims: Widths of the MLP after the interpolation.
        hidden_dims: Widths of the MLP before the last layer.
        with_global: Whether the maximum over the global tokens of the
            student, as the last block leaves them, is used.
        kwargs: Of :class:`~.base.BaseSegHead`.
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
        """Logits of all points, see :class:`~.base.BaseSegHead`."""
        levels = self.concat(feats['levels'])
        up = self.propagate(feats['points'], feats['centers'], levels, self.point_features(feats))
        cloud = [levels.amax(dim=1), levels.mean(dim=1)]
        if self.with_global:
            cloud.append(self.join_global_tokens(feats))
        cloud = self.with_category(torch.cat(cloud, dim=1), category)
        return self.classify([up], cloud)  # (B, N, D), (B, 2LC [+ C] [+ 64])

    def concat(self, levels: Sequence[Tensor]) -> Tensor:
        """The levels side by side, (B, G, LC)."""
        if len(levels) != self.num_levels:
            raise ValueError(
                f'The head expects num_levels={self.num_levels}, the student '
                f'returns {len(levels)}: name as many blocks in out_indices.'
            )
        return torch.cat(tuple(levels), dim=-1)

    def join_global_tokens(self, feats: dict) -> Tensor:
        """Their element-wise maximum, without the final norm, (B, C)."""
        tokens = feats.get('raw_global_tokens')
        if not tokens:
            raise ValueError(
                'with_global=True needs a student that has some, a '
                'ReConTransformer; set it to False for this one.'
            )
        return torch.stack([*tokens.values()]).amax(dim=0)

    def propagate(
        self, points: Tensor, centers: Tensor, levels: Tensor, features: Tensor | None = None
    ) -> Tensor:
        """Carry ``levels`` (B, G, LC) of the centres to points (B, N, 3).

        ``features`` (B, N, F) of the points are read, too.

        Returns:
            (B, N, D), from inverse squared distances to three centres.
        """
        return carry_to_points(self.propagation, points, centers, levels, features)
