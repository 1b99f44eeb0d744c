"""Items of large data sets, made when they are asked for.

A list of a million dicts takes a gigabyte and seconds to pickle for the
workers of a loader. These sequences hold a few arrays, which the workers share.
"""

import os
from collections.abc import Callable, Iterable, Sequence

import numpy as np


class LazyItems(Sequence):
    """Items 0 to ``number - 1`` of a function.

    Args:
        number: Of items.
        make: Makes an item from its index.
    """

    def __init__(self, number: int, make: Callable[[int], dict]):
        self._number, self._make = number, make

    def __len__(self) -> int:
        return self._number

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f'item {index} of {len(self)}')
        return self._make(int(index) % len(self))


class FileItems(LazyItems):
    """Items of files: ``path`` and ``sample_id``, with labels ``gt_label`` and ``category``.

    The ``sample_id`` is the name without its suffix.

    Args:
        folder: Of the files.
        names: Paths relative to ``folder``, with ``/``.
        labels: Of each file, or None.
        classes: Names of the labels.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        names: Sequence[str],
        labels: Iterable[int] | None = None,
        classes: Sequence[str] = (),
    ):
        super().__init__(len(names), self._item)
        self._folder, self._classes = os.fspath(folder), tuple(classes)
        self._text = np.frombuffer(os.fsencode('\0'.join([*names, ''])), np.uint8)
        self._ends = np.flatnonzero(self._text == 0)
        self._labels = None if labels is None else np.fromiter(labels, np.int64, len(names))

    def _item(self, index: int) -> dict:
        start = self._ends[index - 1] + 1 if index else 0
        name = os.fsdecode(self._text[start : self._ends[index]].tobytes())
        item = dict(path=os.path.join(self._folder, name), sample_id=os.path.splitext(name)[0])
        if self._labels is not None:
            label = int(self._labels[index])
            item.update(gt_label=label, category=self._classes[label])
        return item
