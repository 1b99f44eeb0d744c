"""Point clouds in any form, one after another."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from mmkd3d.datasets.clouds import list_files, read_clouds

Cloud = np.ndarray | Tensor
CloudInputs = Cloud | str | Path | Sequence | Dataset


class Given(NamedTuple):
    """Clouds and the form in which they were given.

    Attributes:
        clouds: Name, for errors, and points (N, C) of each.
        form: ``'one'`` (N, C), ``'stack'`` (B, N, C) or ``'list'``.
        prepared: Whether they went through the pipeline of a data set.
        up: Which axis points up, if known.
    """

    clouds: Iterator[tuple[str, Cloud]]
    form: str = 'list'
    prepared: bool = False
    up: str | None = None


def read_inputs(inputs: CloudInputs, **options) -> Given:
    """Read clouds in the order in which they are given.

    Args:
        inputs: An array (N, C) or (B, N, C), a list of arrays (N, C), paths
            (see :func:`~mmkd3d.datasets.clouds.list_files`), or a data set
            whose samples have ``inputs['points']``.
        options: Of files, see
            :func:`~mmkd3d.datasets.clouds.read_clouds`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Nothing of these.
    """
    if isinstance(inputs, (np.ndarray, Tensor)):
        if inputs.ndim not in (2, 3):
            raise ValueError(
                f'Clouds are (N, C) or (B, N, C), got an array of shape {tuple(inputs.shape)}.'
            )
        if inputs.ndim == 2:
            return Given(name([inputs]), 'one')
        return Given(name(inputs), 'stack')
    if isinstance(inputs, (str, Path)):
        files = list_files([inputs])
        clouds = read_files(files, **options)
        if Path(inputs).is_file():
            clouds = list(clouds)
            form = 'one' if len(clouds) == 1 else 'list'
            return Given(iter(clouds), form)
        return Given(clouds)
    if isinstance(inputs, (list, tuple)):
        if inputs and all(isinstance(x, (str, Path)) for x in inputs):
            return Given(read_files(list_files(inputs), **options))
        return Given(name(inputs))
    if hasattr(inputs, '__getitem__') and hasattr(inputs, '__len__'):
        metainfo = getattr(inputs, 'metainfo', None) or {}
        return Given(samples_of(inputs), prepared=True, up=metainfo.get('up_axis'))
    raise ValueError(
        'Give clouds as an array, a list of arrays, a path, a '
        'list of paths or a data set, got a '
        f'{type(inputs).__name__}.'
    )


def name(clouds: Iterable[Cloud]) -> Iterator[tuple[str, Cloud]]:
    """Clouds with their places for names."""
    return ((f'cloud {i}', points) for i, points in enumerate(clouds))


def read_files(files: Iterable[Path], **options) -> Iterator[tuple[str, Cloud]]:
    """The clouds of files, each read when it is its turn."""
    for path in files:
        yield from read_clouds(path, **options)


def samples_of(dataset: Dataset) -> Iterator[tuple[str, Cloud]]:
    """The packed clouds of a data set."""
    for i in range(len(dataset)):
        sample = dataset[i]
        if not isinstance(sample, dict) or 'points' not in sample.get('inputs', {}):
            raise ValueError(
                f'Sample {i} of {type(dataset).__name__} has no '
                "inputs['points']: end its pipeline with PackPoints."
            )
        points = sample['inputs']['points']
        yield f'sample {i}', getattr(points, 'tensor', points)
