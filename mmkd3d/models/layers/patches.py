"""Patches of a cloud: sampling centres, grouping neighbours, embedding them as tokens."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mmkd3d.ops import ball_query, farthest_point_sample, gather, group, knn
from mmkd3d.ops.batch_norm import batch_norm
from mmkd3d.ops.pooling import maximum

from .masking import sort_by_mask


class Patches(NamedTuple):
    """Local patches of a batch of clouds.

    Attributes:
        points: (B, G, K, 3+F) coordinates relative to the centre of the
            patch, and the features of the points as they are.
        centers: (B, G, 3) in the order of farthest point sampling.
        center_idx: (B, G) long, the centres as indices into the cloud.
        point_idx: (B, G, K) long, the patches as indices into the cloud.
    """

    points: Tensor
    centers: Tensor
    center_idx: Tensor
    point_idx: Tensor


class PatchGroup(nn.Module):
    """Cut a cloud into overlapping patches (Point-BERT, section 3.1).

    Args:
        num_groups: Patches per cloud, G.
        group_size: Points per patch, K.
        fps_rule: ``'pointnet2'``, as published, never picks points within
            3.2 cm of the origin. ``'mmcv'`` treats all points alike; use it
            for scenes.
        radius: None: a patch has the K nearest points of the cloud. A number:
            up to K points within this distance (ball query), so that a patch
            does not cross gaps.

    Raises:
        ValueError: A number below 1.
    """

    def __init__(
        self,
        num_groups: int,
        group_size: int,
        *,
        fps_rule: str = 'pointnet2',
        radius: float | None = None,
    ):
        super().__init__()
        if num_groups < 1 or group_size < 1:
            raise ValueError(
                'num_groups and group_size must be 1 or more, got '
                f'num_groups={num_groups} and group_size={group_size}.'
            )
        self.num_groups = num_groups
        self.group_size = group_size
        self.fps_rule = fps_rule
        self.radius = radius

    def forward(self, points: Tensor) -> Patches:
        """Group ``points`` (B, N, 3+F) with N >= K by their coordinates."""
        if points.shape[1] < self.group_size:
            raise ValueError(
                f'A cloud needs at least group_size={self.group_size} points, got '
                f'{points.shape[1]}: sample more points (SamplePoints) or lower group_size.'
            )
        points, features = points.split([3, points.shape[2] - 3], dim=2)
        points = points.contiguous()
        center_idx = farthest_point_sample(points, self.num_groups, rule=self.fps_rule)
        centers = gather(points, center_idx)  # (B, G, 3)
        point_idx = self.neighbors(points, centers)
        patches = group(points, centers, point_idx)
        if features.shape[2]:
            patches = torch.cat([patches, gather(features, point_idx)], dim=3)
        return Patches(patches, centers, center_idx, point_idx)

    def neighbors(self, points: Tensor, centers: Tensor) -> Tensor:
        """Indices (B, G, K) of the points of each patch."""
        if self.radius is None:
            return knn(centers, points, self.group_size).idx
        return ball_query(centers, points, self.radius, self.group_size)

    def extra_repr(self) -> str:
        return (
            f'{self.num_groups}, {self.group_size}, '
            f'fps_rule={self.fps_rule!r}, radius={self.radius}'
        )


class RowBatchNorm(nn.BatchNorm1d):
    """``BatchNorm1d`` over rows (N, C) that is exact on a CPU, too.

    See :func:`mmkd3d.ops.batch_norm.batch_norm`.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise rows (N, C)."""
        return batch_norm(x, self)


class PatchEmbed(nn.Module):
    """Mini-PointNet over the points of a patch (Point-BERT, section 3.1).

    Two shared MLPs, each followed by a maximum over the points of the patch.
    The second MLP reads the first maximum beside every point. The published
    codes write the MLPs as 1x1 convolutions, with the same weights.

    Point features, such as colour, are our addition: the first layer has
    extra weights for them that start at 0, so that at first the tokens are
    those of a student without features.

    Args:
        embed_dims: Width of the token, C.
        in_channels: Channels of a point without its features.
        feature_channels: Features of a point, F, after the others.
        local_dims: Widths of the first MLP.
        scale: Factor on the channels of a point without its features.
    """

    def __init__(
        self,
        embed_dims: int,
        in_channels: int = 3,
        *,
        feature_channels: int = 0,
        local_dims: Sequence[int] = (128, 256),
        scale: float = 1.0,
    ):
        super().__init__()
        self.embed_dims = embed_dims
        self.channels = in_channels, feature_channels
        self.scale = scale
        hidden, local = local_dims
        self.first = nn.Sequential(
            nn.Linear(in_channels, hidden),
            RowBatchNorm(hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, local),
        )
        self.second = nn.Sequential(
            nn.Linear(2 * local, 2 * local),
            RowBatchNorm(2 * local),
            nn.ReLU(inplace=True),
            nn.Linear(2 * local, embed_dims),
        )
        self.features = None
        if feature_channels:
            self.features = nn.Linear(feature_channels, hidden, bias=False)
        self.reset_features()

    def reset_features(self) -> None:
        """Set the weights of the point features to 0."""
        if self.features is not None:
            nn.init.zeros_(self.features.weight)

    def forward(self, patches: Tensor, mask: Tensor | None = None) -> Tensor:
        """Embed patches.

        Args:
            patches: (B, G, K, in_channels + F).
            mask: (B, G) bool, True = masked, equally many in every row, so
                that V patches remain. Masked patches still count in the batch
                statistics, as in the published codes; only the layers after
                the last norm skip them.

        Returns:
            (B, G, C), or (B, V, C) with a mask.
        """
        B, G, K, _ = patches.shape
        local = self.embed_points(patches.flatten(0, 2)).view(B * G, K, -1)
        pooled = maximum(local)[:, None]  # (BG, 1, 256)
        # The first layer reads [pooled, local]; the pooled part is the same for
        # all points of a patch and computed once.
        layer, norm = self.second[:2]
        weight_pooled, weight_local = layer.weight.chunk(2, dim=1)
        x = F.linear(local, weight_local)
        x += F.linear(pooled, weight_pooled, layer.bias)
        x = norm(x.flatten(0, 1))  # (BGK, 512)
        if mask is not None:
            visible, _ = sort_by_mask(mask)
            x = x.unflatten(0, (-1, K)).index_select(0, visible.flatten())
            x = x.flatten(0, 1)  # (BVK, 512)
        x = self.second[2:](x).view(-1, K, self.embed_dims)
        return maximum(x).view(B, -1, self.embed_dims)

    def embed_points(self, points: Tensor) -> Tensor:
        """The first MLP over rows (M, in_channels + F)."""
        if self.features is None:
            return self.first(self.scale * points)
        if points.shape[1] != sum(self.channels):
            raise ValueError(
                f'PatchEmbed(feature_channels={self.channels[1]}) reads '
                f'{sum(self.channels)} channels, got patches of {points.shape[1]}. '
                'Pretraining uses coordinates only: set in_channels=3 in its backbone.'
            )
        xyz, features = points.split(self.channels, dim=1)
        x = self.first[0](self.scale * xyz) + self.features(features)
        return self.first[1:](x)


class PointHead(nn.Linear):
    """Linear layer that predicts the points of patches from their tokens.

    Args:
        embed_dims: Width of a token, C.
        num_points: Points of a patch, K.
    """

    def __init__(self, embed_dims: int, num_points: int):
        super().__init__(embed_dims, 3 * num_points)

    def forward(self, tokens: Tensor) -> Tensor:
        """Points (L, K, 3), relative to the patch centres, of L tokens (..., C)."""
        return super().forward(tokens).view(-1, self.out_features // 3, 3)
