"""Features of a frozen teacher on disk, refused when they are stale."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .identity import differences

MANIFEST, KEYS = 'manifest.json', 'keys.json'
FEATURES, DIGESTS = 'features.npy', 'digests.npy'
PROGRESS = 'progress.json'


class StaleCacheError(ValueError):
    """A cache was made of something else than what this run uses."""


class FeatureCache:
    """A folder of features, one row for every key, open for reading.

    The folder holds ``manifest.json`` (what the features were made of: the
    teacher with a checksum of its weights, the transform of its input, a hash
    over the keys; shape, dtype and version), ``keys.json`` (sample ids or
    texts, in the order of the rows), ``features.npy``, which is mapped and
    not read as a whole, ``progress.json`` (rows that are done) and, for
    samples, ``digests.npy``, a checksum of what the teacher saw of each.
    :class:`CacheWriter` writes it.

    Args:
        folder: Of the cache.
        identity: ``dict(teacher=..., transform=...)`` of this run; see
            :mod:`.identity`.

    Attributes:
        keys: Of the rows.
        shape: Of the feature of one key.
        features: (count, *shape) in the dtype of the storage.

    Raises:
        FileNotFoundError: There is no cache.
        StaleCacheError: Its identity is not that of this run.
        ValueError: It is not complete, or damaged.
    """

    def __init__(self, folder: str | Path, identity: dict):
        self.folder = Path(folder)
        manifest = read_manifest(self.folder)
        if manifest is None:
            raise FileNotFoundError(
                f'There is no teacher cache in {folder}. Build it:\n  {build_command(self.folder)}'
            )
        refuse_stale(self.folder, manifest, identity)
        count = manifest['data']['count']
        done = read_progress(self.folder)
        if done < count:
            raise ValueError(
                f'The teacher cache in {folder} holds {done} of {count} rows: '
                'its making was interrupted. Go on with it:\n  '
                f'{build_command(self.folder)}'
            )
        self.shape = tuple(manifest['shape'])
        self.features, self._digests = self._map((count, *self.shape))
        self.keys = _read_json(self.folder / KEYS)
        self._row = {key: row for row, key in enumerate(self.keys)}
        self._checked = np.zeros(count, dtype=bool)

    def _map(self, shape: tuple) -> tuple[np.ndarray, np.ndarray | None]:
        digests = self.folder / DIGESTS
        try:
            features = np.load(self.folder / FEATURES, mmap_mode='r')
            digests = np.load(digests) if digests.exists() else None
        except (OSError, ValueError) as error:
            raise ValueError(_damaged(self.folder, str(error))) from error
        if features.shape != shape:
            raise ValueError(
                _damaged(self.folder, f'features of shape {features.shape}, not {shape}')
            )
        return features, digests

    def rows(self, keys: Sequence[str]) -> np.ndarray:
        """Rows (len(keys),) of the keys; ``ValueError`` for unknown ones."""
        try:
            return np.array([self._row[key] for key in keys])
        except KeyError:
            unknown = [key for key in keys if key not in self._row]
            raise ValueError(
                f'{len(unknown)} of {len(keys)} samples are not in the '
                f'teacher cache in {self.folder}, which holds '
                f'{len(self.keys)}: {_some(unknown)}. Build it from the data '
                'set of this run:\n  '
                f'{build_command(self.folder, rebuild=True)}'
            ) from None

    def check(self, rows: np.ndarray, digests: np.ndarray) -> None:
        """Compare what the teacher would see now with what it saw.

        Args:
            rows: (B,) of the cache.
            digests: (B,) int64 of ``mmkd3d.utils.digest.row_digests``.

        Raises:
            StaleCacheError: They differ for some sample.
        """
        differ = self._digests[rows] != digests
        if differ.any():
            first = int(np.flatnonzero(differ)[0])
            raise StaleCacheError(
                f'{int(differ.sum())} of {len(rows)} samples are not what the '
                f'teacher cache in {self.folder} was made of: '
                f'{_some([self.keys[row] for row in rows[differ]])} (checksum '
                f'of the first: the cache has {self._digests[rows[first]]}, '
                f'this run has {digests[first]}). Either the data changed, '
                'then build it anew:\n  '
                f'{build_command(self.folder, rebuild=True)}\nor the images '
                'or view points are augmented, then leave out either that or '
                'the cache.'
            )
        self._checked[rows] = True

    def is_checked(self, rows: np.ndarray) -> bool:
        """Whether all of these rows passed ``check`` in this process."""
        return bool(self._checked[rows].all())


def build_command(folder: Path, rebuild: bool = False) -> str:
    """The command that makes the cache in ``folder``."""
    return f'python tools/cache_teacher.py CONFIG --out {folder.parent} --only {folder.name}' + (
        ' --rebuild' if rebuild else ''
    )


def read_manifest(folder: Path) -> dict | None:
    """The manifest of a cache, complete or not; None if there is none."""
    path = folder / MANIFEST
    return _read_json(path) if path.is_file() else None


def read_progress(folder: Path) -> int:
    """Number of rows that are done."""
    return _read_json(folder / PROGRESS)['done']


def refuse_stale(folder: Path, manifest: dict, expected: dict) -> None:
    """``StaleCacheError`` if a field of ``expected`` is another there."""
    found = {key: manifest.get(key) for key in expected}
    lines = differences(found, expected)
    if lines:
        raise StaleCacheError(
            f'The teacher cache in {folder} is stale:\n  '
            + '\n  '.join(lines)
            + '\nBuild it anew:\n  '
            f'{build_command(folder, rebuild=True)}'
        )


def _read_json(path: Path) -> dict | list:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        how = f'{path.name}: {error}'
        raise ValueError(_damaged(path.parent, how)) from error


def _damaged(folder: Path, how: str) -> str:
    return (
        f'The teacher cache in {folder} is damaged ({how}): copy it '
        'again, or build it anew:\n  '
        f'{build_command(folder, rebuild=True)}'
    )


def _some(names: Sequence[str]) -> str:
    more = ', ...' if len(names) > 5 else ''
    return ', '.join(repr(str(name)) for name in names[:5]) + more
