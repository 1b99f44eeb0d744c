"""From a cloud to patches: sample centres, gather their neighbours."""

from typing import NamedTuple

import torch
import torch.nn as nn
from torch import Tensor

from mmkd3d.ops import ball_query, farthest_point_sample, gather, group, knn


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
