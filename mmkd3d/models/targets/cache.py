"""Features of a frozen teacher on disk."""

import json
import math
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap

from mmkd3d.utils.atomic import named_errors, write_atomic
from mmkd3d.version import __version__

FEATURES, RECORD = 'features.npy', 'cache.json'
DTYPES = ('float32', 'float16')


class StaleCacheError(ValueError):
    """A cache belongs to another teacher, transform or data set."""


class FeatureCache:
    """Read-only access to a folder of cached features.

    The folder has two files, written by :class:`CacheWriter`:

    - ``features.npy``: (count, ...), memory-mapped; with K augmented copies of
      each sample, K rows of it follow each other;
    - ``cache.json``: ``identity``, a description of teacher, transform and
      copies; ``keys``, the sample id or text of each row, or of K rows;
      ``done``, the number of finished rows; ``digests``, hashes of the inputs
      of the teacher, of the first copy (empty for texts); ``source`` and
      ``version``, for people.

    Args:
        folder: Of the cache.
        identity: ``dict(teacher=..., transform=...)`` of this run, see
            :meth:`BaseTarget.identity`.

    Attributes:
        keys: Sample ids or texts.
        num_copies: K, rows of each key.
        features: (count, ...) in the dtype of the storage.

    Raises:
        FileNotFoundError: No cache in the folder.
        StaleCacheError: Its identity differs from that of this run.
        ValueError: It is incomplete or damaged.
    """

    def __init__(self, folder: str | Path, identity: dict):
        self.folder, self.identity = Path(folder), identity
        record = read_record(self.folder)
        if record is None:
            raise FileNotFoundError(
                f'No teacher cache ({RECORD}) in {folder}. Build it, also if it was '
                f'built by a version that did not write this file:\n  '
                f'{build_command(self.folder, identity)}'
            )
        refuse_stale(self.folder, record['identity'], identity)
        self.keys, self.num_copies = record['keys'], count_copies(identity)
        count = len(self.keys) * self.num_copies
        if record['done'] < count:
            raise ValueError(
                f'The teacher cache in {folder} has {record["done"]} of '
                f'{count} rows: its build was interrupted. Resume it:\n  '
                f'{build_command(self.folder, identity)}'
            )
        try:
            self.features = np.load(self.folder / FEATURES, mmap_mode='r')
        except (OSError, ValueError) as error:
            raise damaged(self.folder, error) from error
        self._row = {key: row for row, key in enumerate(self.keys)}
        self._digests = np.array(record['digests'], dtype=np.int64)
        self._checked = np.zeros(len(self.keys), dtype=bool)

    def rows(self, keys: Sequence[str], copies: Sequence[int] | None = None) -> np.ndarray:
        """Rows (len(keys),) of the keys; ``ValueError`` for unknown ones.

        Args:
            keys: Sample ids or texts.
            copies: For each of them the number of a copy, from 0; None: 0.
        """
        unknown = [key for key in keys if key not in self._row]
        if unknown:
            raise ValueError(
                f'{len(unknown)} of {len(keys)} samples are not in the teacher cache '
                f'in {self.folder}, which has {len(self.keys)}: {_some(unknown)}. '
                'Rebuild it from the data set of this run:\n  '
                f'{build_command(self.folder, self.identity, rebuild=True)}'
            )
        rows = np.array([self._row[key] for key in keys]) * self.num_copies
        if copies is None:
            return rows
        if not all(0 <= copy < self.num_copies for copy in copies):
            raise ValueError(
                f'The teacher cache in {self.folder} has {self.num_copies} copies of each '
                f'sample, got copy_idx {max(copies)}: set num_copies of AugmentedCopies in the '
                'pipeline to the same number.'
            )
        return rows + np.asarray(copies)

    def check(self, rows: np.ndarray, digests: np.ndarray, tolerance: int = 0) -> None:
        """Compare inputs of the teacher with those that were cached, of first copies.

        Args:
            rows: (B,) of the cache.
            digests: (B,) int64, see :meth:`BaseTarget.digests`.
            tolerance: Largest difference of equal inputs.

        Raises:
            StaleCacheError: Some samples differ.
        """
        first_copy = rows % self.num_copies == 0
        rows, digests = rows[first_copy] // self.num_copies, digests[first_copy]
        differ = np.abs(self._digests[rows] - digests) > tolerance
        if differ.any():
            first = int(np.flatnonzero(differ)[0])
            raise StaleCacheError(
                f'{int(differ.sum())} of {len(rows)} samples differ from those in the '
                f'teacher cache in {self.folder}: '
                f'{_some([self.keys[row] for row in rows[differ]])} (checksum of the '
                f'first: the cache has {self._digests[rows[first]]}, this run has '
                f'{digests[first]}). If the data changed, rebuild the cache:\n  '
                f'{build_command(self.folder, self.identity, rebuild=True)}\n'
                'If images or view points are augmented, remove that augmentation or '
                'train without the cache.'
            )
        self._checked[rows] = True

    def is_checked(self, rows: np.ndarray) -> bool:
        """Whether ``check`` has passed for all first copies among these rows."""
        copies, rows = rows % self.num_copies, rows // self.num_copies
        return bool((self._checked[rows] | (copies > 0)).all())


