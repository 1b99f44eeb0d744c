"""Data preprocessor for point clouds, and augmentations of whole batches."""

import math
from collections.abc import Sequence

import torch
import torch.nn as nn
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from mmkd3d.registry import MODELS


@MODELS.register_module()
class PointDataPreprocessor(BaseDataPreprocessor):
    """Stack clouds of one size, move them to the device and augment the batch.

    Args:
        augments: Configs of augmentations, applied in this order during
            training: modules that map ``points`` (B, N, 3+F) to augmented
            points, such as :class:`ScaleTranslate`.
        non_blocking: Whether copies to the device are asynchronous.
    """

    def __init__(self, augments: Sequence[dict] = (), *, non_blocking: bool = False):
        super().__init__(non_blocking=non_blocking)
        self.augments = nn.ModuleList(MODELS.build(a) for a in augments)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Stack ``data['inputs']['points']`` to a float32 tensor (B, N, 3+F)."""
        samples = data.get('data_samples')
        # stack first: one copy to the device instead of B
        points = self.cast_data(stack_clouds(data['inputs']['points'], samples))
        if training:
            for augment in self.augments:
                points = augment(points)
        return dict(inputs=dict(points=points), data_samples=self.cast_data(samples))


def stack_clouds(clouds: Sequence[Tensor], samples: Sequence | None = None) -> Tensor:
    """Stack B clouds (N, C) to (B, N, C).

    Raises:
        ValueError: The clouds have different shapes.
    """
    shapes = [tuple(c.shape) for c in clouds]
    if len(set(shapes)) > 1:
        i = next(i for i, s in enumerate(shapes) if s != shapes[0])
        name = f' ({samples[i].get("sample_id")})' if samples else ''
        raise ValueError(
            f'All clouds of a batch must have the same shape, got {shapes[0]} for cloud 0 and '
            f"{shapes[i]} for cloud {i}{name}. Add dict(type='SamplePoints', num_points=...) "
            'to the pipeline.'
        )
    return torch.stack(list(clouds)).float()


@MODELS.register_module()
class ScaleTranslate(nn.Module):
    """Scale and translate each cloud at random (ACT, section 7).

    Args:
        scale: Range of the scale factors.
        shift: Maximum absolute translation along each axis, in units of the
            input.
        isotropic: Use the same scale factor for all three axes.
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
    """Rotate each cloud about an axis by a random angle.

    Args:
        axis: 0, 1 or 2. The up axis of object data is y, 1.
        max_angle: Angles are drawn uniformly from [0, max_angle), in radians.
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
        # autocast would round the coordinates
        with torch.autocast(points.device.type, enabled=False):
            coordinates = points[..., :3] @ rotation
        return torch.cat([coordinates, points[..., 3:]], dim=-1)


@MODELS.register_module()
class SubsamplePoints(nn.Module):
    """Keep a random subset of the points, with the same indices in all clouds.

    The published finetuning code does this after farthest point sampling:
    1,024 of 1,200 points, or 2,048 of 2,400 (ReCon, section 6). Labels of
    points are not subsampled, so use it for classification only.

    Args:
        num_points: Number of points to keep, in random order.

    Raises:
        ValueError: The clouds have fewer points.
    """

    def __init__(self, num_points: int):
        super().__init__()
        self.num_points = num_points

    def forward(self, points: Tensor) -> Tensor:
        N = points.shape[1]
        if N < self.num_points:
            raise ValueError(
                f'SubsamplePoints needs num_points={self.num_points} points, the clouds have '
                f'{N}: sample more points in the pipeline.'
            )
        index = torch.randperm(N, device=points.device)[: self.num_points]
        return points[:, index]
