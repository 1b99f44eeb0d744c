"""Which shapes a data set holds, whatever its files are called."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset, Subset

from mmkd3d.datasets.readers import existing
from mmkd3d.datasets.transforms.loading import LoadPoints
from mmkd3d.utils.hashes import file_digest, row_digests, text_digest


class Item(NamedTuple):
    """A shape or a scan before it is sampled: checksum, labels, name."""

    digest: int
    labels: str
    name: str


class Identity(NamedTuple):
    """What a data set holds.

    Attributes:
        digests: (n,) int64, see :func:`shape_digests`.
        names: Of the shapes.
        hash: See :func:`data_hash`.
    """

    digests: np.ndarray
    names: Sequence[str]
    hash: str


def shape_digests(dataset: Dataset) -> np.ndarray:
    """Checksum of the points of every shape, before sampling or augmentation.

    The order of the points does not count, nor do columns after x, y, z.
    Clouds that were sampled anew from the same mesh, or normalised when they
    were stored, are other clouds. A scan of mmdetection3d is known by the
    name and the size of its file.

    Args:
        dataset: Of ours, of mmdetection3d, or mmengine's or torch's wrapper
            around such data sets.

    Returns:
        (n,) int64, in the order of the data set.

    Raises:
        ValueError: A data set of another kind.
    """
    return identify(dataset).digests


def data_hash(dataset: Dataset) -> str:
    """Checksum of the shapes and labels of a data set, in their order.

    For data sets of mmdetection3d: of their annotation file and of the names
    and sizes of the files of points.

    Returns:
        16 hexadecimal digits.
    """
    return identify(dataset).hash


def identify(dataset: Dataset) -> Identity:
    """All that is known of the shapes, from reading each of them once."""
    files = [file_digest(part.ann_file) for part in parts(dataset) if getattr(part, 'ann_file', '')]
    found = list(items(dataset))
    return Identity(
        np.array([item.digest for item in found], dtype=np.int64),
        [item.name for item in found],
        text_digest(files + [f'{i.digest} {i.labels}' for i in found]),
    )


def shared_shapes(seen: Identity, test: Identity) -> list[str]:
    """Names of the shapes of ``test`` that are among those ``seen``."""
    shared = np.isin(test.digests, seen.digests)
    return [test.names[i] for i in np.flatnonzero(shared)]


def refuse_shared_shapes(pretraining: Dataset, test: Dataset) -> None:
    """Check that no shape of ``test`` was learned from.

    Raises:
        ValueError: Shapes are in both data sets; says how many, and which.
    """
    test = identify(test)
    shared = shared_shapes(identify(pretraining), test)
    if shared:
        raise ValueError(
            f'{tell_shared(shared, test)} are in the pretraining data. A '
            'result on them would be too good: test on shapes that were held '
            'out.'
        )


def tell_shared(shared: Sequence[str], test: Identity) -> str:
    """How many, and which."""
    more = ', ...' if len(shared) > 5 else ''
    return f'{len(shared)} of {len(test.names)} test shapes ({", ".join(shared[:5])}{more})'


def parts(dataset: Dataset) -> Iterator[Dataset]:
    """The data sets within wrappers, each once."""
    within = getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]
    for part in within:
        yield from [dataset] if part is None else parts(part)


def items(dataset: Dataset) -> Iterator[Item]:
    """What is known of every shape, in the order of the data set.

    A wrapper that repeats shapes does not count here.
    """
    if isinstance(dataset, Subset):
        known = list(items(dataset.dataset))
        yield from (known[i] for i in dataset.indices)
    elif hasattr(dataset, 'datasets'):
        for part in dataset.datasets:
            yield from items(part)
    elif hasattr(dataset, 'dataset'):
        yield from items(dataset.dataset)
    elif hasattr(dataset, 'get_data_info'):
        load = raw_loader(dataset)
        for i in range(len(dataset)):
            yield describe(dataset.get_data_info(i), load)
    else:
        raise ValueError(
            f'{type(dataset).__name__} does not say what its shapes are: it '
            'has no get_data_info(index). Use a data set of mmkd3d or '
            'mmdetection3d.'
        )


def raw_loader(dataset: Any) -> LoadPoints:
    """The ``LoadPoints`` of a data set, or one as by default."""
    steps = getattr(getattr(dataset, 'pipeline', None), 'transforms', ())
    return next((s for s in steps if isinstance(s, LoadPoints)), LoadPoints())


def describe(info: dict, load: LoadPoints) -> Item:
    """From what goes into the pipeline of a data set."""
    if 'lidar_path' in info:
        path = existing(
            info['lidar_path'], 'the data set lists it', 'Get it, or make the annotation file anew.'
        )
        digest = text_digest([path.name, str(path.stat().st_size)])
        return Item(int(digest, 16) - 2**63, '', path.stem)
    name = str(info.get('sample_id', info.get('path', '?')))
    info = load(info)
    points = torch.from_numpy(info['points'][:, :3])
    labels = str(info.get('gt_label', ''))
    if 'gt_parts' in info:
        labels += ' ' + text_digest(map(str, info['gt_parts'].tolist()))
    return Item(int(row_digests(points).sum()), labels, name)
