"""Identify the shapes of a data set, independent of its files."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset, Subset

from mmkd3d.datasets.readers import existing
from mmkd3d.datasets.transforms.loading import LoadPoints
from mmkd3d.utils.hashes import file_digest, row_digests, text_digest


class Identity(NamedTuple):
    """Hashes of a data set.

    Attributes:
        digests: (n,) int64, of the raw points x, y, z of each shape in any
            order. Resampled or renormalised clouds have other hashes. Scans of
            mmdetection3d are hashed by name and size of their files.
        names: Of the shapes.
        hash: 16 hexadecimal digits, of the shapes and labels in their order.
            For mmdetection3d: of the annotation file and the scans.
    """

    digests: np.ndarray
    names: Sequence[str]
    hash: str


class _Shape(NamedTuple):
    digest: int
    labels: str
    name: str


def identify(dataset: Dataset) -> Identity:
    """Hash all shapes of a data set, which reads each of them once.

    Args:
        dataset: Of mmkd3d or mmdetection3d, or a wrapper of mmengine or torch
            around such data sets. Repetitions do not count.

    Raises:
        ValueError: A data set of another kind.
    """
    files = [file_digest(part.ann_file) for part in parts(dataset) if getattr(part, 'ann_file', '')]
    shapes = list(_shapes(dataset))
    return Identity(
        np.array([shape.digest for shape in shapes], dtype=np.int64),
        [shape.name for shape in shapes],
        text_digest(files + [f'{shape.digest} {shape.labels}' for shape in shapes]),
    )


def parts(dataset: Dataset) -> Iterator[Dataset]:
    """The data sets inside of wrappers."""
    inner = getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]
    for part in inner:
        yield from [dataset] if part is None else parts(part)


def _shapes(dataset: Dataset) -> Iterator[_Shape]:
    if isinstance(dataset, Subset):
        known = list(_shapes(dataset.dataset))
        yield from (known[i] for i in dataset.indices)
    elif hasattr(dataset, 'datasets'):
        for part in dataset.datasets:
            yield from _shapes(part)
    elif hasattr(dataset, 'dataset'):
        yield from _shapes(dataset.dataset)
    elif hasattr(dataset, 'get_data_info'):
        steps = getattr(getattr(dataset, 'pipeline', None), 'transforms', ())
        load = next((step for step in steps if isinstance(step, LoadPoints)), LoadPoints())
        for i in range(len(dataset)):
            yield _shape(dataset.get_data_info(i), load)
    else:
        raise ValueError(
            f'{type(dataset).__name__} has no get_data_info(index), so its shapes cannot be '
            'identified: use a data set of mmkd3d or mmdetection3d.'
        )


def _shape(info: dict, load: LoadPoints) -> _Shape:
    """Hash one shape from the input of the pipeline."""
    if 'lidar_path' in info:
        path = existing(
            info['lidar_path'], 'the data set lists it', 'Get it, or make the annotation file anew.'
        )
        digest = text_digest([path.name, str(path.stat().st_size)])
        return _Shape(int(digest, 16) - 2**63, '', path.stem)
    name = str(info.get('sample_id', info.get('path', '?')))
    info = load(info)
    points = torch.from_numpy(info['points'][:, :3])
    labels = str(info.get('gt_label', ''))
    if 'gt_parts' in info:
        labels += ' ' + text_digest(map(str, info['gt_parts'].tolist()))
    return _Shape(int(row_digests(points).sum()), labels, name)
