"""Make a teacher cache, row by row, so that a kill loses little."""

import json
import math
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap

from mmkd3d.utils.atomic import write_atomic
from mmkd3d.utils.digest import text_digest
from mmkd3d.version import __version__

from .cache import (
    DIGESTS,
    FEATURES,
    KEYS,
    MANIFEST,
    PROGRESS,
    StaleCacheError,
    build_command,
    read_manifest,
    read_progress,
    refuse_stale,
)

DTYPES = ('float32', 'float16')


class CacheWriter:
    """Writes a :class:`FeatureCache`, or goes on where another one stopped.

    Rows count as done when they are on the disk and the record of progress,
    which is replaced as a whole, says so. A kill at any moment leaves a cache
    that the next writer completes.

    Args:
        folder: Of the cache; an unfinished cache in it is gone on with.
        keys: One for each row, all different.
        shape: Of the feature of one key.
        identity: ``dict(teacher=..., transform=...)``, see :mod:`.identity`.
        source: For people: where the keys come from.
        dtype: Of the storage, ``'float32'`` or ``'float16'``.
        digests: Whether every row has the checksum of what the teacher saw.

    Attributes:
        done: Number of rows that are written.
        num_bytes: Size of all features.

    Raises:
        StaleCacheError: The folder holds a cache of something else.
        ValueError: A key twice, an unknown dtype, or too little space.
    """

    def __init__(
        self,
        folder: str | Path,
        keys: Sequence[str],
        shape: Sequence[int],
        *,
        identity: dict,
        source: dict | None = None,
        dtype: str = 'float32',
        digests: bool = False,
    ):
        if dtype not in DTYPES:
            raise ValueError(f'dtype is one of {", ".join(DTYPES)}, got {dtype!r}.')
        self.folder = Path(folder)
        shape = (len(keys), *shape)
        self.num_bytes = math.prod(shape) * np.dtype(dtype).itemsize
        fields = dict(
            identity,
            data=dict(count=len(keys), keys=text_digest(keys)),
            shape=list(shape[1:]),
            dtype=dtype,
        )
        found = read_manifest(self.folder)
        if found is None:
            self._create(keys, shape, digests, dict(fields, source=source))
        else:
            refuse_stale(self.folder, found, fields)
        self._features = np.load(self.folder / FEATURES, mmap_mode='r+')
        self._digests = None
        if digests:
            self._digests = np.load(self.folder / DIGESTS, mmap_mode='r+')
        self.done = read_progress(self.folder)

    def _create(self, keys: Sequence[str], shape: tuple, digests: bool, fields: dict) -> None:
        _refuse_duplicates(keys)
        self.folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.folder).free
        if self.num_bytes > free:
            # A full disk would end the process in the middle of a write.
            raise ValueError(
                f'The features need {self.num_bytes / 1e9:.2f} GB and '
                f'{self.folder} has {free / 1e9:.2f} GB free: choose another '
                'folder, fewer views, or float16.'
            )
        open_memmap(self.folder / FEATURES, 'w+', fields['dtype'], shape)
        if digests:
            open_memmap(self.folder / DIGESTS, 'w+', 'int64', shape[:1])
        self._write_json(KEYS, list(keys))
        self._write_json(PROGRESS, dict(done=0))
        # Last: with a manifest, everything else is there.
        self._write_json(MANIFEST, dict(fields, version=__version__))

    def write(self, features: np.ndarray, digests: np.ndarray | None = None) -> None:
        """Write the next rows.

        Args:
            features: (n, *shape) float32.
            digests: (n,) int64, if the cache keeps them.

        Raises:
            ValueError: A feature is not finite, or not in float16.
        """
        end = self.done + len(features)
        with np.errstate(over='ignore'):
            features = features.astype(self._features.dtype)
        if not np.isfinite(features).all():
            raise ValueError(
                f'Features of rows {self.done} to {end - 1} are not finite '
                f'in {features.dtype}: check the teacher and its precision, '
                'or store float32.'
            )
        self._features[self.done : end] = features
        self._features.flush()
        if self._digests is not None:
            self._digests[self.done : end] = digests
            self._digests.flush()
        self._write_json(PROGRESS, dict(done=end))
        self.done = end

    def refuse_changed(self, digests: dict[int, int]) -> None:
        """``StaleCacheError`` if rows were made of something else.

        Args:
            digests: Of some samples as they are now, by their row; those
                that are not written yet are ignored.
        """
        for row, now in digests.items():
            if row < self.done and self._digests[row] != now:
                raise StaleCacheError(
                    f'{self.folder} was begun with other data: the checksum '
                    f'of row {row} is {self._digests[row]} there and {now} '
                    'now. Build it anew:\n  '
                    f'{build_command(self.folder, rebuild=True)}'
                )

    def _write_json(self, name: str, content) -> None:
        write_atomic(self.folder / name, json.dumps(content, indent=1).encode())


def remove_cache(folder: str | Path) -> None:
    """Remove the files of a cache, the manifest first, and nothing else."""
    for name in (MANIFEST, PROGRESS, KEYS, DIGESTS, FEATURES):
        Path(folder, name).unlink(missing_ok=True)


def _refuse_duplicates(keys: Sequence[str]) -> None:
    seen = set()
    twice = [key for key in keys if key in seen or seen.add(key)]
    if twice:
        raise ValueError(
            f'{len(twice)} keys stand for several samples, such as '
            f'{twice[0]!r}: a cache needs one sample_id for each. Leave out '
            'wrappers that repeat samples, and name the shapes apart.'
        )
