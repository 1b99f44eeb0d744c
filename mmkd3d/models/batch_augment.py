"""Augmentations of whole batches, on the device of the model.

Each is a module ``points (B, N, 3+F) -> points``; only coordinates change, or
which points there are.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn as nn
from torch import Tensor

from mmkd3d.registry import MODELS


@MODELS.register_module()
class ScaleTranslate(nn.Module):
    """Scale and shift every cloud, each axis by itself (spec: ACT, section 7).

    Args:
        scale: Range of the factors.
        shift: Range of the shift is [-shift, shift], in units of the cloud.
        isotropic: One factor for all three axes.
    """

    def __init__(
        self,
        *,
        scale: Sequence[float] = (2 / 3, 3 / 2),
        shift: float = 0.2,
        isotropic: bool = False,
    ):
        super().__init__()
        self.scale = scale
        self.shift = shift
        self.isotropic = isotropic

    def forward(self, points: Tensor) -> Tensor:
        B, axes = len(points), 1 if self.isotropic else 3
        scale = points.new_empty(B, 1, axes).uniform_(*self.scale)
        shift = points.new_empty(B, 1, 3).uniform_(-self.shift, self.shift)
        return torch.cat([points[..., :3] * scale + shift, points[..., 3:]], dim=-1)


@MODELS.register_module()
class RandomRotation(nn.Module):
    """Rotate every cloud by a uniform angle about one axis.

    Args:
        axis: 0, 1 or 2; the up axis of object data is y, 1.
        max_angle: Angles are drawn from [0, max_angle), in radians.
    """

    def __init__(self, *, axis: int = 1, max_angle: float = 2 * math.pi):
        super().__init__()
        self.axis = axis
        self.max_angle = max_angle

    def forward(self, points: Tensor) -> Tensor:
        angle = points.new_empty(len(points)).uniform_(0, self.max_angle)
        cos, sin = angle.cos(), angle.sin()
        first, second = [a for a in range(3) if a != self.axis]
        rotation = torch.zeros(len(points), 3, 3, dtype=points.dtype, device=points.device)
        rotation[:, self.axis, self.axis] = 1
        rotation[:, first, first] = rotation[:, second, second] = cos
        rotation[:, first, second], rotation[:, second, first] = sin, -sin
        # Autocast would round the coordinates.
        with torch.autocast(points.device.type, enabled=False):
            coordinates = points[..., :3] @ rotation
        return torch.cat([coordinates, points[..., 3:]], dim=-1)


@MODELS.register_module()
class SubsamplePoints(nn.Module):
    """A random choice of points, the same places in every cloud of the batch.

    This is what the published finetuning does after farthest point sampling
    (ReCon, section 6): 1,024 of 1,200 points, 2,048 of 2,400, one choice per
    batch. As it does not touch labels of points, it is for whole clouds only.

    Args:
        num_points: Points that remain, in random order.
    """

    def __init__(self, num_points: int):
        super().__init__()
        self.num_points = num_points

    def forward(self, points: Tensor) -> Tensor:
        N = points.shape[1]
        if N < self.num_points:
            raise ValueError(
                f'SubsamplePoints keeps num_points={self.num_points}, the '
                f'clouds have {N}: sample more of them in the pipeline.'
            )
        index = torch.randperm(N, device=points.device)[: self.num_points]
        return points[:, index]