class CacheWriter:
    """Writes a :class:`FeatureCache`, or resumes an unfinished one.

    The record is replaced atomically whenever about 1 % of the rows were
    added, so that a kill loses at most these.

    Args:
        folder: Of the cache.
        keys: Of the rows, or of K copies each, unique.
        shape: Of the feature of one row.
        identity: ``dict(teacher=..., transform=...)``, see
            :meth:`BaseTarget.identity`.
        source: Origin of the data, for people.
        dtype: Of the storage, ``'float32'`` or ``'float16'``.

    Attributes:
        count: Number of rows.
        done: Number of written rows.
        num_bytes: Size of all features.

    Raises:
        StaleCacheError: The folder has a cache with another identity, other
            keys or another dtype.
        ValueError: Duplicate keys, an unknown dtype, or too little disk space.
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
    ):
        if dtype not in DTYPES:
            raise ValueError(f'dtype is one of {", ".join(DTYPES)}, got {dtype!r}.')
        self.folder = Path(folder)
        self.num_copies = count_copies(identity)
        shape = (len(keys) * self.num_copies, *shape)
        self.num_bytes = math.prod(shape) * np.dtype(dtype).itemsize
        found = read_record(self.folder)
        if found is None:
            self._create(list(keys), shape, dtype)
            found = dict(identity=identity, source=source, version=__version__)
            found |= dict(done=0, keys=list(keys), digests=[])
        refuse_stale(self.folder, found['identity'], identity)
        if found['keys'] != list(keys):
            raise StaleCacheError(
                f'The teacher cache in {self.folder} was built for other samples: '
                f'it has {len(found["keys"])}, this run has {len(keys)}. Rebuild it:\n  '
                f'{build_command(self.folder, identity, rebuild=True)}'
            )
        self._features = np.load(self.folder / FEATURES, mmap_mode='r+')
        refuse_stale(self.folder, dict(dtype=str(self._features.dtype)), dict(dtype=dtype))
        self._record = found
        self.count, self.done = len(self._features), found['done']

    def _create(self, keys: list[str], shape: tuple, dtype: str) -> None:
        if len(set(keys)) < len(keys):
            twice = next(key for key in keys if keys.count(key) > 1)
            raise ValueError(
                f'Several samples have the id {twice!r}: a cache needs unique sample '
                'ids. Remove wrappers that repeat samples, or rename the shapes.'
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.folder).free
        if self.num_bytes > free:
            # Writing to a memory map on a full disk would kill the process.
            raise ValueError(
                f'The features need {self.num_bytes / 1e9:.2f} GB, but {self.folder} '
                f'has {free / 1e9:.2f} GB free: use another folder, fewer views, or '
                'float16.'
            )
        path = self.folder / FEATURES
        with named_errors(path):
            open_memmap(path, 'w+', dtype, shape)
            with open(path, 'r+b') as file:  # take the space, for the same reason
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)

    def write(self, features: np.ndarray, digests: np.ndarray | None = None) -> None:
        """Write the next rows.

        Args:
            features: (n, ...) float32.
            digests: (n,) int64 of the inputs; None for texts.

        Raises:
            ValueError: Some features are not finite in the dtype.
        """
        end = self.done + len(features)
        with np.errstate(over='ignore'):
            features = features.astype(self._features.dtype)
        if not np.isfinite(features).all():
            raise ValueError(
                f'The features of rows {self.done} to {end - 1} are not finite in '
                f'{features.dtype}: check the teacher and its precision, or store '
                'float32.'
            )
        self._features[self.done : end] = features
        if digests is not None:
            self._record['digests'] += digests[
                -self.done % self.num_copies :: self.num_copies
            ].tolist()
        self.done = end
        if end == self.count or end - self._record['done'] >= self.count / 100:
            self._features.flush()
            self._record['done'] = end
            write_atomic(self.folder / RECORD, json.dumps(self._record).encode())

    def refuse_changed(self, digests: dict[int, int], tolerance: int = 0) -> None:
        """Check that finished rows were computed from the same data.

        Args:
            digests: Of the (first copies of) some samples, by their index;
                unfinished ones are ignored.
            tolerance: Largest difference of equal inputs.

        Raises:
            StaleCacheError: A checksum differs.
        """
        known = self._record['digests']
        for index, now in digests.items():
            if index < len(known) and abs(known[index] - now) > tolerance:
                raise StaleCacheError(
                    f'The teacher cache in {self.folder} was started with other data: '
                    f'the checksum of row {index} is {known[index]} '
                    f'there and {now} in this run. Rebuild it:\n  '
                    f'{build_command(self.folder, self._record["identity"], rebuild=True)}'
                )


def count_copies(identity: dict) -> int:
    """K, augmented copies of each sample in a cache with this identity."""
    return identity.get('copies', {}).get('num_copies', 1)


def remove_cache(folder: str | Path) -> None:
    """Remove the two files of a cache, and nothing else."""
    for name in (RECORD, FEATURES):
        Path(folder, name).unlink(missing_ok=True)


def build_command(folder: Path, identity: dict | None = None, *, rebuild: bool = False) -> str:
    """The command that builds the cache in ``folder``, with the copies of ``identity``."""
    command = f'python tools/cache_teacher.py CONFIG --out {folder.parent} --only {folder.name}'
    if identity and 'copies' in identity:
        command += f' --copies {identity["copies"]["num_copies"]}'
    return f'{command} --rebuild' if rebuild else command


def read_record(folder: Path) -> dict | None:
    """The record of a cache, complete or not; None if there is none."""
    path = folder / RECORD
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise damaged(folder, error) from error


def damaged(folder: Path, error: Exception) -> ValueError:
    """The error for a cache that cannot be read."""
    return ValueError(
        f'The teacher cache in {folder} is damaged ({error}): copy it again, or rebuild '
        f'it:\n  {build_command(folder, rebuild=True)}'
    )


def refuse_stale(folder: Path, found: dict, expected: dict) -> None:
    """Raise ``StaleCacheError`` with all differences of two descriptions."""
    lines = differences(found, expected)
    if lines:
        if 'copies' in found and 'copies' not in expected:
            lines.append(
                'A cache of augmented copies is for the config that it was built for, trained by '
                'tools/train.py.'
            )
        raise StaleCacheError(
            f'The teacher cache in {folder} is stale:\n  '
            + '\n  '.join(lines)
            + f'\nRebuild it:\n  {build_command(folder, expected, rebuild=True)}'
        )


def differences(found: Any, expected: Any, name: str = '') -> list[str]:
    """One line with both values for each field that differs.

    Args:
        found: Of a cache.
        expected: Of this run.
        name: Of the field; nested fields are appended with a dot.
    """
    if isinstance(found, dict) and isinstance(expected, dict):
        lines = []
        for key in dict.fromkeys((*found, *expected)):
            lines += differences(
                found.get(key, 'nothing'),
                expected.get(key, 'nothing'),
                f'{name}.{key}' if name else key,
            )
        return lines
    if found == expected:
        return []
    return [f'{name}: the cache has {found!r}, this run has {expected!r}']


def _some(names: Sequence[str]) -> str:
    more = ', ...' if len(names) > 5 else ''
    return ', '.join(repr(str(name)) for name in names[:5]) + more
