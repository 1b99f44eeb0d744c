"""All clouds in files, in folders, and in arrays of many."""

import glob
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mmkd3d.datasets.checks import existing
from mmkd3d.datasets.readers import CLOUD_NAMES, READERS, import_h5py, read_points


def list_files(inputs: Iterable[str | Path]) -> list[Path]:
    """The files of clouds that are meant, in alphabetical order each.

    Args:
        inputs: Files; folders, of which all files of a known format are
            taken, also from sub-folders; patterns: ``'scans/*.ply'``.

    Raises:
        FileNotFoundError: There is nothing of that name.
    """
    files = []
    for given in inputs:
        path = Path(given)
        if path.is_dir():
            found = [p for p in path.rglob('*') if p.suffix.lower() in READERS and p.is_file()]
        elif path.is_file():
            found = [path]
        else:
            found = map(Path, glob.glob(str(given), recursive=True))
        found = sorted(found)
        if not found:
            raise FileNotFoundError(
                f'{given}: there is no such file, no file of this pattern '
                'and no folder with point clouds. Known formats are '
                f'{" ".join(READERS)}.'
            )
        files += found
    return files


def read_clouds(
    path: str | Path, *, key: str | None = None, **options
) -> list[tuple[str, np.ndarray]]:
    """Read a file of one cloud, or of many in one array.

    Many are an array (S, N, C) of an npy, npz or h5 file; or (sum of N, C) in
    an npz file with the first point of each, ``offset`` (S + 1,).

    Args:
        path: The file.
        key: Name of the array in an npz or h5 file; else ``'points'``,
            ``'data'``, ``'xyz'`` or ``'pcd'``.
        options: Of :func:`read_points`: ``load_dim`` for ``.bin`` files.

    Returns:
        Name and points (N, C) of each: the path, with the place in the array
        where there are many: ``shapes.npz#3``.

    Raises:
        FileNotFoundError, ValueError, ImportError: See :func:`read_points`;
            or there is no such array.
    """
    path = existing(path, 'point clouds were to be read from it', 'Check the name.')
    name = path.as_posix()
    if path.suffix.lower() not in ('.npy', '.npz', '.h5', '.hdf5'):
        return [(name, read_points(path, **options))]
    try:
        array, offset = _read_array(path, key)
    except ImportError:
        raise
    except Exception as error:  # each format has its own errors
        if str(path) in str(error):
            raise
        raise ValueError(
            f'{path}: cannot be read as {path.suffix} ({error}). '
            'The file seems truncated or damaged; make or '
            'download it again.'
        ) from error
    if array is None:
        return [(name, read_points(path))]
    if offset is not None:
        array = np.split(array, offset[1:-1])
    elif array.ndim == 2:
        return [(name, array)]
    elif array.ndim != 3:
        raise ValueError(
            f'{path}: clouds are (N, C) or (S, N, C), got an array of shape {array.shape}.'
        )
    return [(f'{name}#{i}', cloud) for i, cloud in enumerate(array)]


def _read_array(path: Path, key: str | None) -> tuple:
    """An array and its offset, each None where there is none."""
    suffix = path.suffix.lower()
    if suffix == '.npy':
        return np.load(path, allow_pickle=False), None
    opened = np.load(path, allow_pickle=False) if suffix == '.npz' else import_h5py(path).File(path)
    with opened as arrays:
        present = list(arrays)
        key = key or next((n for n in CLOUD_NAMES if n in present), None)
        if key is None:
            return None, None
        if key not in present:
            raise ValueError(f'{path}: no array {key!r}, there are {present}.')
        offset = arrays['offset'][:] if 'offset' in present else None
        return arrays[key][:], offset
