"""The one place that stacks clouds, moves them and augments them in batch."""

from collections.abc import Sequence

import torch
import torch.nn as nn
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from mmkd3d.registry import MODELS


@MODELS.register_module()
class PointDataPreprocessor(BaseDataPreprocessor):
    """Collate clouds of one size and, in training, augment the batch.

    Args:
        augments: Configs of modules ``points (B, N, 3+F) -> points``, applied
            in this order in training only (see ``modules/augment.py``).
        non_blocking: Of the copies to the device.
    """

    def __init__(self, augments: Sequence[dict] = (), *, non_blocking: bool = False):
        super().__init__(non_blocking=non_blocking)
        self.augments = nn.ModuleList(MODELS.build(a) for a in augments)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Stack ``data['inputs']['points']`` to a float32 (B, N, 3+F)."""
        samples = data.get('data_samples')
        # Stacked first, so that all clouds are one copy to the device.
        points = stack_clouds(data['inputs']['points'], samples)
        points = self.cast_data(points)
        if training:
            for augment in self.augments:
                points = augment(points)
        return dict(inputs=dict(points=points), data_samples=self.cast_data(samples))


def stack_clouds(clouds: Sequence[Tensor], samples: Sequence | None = None) -> Tensor:
    """Stack B clouds (N, C) to (B, N, C); all must have the same shape."""
    shapes = [tuple(c.shape) for c in clouds]
    if len(set(shapes)) > 1:
        odd = next(i for i, s in enumerate(shapes) if s != shapes[0])
        name = f' ({samples[odd].get("sample_id")})' if samples else ''
        raise ValueError(
            f'The clouds of a batch must have one shape, got {shapes[0]} for '
            f'cloud 0 and {shapes[odd]} for cloud {odd}{name}. Put '
            "dict(type='SamplePoints', num_points=...) in the pipeline."
        )
    return torch.stack(list(clouds)).float()
