"""What the targets of all teachers share."""

from collections.abc import Sequence
from contextlib import AbstractContextManager

import torch
import torch.nn as nn
from torch import Tensor

from mmkd3d.registry import MODELS

from ..teachers.identity import describe_teacher
from ..teachers.prompted_transformer import PRECISIONS


class BaseTarget(nn.Module):
    """What a frozen teacher says of the samples of a batch.

    Nothing of it is in a state dict, an optimizer or a DDP bucket.

    Args:
        teacher: Config of a teacher.
        precision: Of the teacher: ``'fp32'``, ``'bf16'`` or ``'fp16'``,
            whatever the student is trained in. Features are float32.

    Attributes:
        dims: Width D of the features.
        teacher: The teacher, or None while a cache stands in for it.
    """

    dims: int
    teacher: nn.Module | None

    def __init__(self, teacher: dict, *, precision: str = 'fp32'):
        super().__init__()
        if precision not in PRECISIONS:
            raise ValueError(f'precision is one of {", ".join(PRECISIONS)}, got {precision!r}.')
        self.teacher = MODELS.build(teacher)
        self.teacher_cfg = teacher
        self.precision = precision

    def forward(self, points: Tensor, data_samples: list) -> Tensor:
        """Features (B, D) float32, without gradient, of B samples.

        Or (B, N, D), of every point of the samples.

        Args:
            points: (B, N, 3+F) of the batch, augmented.
            data_samples: B elements with what the teacher reads.
        """
        raise NotImplementedError

    def transform(self) -> dict:
        """How a sample becomes what the teacher reads, as plain data."""
        raise NotImplementedError

    def identity(self) -> dict:
        """What a cache of the features is told by; needs the teacher."""
        return dict(
            teacher=describe_teacher(self.teacher, self.teacher_cfg, self.precision),
            transform=self.transform(),
        )

    def teacher_precision(self, device: torch.device) -> AbstractContextManager:
        """Context of the teacher's own precision, not the student's."""
        dtype = PRECISIONS[self.precision]
        return torch.autocast(device.type, dtype, enabled=dtype is not None)


def metainfo(data_samples: list, name: str, way_out: str) -> list:
    """One entry of the metainfo of every sample.

    Raises:
        ValueError: Some samples lack it; ``way_out`` says what to do.
    """
    values = [sample.get(name) for sample in data_samples]
    if None in values:
        raise ValueError(_lacking(data_samples, values, name, way_out))
    return values


def stack_field(data_samples: list, name: str, way_out: str) -> Tensor | None:
    """A field (...) of every sample as (B, ...), or None if none has it.

    Raises:
        ValueError: Some samples lack it, or their shapes differ.
    """
    values = [sample.get(name) for sample in data_samples]
    if all(value is None for value in values):
        return None
    if any(value is None for value in values):
        raise ValueError(_lacking(data_samples, values, name, way_out))
    shapes = [tuple(value.shape) for value in values]
    if len(set(shapes)) > 1:
        odd = next(i for i, s in enumerate(shapes) if s != shapes[0])
        names = sample_names(data_samples)
        raise ValueError(
            f'The samples of a batch must have {name} of one shape, got '
            f'{shapes[0]} for {names[0]} and {shapes[odd]} for {names[odd]}. '
            f'{way_out}'
        )
    return torch.stack(values).float()


def sample_names(data_samples: list) -> list[str]:
    """For messages: the ids, or ``'?'``."""
    return [str(sample.get('sample_id', '?')) for sample in data_samples]


def _lacking(data_samples: list, values: Sequence, name: str, way_out: str) -> str:
    lacking = [sample for sample, value in zip(data_samples, values) if value is None]
    some = ', '.join(sample_names(lacking[:5]))
    more = ', ...' if len(lacking) > 5 else ''
    return f'{len(lacking)} of {len(data_samples)} samples have no {name}: {some}{more}. {way_out}'
