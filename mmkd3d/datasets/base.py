"""What the data sets of single objects have in common."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mmengine.dataset import BaseDataset

from mmkd3d.registry import TRANSFORMS

META_DIR = Path(__file__).parent / 'meta'


def read_meta(name: str) -> dict | list:
    """A table that ships with the package, ``meta/NAME.json``."""
    return json.loads((META_DIR / f'{name}.json').read_text())


class PointDataset(BaseDataset):
    """Base of the data sets of single objects.

    A subclass implements ``load_data_list``. What goes into the pipeline is a
    dict with ``path`` (a file for ``LoadPoints``) or ``points`` (float32
    (N, 3+F)), ``sample_id`` and, where known, ``category``, ``gt_label`` and
    ``gt_parts`` (N,). ``metainfo['classes']`` names the labels,
    ``metainfo['up_axis']`` says which axis points up, where it is known.

    Args:
        data_root: Folder of the data.
        pipeline: Transforms; begin with ``LoadPoints``, end with
            ``PackPoints``.
        kwargs: Other arguments of ``mmengine.dataset.BaseDataset``:
            ``metainfo, indices, test_mode, lazy_init, serialize_data``.
    """

    def __init__(
        self, data_root: str | Path = '', *, pipeline: Sequence[dict | Callable] = (), **kwargs
    ):
        # our transforms by their bare names, whatever the default scope is
        pipeline = [
            TRANSFORMS.build({'_scope_': 'mmkd3d', **step}) if isinstance(step, Mapping) else step
            for step in pipeline
        ]
        super().__init__(data_root=str(data_root), data_prefix=dict(), pipeline=pipeline, **kwargs)

    def filter_data(self) -> list[dict]:
        """Refuse what would fail later: nothing left, or files missing.

        A transform may have a method ``check_items(items)``, which gets all
        items before the first is loaded.
        """
        if not self.data_list:
            raise ValueError(
                f'{type(self).__name__} in {self.data_root or "memory"}: no '
                'shape is left. Check the split, the list of shapes and the '
                'chosen categories.'
            )
        for step in self.pipeline.transforms:
            if hasattr(step, 'check_items'):
                step.check_items(self.data_list)
        return self.data_list

    def get_cat_ids(self, idx: int) -> list[int]:
        """Labels of a sample, as ``ClassBalancedDataset`` wants them."""
        return [self.get_data_info(idx)['gt_label']]


class ArrayDataset(PointDataset):
    """Base of the data sets whose clouds are held in memory.

    A subclass' ``load_data_list`` fills ``self.clouds`` (and ``self.parts``,
    where points have labels) with one array per shape and returns items with
    their place in it, ``cloud``.
    """

    clouds: Sequence = ()
    parts: Sequence | None = None

    def get_data_info(self, idx: int) -> dict:
        """The item with its points."""
        info = super().get_data_info(idx)
        place = info.pop('cloud')
        info['points'] = self.clouds[place].astype('float32')
        if self.parts is not None:
            info['gt_parts'] = self.parts[place].astype('int64')
        return info
