"""Patches of a cloud: sampling centres, grouping neighbours, embedding them as tokens."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mmkd3d.ops import ball_query, farthest_point_sample, gather, group, knn

from .point_mlp import shared_mlp
from .row_norm import RowBatchNorm


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
        fps_rule: ``'pointnet2'``, which never picks points within 3.2 cm of
            the origin and is what the published students were trained with,
            or ``'mmcv'``, which treats all points alike (use it for scenes).
        radius: None takes the K nearest points of the whole cloud; a number
            takes up to K points within it (a ball query), so that a patch
            does not jump over a gap.
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
        self.num_groups = num_groups
        self.group_size = group_size
        self.fps_rule = fps_rule
        self.radius = radius

    def forward(self, points: Tensor) -> Patches:
        """Group ``points`` (B, N, 3+F) with N >= K by their coordinates."""
        if points.shape[1] < self.group_size:
            raise ValueError(
                f'A patch of group_size={self.group_size} can not be cut from '
                f'a cloud of {points.shape[1]} points: sample more points '
                '(SamplePoints) or lower group_size.'
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
        """Indices (B, G, K) of the points that belong to each centre."""
        if self.radius is None:
            return knn(centers, points, self.group_size).idx
        return ball_query(centers, points, self.radius, self.group_size)

    def extra_repr(self) -> str:
        return (
            f'{self.num_groups}, {self.group_size}, '
            f'fps_rule={self.fps_rule!r}, radius={self.radius}'
        )


class PatchEmbed(nn.Module):
    """Mini-PointNet over the points of a patch (Point-BERT, section 3.1).

    Two shared MLPs, each followed by a maximum over the patch; what the first
    maximum finds is handed to every point of the second MLP. The published
    codes write the MLPs as 1x1 convolutions; the weights are the same.

    Features of points, such as colour, are ours: the first layer has a term
    for them that starts at 0, so that a student of plain points gives the
    same tokens at first.

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
        """Set the term of the features to 0."""
        if self.features is not None:
            nn.init.zeros_(self.features.weight)

    def forward(self, patches: Tensor, mask: Tensor | None = None) -> Tensor:
        """Embed patches.

        Args:
            patches: (B, G, K, in_channels + F).
            mask: (B, G) bool, True = not wanted, equally many in every row,
                so that V patches remain. All the same they count in the
                statistics of the norms, as in the published codes; only what
                follows the last norm is left out.

        Returns:
            (B, G, C), or (B, V, C) with a mask.
        """
        B, G, K, _ = patches.shape
        local = self.embed_points(patches.flatten(0, 2)).view(B * G, K, -1)
        pooled = maximum(local)[:, None]  # (BG, 1, 256)
        # The first layer over [pooled, local], with the part that is the same
        # for all points of a patch computed once.
        layer, norm = self.second[:2]
        of_pooled, of_local = layer.weight.chunk(2, dim=1)
        x = F.linear(local, of_local)
        x += F.linear(pooled, of_pooled, layer.bias)
        x = norm(x.flatten(0, 1))  # (BGK, 512)
        if mask is not None:
            x = x[~mask.flatten().repeat_interleave(K)]  # (BVK, 512)
        x = self.second[2:](x).view(-1, K, self.embed_dims)
        return maximum(x).view(B, -1, self.embed_dims)

    def embed_points(self, points: Tensor) -> Tensor:
        """The first MLP over rows (M, in_channels + F)."""
        if self.features is None:
            return self.first(self.scale * points)
        if points.shape[1] != sum(self.channels):
            raise ValueError(
                f'Patches of {points.shape[1]} channels were given to a '
                f'PatchEmbed with feature_channels={self.channels[1]}, which '
                f'reads {sum(self.channels)}. Pretraining reads coordinates '
                'alone: take a student with in_channels=3 for it.'
            )
        xyz, features = points.split(self.channels, dim=1)
        x = self.first[0](self.scale * xyz) + self.features(features)
        return self.first[1:](x)


def maximum(x: Tensor) -> Tensor:
    """Over the points of a patch, (N, K, C) -> (N, C).

    ``amax`` is ten times as fast on a CPU, but slower with its gradient.
    """
    if torch.is_grad_enabled():
        return x.max(dim=1).values
    return x.amax(dim=1)


class PatchPointNet(nn.Module):
    """Shared MLP over the points of a patch, then their maximum (PointNet++).

    With :class:`PatchGroup` this is a set abstraction. The norms see the
    points of all patches.

    Args:
        dims: Widths of the MLP; the last is that of the token, C.
        radius: Of the ball query, by which coordinates are divided.
        feature_channels: Features of a point, F, after its coordinates.
    """

    def __init__(self, dims: Sequence[int], *, radius: float, feature_channels: int = 0):
        super().__init__()
        unit = torch.tensor([radius] * 3 + [1.0] * feature_channels)
        self.register_buffer('unit', unit, persistent=False)
        self.mlp = nn.Sequential(*shared_mlp(len(unit), *dims, bias=False))
        self.random_init()

    def random_init(self) -> None:
        """Kaiming normal (detection, section 1.9)."""
        for layer in self.mlp[::3]:
            nn.init.kaiming_normal_(layer.weight)

    def forward(self, patches: Tensor) -> Tensor:
        """Embed patches (B, G, K, 3+F), relative to their centres.

        Returns:
            (B, G, C).
        """
        B, G, K, channels = patches.shape
        if channels != len(self.unit):
            raise ValueError(
                f'Patches of {channels} channels were given to a network of '
                f'{len(self.unit)}. Pretraining reads coordinates alone: take '
                'a student with in_channels=3 for it.'
            )
        x = self.mlp((patches / self.unit).flatten(0, 2))  # (BGK, C)
        return maximum(x.view(B * G, K, -1)).view(B, G, -1)
