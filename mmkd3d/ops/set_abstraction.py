"""Faster set abstraction of PointNet++ on a CPU, for stock models of mmdetection3d.

The MLP of a group runs on rows of channels, see :mod:`mmkd3d.ops.mmcv_layers`. Its first layer
multiplies the features of points before they are grouped, which repeats each many times, and
its last layer keeps the maxima of groups only.
"""

from typing import Any

import torch
from mmcv.cnn import ConvModule
from mmcv.ops import QueryAndGroup, ball_query, grouping_operation
from torch import Tensor, nn

from .batch_norm import batch_norm
from .mmcv_layers import has_hooks, is_pointwise, runs_here
from .pooled_norm import linear_norm_max


def abstract(module: type[nn.Module]) -> None:
    """Let mmdetection3d's set abstraction run its first and last layers as above on a CPU."""
    stock, stock_pool = module.forward, module._pool_features

    def forward(
        self,
        points_xyz: Tensor,
        features: Tensor | None = None,
        indices: Tensor | None = None,
        target_xyz: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        pools = self.pool_mod == 'max' and type(self)._pool_features is stock_pool
        if not (pools and runs_here(points_xyz) and all(map(_ends_pointwise, self.mlps))):
            return stock(self, points_xyz, features, indices, target_xyz)
        new_xyz, indices = self._sample_points(points_xyz, features, indices, target_xyz)
        pooled = []
        for grouper, mlp in zip(self.groupers, self.mlps):
            if len(mlp) > 1 and _group_later(grouper, mlp[0], features):
                x, rest = _convolve_and_group(grouper, mlp[0], points_xyz, new_xyz, features), 1
            else:
                x, rest = grouper(points_xyz, new_xyz, features), 0
            for layer in mlp[rest:-1]:
                x = layer(x)
            rows = x.permute(0, 2, 3, 1)
            B, M, K, C = rows.shape
            conv, norm = mlp[-1].conv, mlp[-1].norm
            out = linear_norm_max(
                rows.reshape(B * M, K, C), conv.weight.flatten(1), conv.bias, norm
            )
            pooled.append(out.view(B, M, -1).mT)
        return new_xyz, torch.cat(pooled, dim=1).contiguous(), indices

    forward.__doc__ = stock.__doc__
    module.forward = forward


def _ends_pointwise(mlp: Any) -> bool:
    """Whether an MLP is layers of mmcv, the last of which is pointwise and has no hooks."""
    return (
        type(mlp) is nn.Sequential
        and all(type(layer) is ConvModule for layer in mlp)
        and not has_hooks(mlp, mlp[-1])
        and is_pointwise(mlp[-1])
    )


def _group_later(grouper: Any, layer: Any, features: Tensor | None) -> bool:
    """Whether to group the layer's outputs: in plain balls, and where they are no wider."""
    return (
        features is not None
        and type(grouper) is QueryAndGroup
        and grouper.use_xyz
        and grouper.max_radius is not None
        and not (grouper.uniform_sample or grouper.return_grouped_xyz or grouper.return_grouped_idx)
        and features.shape[1] >= layer.conv.out_channels
        and not has_hooks(grouper, layer)
        and is_pointwise(layer)
    )


def _convolve_and_group(
    grouper: Any, layer: Any, points: Tensor, centers: Tensor, features: Tensor
) -> Tensor:
    """The first layer of groups, which multiplies the features of each point once.

    The offsets from the centers are multiplied after grouping: as a difference of products they
    would lose digits.

    Args:
        grouper: Of balls, see :func:`_group_later`.
        layer: 1x1 convolution, batch norm and ReLU.
        points: (B, N, 3).
        centers: (B, M, 3).
        features: (B, C, N).

    Returns:
        (B, D, M, K), stored as rows.
    """
    idx = ball_query(grouper.min_radius, grouper.max_radius, grouper.sample_num, points, centers)
    offsets = grouping_operation(points.mT.contiguous(), idx) - centers.mT[..., None]
    if grouper.normalize_xyz:
        offsets = offsets / grouper.max_radius
    of_offset, of_features = layer.conv.weight.flatten(1).split([3, features.shape[1]], dim=1)
    x = grouping_operation(of_features @ features, idx).permute(0, 2, 3, 1)
    rows = torch.addmm(x.flatten(0, 2), offsets.permute(0, 2, 3, 1).flatten(0, 2), of_offset.T)
    if layer.conv.bias is not None:
        rows = rows + layer.conv.bias
    return batch_norm(rows, layer.norm, relu=True).view(*x.shape).permute(0, 3, 1, 2)
