"""Base classes and helpers of the data sets of single objects."""

import json
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from pathlib import Path

import numpy as np
from mmengine.dataset import BaseDataset

from mmkd3d.datasets.items import LazyItems
from mmkd3d.datasets.readers import read_arrays
from mmkd3d.registry import TRANSFORMS

META_DIR = Path(__file__).parent / 'meta'


def read_meta(name: str) -> dict | list:
    """A table that ships with the package, ``meta/NAME.json``."""
    return json.loads((META_DIR / f'{name}.json').read_text())


def verify_hint(name: str, root: str | Path) -> str:
    """Where a published data set comes from, and how to check a folder."""
    tool = 'python tools/prepare_data/dataset.py'
    return (
        f'Where to get it: {tool} info {name}; what else is missing: '
        f'{tool} verify {name} --root {root}'
    )


def read_labelled_h5(path: Path, hint: str) -> tuple[np.ndarray, np.ndarray]:
    """Read clouds ``data`` and labels ``label`` of a published h5 file.

    Args:
        path: The file.
        hint: Where to get it, for errors.

    Returns:
        (n, N, C) and (n,).

    Raises:
        ImportError: h5py is not installed.
        ValueError: Another file, a truncated one, or the numbers of clouds
            and labels differ.
    """
    try:
        arrays = read_arrays(path, dict(clouds='data', labels='label'))
    except ValueError as error:
        raise ValueError(f'{error} {hint}') from error
    clouds, labels = arrays['clouds'], arrays['labels'].reshape(-1)
    if len(clouds) != len(labels):
        raise ValueError(
            f'{path}: {len(clouds)} clouds, {len(labels)} labels. Get the file again. {hint}'
        )
    return clouds, labels


class PointDataset(BaseDataset):
    """Base of the data sets of single objects.

    A subclass implements ``load_data_list``. The pipeline gets a dict with
    ``path`` (a file for ``LoadPoints``) or ``points`` ((N, 3+F), float32 or 64),
    ``sample_id`` and, where known, ``category``, ``gt_label`` and
    ``gt_parts`` (N,). ``metainfo['classes']`` names the labels,
    ``metainfo['up_axis']`` is the axis that points up, where it is known.

    Args:
        data_root: Folder of the data.
        pipeline: Transforms; begin with ``LoadPoints``, end with
            ``PackPoints``.
        shots: Keep so many shapes of each class, drawn at random; all of a class
            with fewer. None keeps all shapes.
        draw: Seed of the draw. With the same number,
            :func:`~mmkd3d.evaluation.probes.few_label_accuracy` draws the same
            shapes first.
        kwargs: Other arguments of ``mmengine.dataset.BaseDataset``:
            ``metainfo, indices, test_mode, lazy_init, serialize_data``.

    Raises:
        ValueError: ``shots`` is no whole number from 1, or shapes have no label to draw by.
    """

    def __init__(
        self,
        data_root: str | Path = '',
        *,
        pipeline: Sequence[dict | Callable] = (),
        shots: int | None = None,
        draw: int = 0,
        **kwargs,
    ):
        whole = isinstance(shots, Integral) and not isinstance(shots, bool)
        if shots is not None and not (whole and shots >= 1):
            raise ValueError(
                f'shots must be a whole number, at least 1 shape of each class, got {shots!r}.'
            )
        self.shots, self.draw = shots, draw
        # our transforms by their bare names, whatever the default scope is
        pipeline = [
            TRANSFORMS.build({'_scope_': 'mmkd3d', **step}) if isinstance(step, Mapping) else step
            for step in pipeline
        ]
        super().__init__(data_root=str(data_root), data_prefix=dict(), pipeline=pipeline, **kwargs)

    def filter_data(self) -> Sequence[dict]:
        """Draw few labels; fail early if no shape is left, or if a transform lacks files.

        A transform may have a method ``check_items(items)``, which is called
        with all items before the first one is loaded.
        """
        if not self.data_list:
            raise ValueError(
                f'{type(self).__name__} in {self.data_root or "memory"}: no '
                'shape is left. Check the split, the list of shapes and the '
                'chosen categories.'
            )
        items = self.data_list if self.shots is None else self._few()
        for step in self.pipeline.transforms:
            if hasattr(step, 'check_items'):
                step.check_items(items)
        if isinstance(items, LazyItems) and self._indices is None:
            self.serialize_data = False  # a few arrays already
        return items

    def _few(self) -> list[dict]:
        """``shots`` items of each class."""
        labels = np.array([item.get('gt_label', -1) for item in self.data_list])
        if (labels < 0).any():
            raise ValueError(
                f'shots={self.shots} needs a label for every shape: set label of NpzPoints, use '
                'one folder for each class, or leave shots out.'
            )
        rng = np.random.default_rng(self.draw)
        chosen = [
            rng.permutation(np.flatnonzero(labels == k))[: self.shots] for k in np.unique(labels)
        ]
        return [self.data_list[i] for i in np.sort(np.concatenate(chosen))]

    def get_cat_ids(self, idx: int) -> list[int]:
        """Labels of a sample, for ``ClassBalancedDataset``."""
        return [self.get_data_info(idx)['gt_label']]


class ArrayDataset(PointDataset):
    """Base of the data sets that keep all clouds in memory.

    ``load_data_list`` of a subclass sets ``self.clouds`` (and ``self.parts``,
    if points have labels) to one array per shape, and returns items with
    their index, ``cloud``.
    """

    clouds: Sequence = ()
    parts: Sequence | None = None

    def get_data_info(self, idx: int) -> dict:
        """The item with its points."""
        info = super().get_data_info(idx)
        index = info.pop('cloud')
        cloud = np.asarray(self.clouds[index])
        # at least float32; float64 until LoadPoints has taken off an origin
        info['points'] = cloud.astype(np.promote_types(cloud.dtype, np.float32))
        if self.parts is not None:
            info['gt_parts'] = self.parts[index].astype('int64')
        return info
