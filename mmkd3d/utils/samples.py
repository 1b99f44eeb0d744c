"""Read fields of data samples and stack clouds of different sizes."""

from collections.abc import Sequence

import torch
from torch import Tensor


def metainfo(data_samples: list, name: str, hint: str) -> list:
    """One entry of the metainfo of every sample.

    Args:
        data_samples: B elements.
        name: Of the entry.
        hint: How to provide the entry; ends the error message.

    Raises:
        ValueError: Some samples lack the entry.
    """
    values = [sample.get(name) for sample in data_samples]
    if None in values:
        raise ValueError(_missing(data_samples, values, name, hint))
    return values


def sample_ids(data_samples: list) -> list[str]:
    """The ``sample_id`` of every sample; ``ValueError`` if some have none."""
    ids = metainfo(data_samples, 'sample_id', 'A teacher cache looks features up by sample_id.')
    return [str(i) for i in ids]


def stack_field(data_samples: list, name: str, hint: str) -> Tensor | None:
    """Stack a field (...) of every sample as (B, ...) float32.

    Args:
        data_samples: B elements.
        name: Of the field.
        hint: How to provide the field; ends the error message.

    Returns:
        (B, ...), or None if no sample has the field.

    Raises:
        ValueError: Only some samples have the field, or the shapes differ.
    """
    values = [sample.get(name) for sample in data_samples]
    if all(value is None for value in values):
        return None
    if any(value is None for value in values):
        raise ValueError(_missing(data_samples, values, name, hint))
    shapes = [tuple(value.shape) for value in values]
    if len(set(shapes)) > 1:
        odd = next(i for i, shape in enumerate(shapes) if shape != shapes[0])
        names = sample_names(data_samples)
        raise ValueError(
            f'All samples of a batch need {name} of the same shape, got '
            f'{shapes[0]} for {names[0]} and {shapes[odd]} for {names[odd]}. {hint}'
        )
    return torch.stack(values).float()


def sample_names(data_samples: list) -> list[str]:
    """The ``sample_id`` of every sample for messages, or ``'?'``."""
    return [str(sample.get('sample_id', '?')) for sample in data_samples]


def _missing(data_samples: list, values: Sequence, name: str, hint: str) -> str:
    lacking = [sample for sample, value in zip(data_samples, values) if value is None]
    some = ', '.join(sample_names(lacking[:5]))
    more = ', ...' if len(lacking) > 5 else ''
    return f'{len(lacking)} of {len(data_samples)} samples have no {name}: {some}{more}. {hint}'


def stack_padded(clouds: Sequence[Tensor]) -> Tensor:
    """Stack clouds (N_i, ...) as (B, N, ...), with N the largest N_i.

    Smaller clouds are padded by repeating their own points from the first on,
    which adds no new positions.

    Raises:
        ValueError: A cloud is empty.
    """
    if isinstance(clouds, Tensor):
        return clouds
    sizes = [len(cloud) for cloud in clouds]
    if 0 in sizes:
        raise ValueError(f'A cloud of the batch is empty: sizes {sizes}.')
    return torch.stack(
        [
            cloud[torch.arange(max(sizes), device=cloud.device) % size]
            if size < max(sizes)
            else cloud
            for cloud, size in zip(clouds, sizes)
        ]
    )
