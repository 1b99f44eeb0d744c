"""Shapes in the arrays of one npz file."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmkd3d.datasets.base import ArrayDataset
from mmkd3d.datasets.formats import check_offset
from mmkd3d.datasets.labels import check_labels
from mmkd3d.datasets.readers import read_arrays
from mmkd3d.registry import DATASETS
from mmkd3d.utils.names import check_class_names

MAX_CLASSES = 100_000


@DATASETS.register_module()
class NpzPoints(ArrayDataset):
    """Shapes stacked in an npz or h5 file, with labels in arrays beside them.

    All but the first two arguments name arrays of the file.

    Args:
        file: The npz or h5 file; relative to ``data_root``.
        points: (S, N, C) clouds; or (sum N, C) with ``offset``.
        label: (S,) class ids.
        names: Names of the classes; else their numbers are the names.
        ids: (S,) names of the shapes.
        split: (S,) values, of which ``split_value`` is taken.
        split_value: E.g. True for the test shapes of 'is_test'.
        parts: (S, N) part labels, or (sum N,) with ``offset``; negative for
            points without one. A label is of one part of one class.
        part_offset: (classes + 1,) first part label of each class; else the
            parts of a class are the labels that its shapes have, both splits
            together.
        offset: (S + 1,) first point of each shape, for clouds of any size.
        min_per_class: Drop classes with fewer shapes, both splits together.
        subset_of_classes: Keep these names only; 'in_both_splits' keeps the
            classes that have shapes on both sides of ``split_value``,
            'in_this_split_only' those that have none on the other side, as
            zero-shot classification wants them.
        data_root: Folder of ``file``.
        pipeline: Transforms.
        kwargs: See :class:`PointDataset`.

    Labels are numbered anew, without gaps, over the classes that are kept, in the
    order of the file, or in that of ``metainfo=dict(classes=[...])``, which may
    have more; part labels stay as they are. With ``parts``, ``metainfo['parts']`` (class
    -> part labels) is there for :class:`PartIoU`, and without ``label`` all
    shapes are of one class, named as the file.

    Raises:
        FileNotFoundError: No such file.
        ValueError: A missing array, arrays of different length, labels
            without a name, part labels beyond ``part_offset``, a class that is
            kept but not in ``metainfo``, or nothing left.
    """

    def __init__(
        self,
        file: str | Path,
        *,
        points: str = 'points',
        label: str | None = None,
        names: str | None = None,
        ids: str | None = None,
        split: str | None = None,
        split_value: bool | int | str | None = None,
        parts: str | None = None,
        part_offset: str | None = None,
        offset: str | None = None,
        min_per_class: int = 1,
        subset_of_classes: str | Sequence[str] | None = None,
        data_root: str | Path = '',
        pipeline: Sequence[dict | Callable] = (),
        **kwargs,
    ):
        self.file = Path(data_root) / file
        self.keys = dict(
            points=points,
            label=label,
            names=names,
            ids=ids,
            split=split,
            parts=parts,
            part_offset=part_offset,
            offset=offset,
        )
        self.split_value, self.min_per_class = split_value, min_per_class
        self.subset_of_classes = subset_of_classes
        super().__init__(data_root, pipeline=pipeline, **kwargs)

    def load_data_list(self) -> list[dict]:
        """One item per shape of the split that is of a kept class."""
        arrays = self._read()
        self.clouds, self.parts = arrays['points'], arrays.get('parts')
        count = len(self.clouds)
        mine = np.ones(count, dtype=bool)
        if 'split' in arrays:
            mine = arrays['split'] == self.split_value
        items = [dict(cloud=int(i)) for i in range(count)]
        if self.parts is not None and 'label' not in arrays:
            arrays['label'] = np.zeros(count, dtype=int)
            arrays['names'] = np.array([self.file.stem])
        if 'label' in arrays:
            mine &= self._label(arrays, mine, items)
        ids = arrays.get('ids', np.arange(count))
        for item, name in zip(items, ids):
            item['sample_id'] = f'{self.file.stem}_{name}'
        if not mine.any():
            raise ValueError(
                f'{self.file}: no shape is left with {self.keys["split"]} == '
                f'{self.split_value!r}, min_per_class={self.min_per_class} '
                f'and subset_of_classes={self.subset_of_classes!r}.'
            )
        return [items[i] for i in np.flatnonzero(mine)]

    def _read(self) -> dict:
        arrays: dict[str, Any] = read_arrays(self.file, self.keys)
        for role in ('label', 'names', 'ids', 'split'):
            if role in arrays and arrays[role].dtype.kind in 'SO':  # texts in h5 files
                arrays[role] = np.char.decode(arrays[role].astype('S'), 'utf-8', 'replace')
        if 'offset' in arrays:
            offset = arrays.pop('offset')
            for role in ('points', 'parts'):
                if role in arrays:
                    cuts = check_offset(offset, len(arrays[role]), self.file)[1:-1]
                    arrays[role] = np.split(arrays[role], cuts)
        sizes = {
            role: len(array)
            for role, array in arrays.items()
            if role not in ('names', 'part_offset')
        }
        if np.ndim(arrays.get('label', [])) != 1:
            raise ValueError(
                f"{self.file}: '{self.keys['label']}' has shape {arrays['label'].shape}, expected "
                'the class of each shape, (S,).'
            )
        if len(set(sizes.values())) > 1:
            raise ValueError(
                f'{self.file}: arrays of different length: {sizes}. Check the names of the arrays.'
            )
        for k, parts in enumerate(arrays.get('parts', ())):
            if np.shape(parts) != (len(arrays['points'][k]),):
                raise ValueError(
                    f'{self.file}: shape {k} has {len(arrays["points"][k])} '
                    f'points and part labels of shape {np.shape(parts)}: '
                    f"'{self.keys['parts']}' must hold one for each point."
                )
        return arrays

    def _label(self, arrays: dict, mine: np.ndarray, items: list) -> np.ndarray:
        """Label the items; which shapes are of a class that is kept."""
        label, names = arrays['label'], arrays.get('names')
        if names is None and label.dtype.kind in 'iufb':
            highest = int(np.nan_to_num(label).max(initial=0))
            if highest > MAX_CLASSES:
                raise ValueError(
                    f"{self.file}: '{self.keys['label']}' goes up to {highest}, expected the ids "
                    'of classes, counted from 0.'
                )
            names = np.arange(highest + 1).astype(str)
        elif names is None:
            names = np.unique(label)
        label = check_labels(label, len(names), self.file)
        total = np.bincount(label, minlength=len(names))
        keep = total >= max(self.min_per_class, 1)
        of_mine = np.bincount(label[mine], minlength=len(names))
        if self.subset_of_classes == 'in_both_splits':
            keep &= (of_mine > 0) & (of_mine < total)
        elif self.subset_of_classes == 'in_this_split_only':
            keep &= of_mine == total
        elif self.subset_of_classes is not None:
            unknown = set(self.subset_of_classes) - set(names.tolist())
            if unknown:
                raise ValueError(f'{self.file}: no class {sorted(unknown)}.')
            keep &= np.isin(names, self.subset_of_classes)
        kept = check_class_names([str(name) for name in names[keep]], self.file)
        number = np.cumsum(keep) - 1
        classes = self._wanted(kept)
        if classes:
            number[keep] = [classes.index(name) for name in kept]
        for item, k in zip(items, label):
            item.update(gt_label=int(number[k]), category=str(names[k]))
        self._metainfo['classes'] = classes or kept
        if self.parts is not None:
            offset = self._part_offset(arrays, len(names))
            table = {
                str(names[k]): self._parts_of(label == k, offset[k : k + 2], k)
                for k in np.flatnonzero(keep)
            }
            table |= {name: () for name in classes if name not in table}
            self._metainfo.setdefault('parts', table)
        return keep[label]

    def _wanted(self, kept: Sequence[str]) -> tuple[str, ...]:
        """Classes of the config, () if it has none."""
        classes = check_class_names(self._metainfo.get('classes'), 'metainfo of NpzPoints')
        unknown = [name for name in kept if name not in classes]
        if classes and unknown:
            raise ValueError(
                f'{self.file}: the class {unknown[0]!r} is not one of metainfo.classes, '
                f'{", ".join(map(repr, classes))}. Add it, or select with subset_of_classes.'
            )
        return classes

    def _part_offset(self, arrays: dict, classes: int) -> list[int]:
        """First part label of each class, and the end; [] if unknown."""
        if 'part_offset' not in arrays:
            return []
        offset = arrays['part_offset'].tolist()
        if len(offset) != classes + 1 or sorted(set(offset)) != offset:
            raise ValueError(
                f"{self.file}: '{self.keys['part_offset']}' must hold the "
                f'first part label of each of {classes} classes and the end, '
                f'rising, got {offset}.'
            )
        return offset

    def _parts_of(self, mine: np.ndarray, ends: list[int], k: int) -> tuple[int, ...]:
        """Part labels of class ``k``, whose shapes are ``mine`` (S,) bool."""
        rows = [np.unique(self.parts[i]) for i in np.flatnonzero(mine)]
        seen = np.unique(np.concatenate(rows))
        seen = seen[seen >= 0]
        own = range(*ends) if ends else range(int(seen.max(initial=-1)) + 1)
        check_labels(seen, own, f'{self.file}, class {k}', 'part label')
        return tuple(own if ends else seen.tolist())
