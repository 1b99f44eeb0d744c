"""Read point clouds: the one way in for data sets, tools and Python.

:func:`read_clouds` takes arrays, files, folders, patterns, lists of these, and
data sets; :mod:`~mmkd3d.datasets.formats` has a function for each format of
files. Columns are x, y, z, found by their names if the file has names, and then
whatever the file holds, in its order. Surfaces (off, obj, stl, glb, and ply
with faces) are sampled by area.
"""

import glob
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from mmkd3d.datasets.formats import FORMATS, check_kind, open_arrays, take_columns
from mmkd3d.utils.file_kind import special_kind

Cloud = np.ndarray | Tensor
CloudInputs = Cloud | str | Path | Sequence | Dataset


def read_clouds(inputs: CloudInputs, **options) -> Iterator[tuple[str, np.ndarray]]:
    """Read clouds one after another, in the given order.

    Args:
        inputs: An array (N, C) or (B, N, C), a list of arrays (N, C) of any
            sizes, a path or a list of paths (see :func:`list_files`), or a
            data set whose samples have ``inputs['points']``.
        options: For files, see :func:`read_file`.

    Returns:
        Iterator of names, for errors, and points (N, C), float32. Files are
        read when it is their turn.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: ``inputs`` is none of these, or one of the clouds is
            unusable, see :func:`check_points`.
    """
    return ((name, check_points(points, name)) for name, points in _named(inputs, options))


def _named(inputs: CloudInputs, options: dict) -> Iterator[tuple[str, Cloud]]:
    """Names and unchecked clouds."""
    if isinstance(inputs, (str, Path)):
        inputs = [inputs]
    if isinstance(inputs, (np.ndarray, Tensor)):
        if inputs.ndim not in (2, 3):
            raise ValueError(
                f'Clouds are (N, C) or (B, N, C), got an array of shape {tuple(inputs.shape)}.'
            )
        inputs = list(inputs) if inputs.ndim == 3 else [inputs]
    if isinstance(inputs, (list, tuple)):
        if inputs and all(isinstance(x, (str, Path)) for x in inputs):
            files = list_files(inputs)
            return (cloud for path in files for cloud in read_file(path, **options))
        return ((f'cloud {i}', points) for i, points in enumerate(inputs))
    if is_dataset(inputs):
        return _packed_clouds(inputs)
    raise ValueError(
        'Clouds are an array, a list of arrays, a path, a list of paths or a data set, '
        f'got a {type(inputs).__name__}.'
    )


def is_dataset(inputs: CloudInputs) -> bool:
    """Whether ``inputs`` is a data set, whose pipeline has prepared the clouds."""
    others = (str, Path, np.ndarray, Tensor, list, tuple)
    return not isinstance(inputs, others) and all(
        hasattr(inputs, name) for name in ('__getitem__', '__len__')
    )


def _packed_clouds(dataset: Any) -> Iterator[tuple[str, Cloud]]:
    for i in range(len(dataset)):
        sample = dataset[i]
        if not isinstance(sample, dict) or 'points' not in sample.get('inputs', {}):
            raise ValueError(
                f'Sample {i} of {type(dataset).__name__} has no '
                "inputs['points']: end its pipeline with PackPoints."
            )
        points = sample['inputs']['points']
        yield f'sample {i}', getattr(points, 'tensor', points)  # of mmdetection3d's points


def list_files(inputs: Iterable[str | Path]) -> list[Path]:
    """Find point-cloud files, in alphabetical order for each input.

    Args:
        inputs: Files; folders, searched with their sub-folders for all known
            formats; patterns such as ``'scans/*.ply'``.

    Raises:
        FileNotFoundError: An input matches nothing.
    """
    files = []
    for given in inputs:
        path = Path(given)
        if path.is_dir():
            found = files_in(path)
        elif path.is_file():
            found = [path]
        else:
            found = [Path(match) for match in glob.glob(str(given), recursive=True)]
        if not found:
            raise FileNotFoundError(
                f'{given}: no such file, no file that matches the pattern, and no folder with '
                f'point clouds. Known formats are {" ".join(FORMATS)}.'
            )
        files += sorted(found)
    return files


def files_in(folder: Path, suffixes: Iterable[str] | None = None) -> list[Path]:
    """Files of a folder and its sub-folders, sorted; of all known formats by default."""
    suffixes = {suffix.lower() for suffix in suffixes or FORMATS}
    return sorted(p for p in folder.rglob('*') if p.suffix.lower() in suffixes and p.is_file())


def read_file(
    path: str | Path,
    *,
    columns: Sequence[str] | None = None,
    key: str | None = None,
    load_dim: int | None = None,
    num_mesh_points: int = 8192,
    dense_vertices: bool = False,
    seed: int = 0,
) -> list[tuple[str, np.ndarray]]:
    """Read all clouds of a file, in the precision of the file, unchecked.

    An npy, npz or h5 file may hold many: as an array (S, N, C), or as
    (sum of N, C) with the first point of each cloud in ``offset`` (S + 1,).

    Args:
        path: The file; its suffix tells the format, one of ``FORMATS``.
        columns: Names of the columns to take, in any case, e.g.
            ``('x', 'y', 'z', 'red', 'green', 'blue')``, or their numbers from
            0 where they have no names; the first three are the coordinates.
            None takes x, y, z, wherever they stand, and then all others that
            are numbers, without an index in the first column.
        key: Name of the array in an npz or h5 file, with its groups in an h5
            file (``'scene/points'``); None takes ``'points'``, ``'data'``,
            ``'xyz'`` or ``'pcd'``, else the only (N, C) array.
        load_dim: Columns of a ``.bin`` file (float32 rows).
        num_mesh_points: Points sampled from a surface.
        dense_vertices: Take the vertices of a mesh, with the columns that a
            ply has for them, if there are at least ``num_mesh_points``, as
            the preparation of ScanNet does.
        seed: Seed of the surface sampling.

    Returns:
        Name and points (N, C) of each cloud: the path, with the index behind
        it if there can be many: ``shapes.npz#3``.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Unknown format, a damaged file or one of another kind, or
            no such array or columns; the message names the file.
        ImportError: The format needs a package that is not installed.
    """
    path = existing(path, 'it should hold point clouds', 'Check data_root, or the list of files.')
    read = FORMATS.get(path.suffix.lower())
    if read is None:
        raise ValueError(
            f'{path}: unknown format, expected one of {" ".join(FORMATS)}. Convert the file.'
        )
    if columns is not None and (isinstance(columns, str) or len(columns) < 3):
        raise ValueError(
            f"columns are three names or more, as in ('x', 'y', 'z'), got {columns!r}."
        )
    with _readable(path):
        check_kind(path)
        clouds = read(
            path,
            columns=columns,
            key=key,
            load_dim=load_dim,
            num_mesh_points=num_mesh_points,
            dense_vertices=dense_vertices,
            seed=seed,
        )
    name = path.as_posix()
    if isinstance(clouds, list):
        return [(f'{name}#{i}', take_columns(c, columns, path)) for i, c in enumerate(clouds)]
    return [(name, take_columns(clouds, columns, path))]


def read_points(
    path: str | Path,
    channels: int | Sequence[int] | None = None,
    *,
    missing: str = 'error',
    **options,
) -> np.ndarray:
    """Read the only point cloud of a file.

    Args:
        path: The file.
        channels: Columns to return, see :func:`select_channels`.
        missing: See :func:`select_channels`.
        options: See :func:`read_file`.

    Returns:
        (N, C) float32, x, y, z first.

    Raises:
        FileNotFoundError, ImportError: See :func:`read_file`.
        ValueError: See :func:`read_file`, :func:`check_points` and
            :func:`select_channels`; or the file holds several clouds.
    """
    clouds = read_file(path, **options)
    if len(clouds) != 1:
        raise ValueError(
            f'{path}: expected one cloud, an (N, >=3) array, got {len(clouds)}. Store one '
            'cloud per file, or read the file with NpzPoints.'
        )
    points = check_points(clouds[0][1], path)
    return select_channels(points, channels, path, missing=missing)


def read_arrays(path: str | Path, keys: Mapping[str, str | None]) -> dict[str, np.ndarray]:
    """Read named arrays of an npz or h5 file.

    Args:
        path: The file.
        keys: What an array is used for -> its name in the file; None: there
            is none.

    Returns:
        What an array is used for -> the array.

    Raises:
        FileNotFoundError: No such file.
        ImportError: h5py is not installed.
        ValueError: A damaged file, or no array of a name.
    """
    path = existing(path, 'it should hold the arrays of a data set', 'Set file and data_root.')
    with _readable(path):
        check_kind(path)
    with _readable(path), open_arrays(path) as arrays:
        for role, key in keys.items():
            if key is not None and key not in arrays:
                raise ValueError(f'{path}: no array {key!r} ({role}), there are {list(arrays)}.')
        return {role: arrays[key][...] for role, key in keys.items() if key is not None}


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn the errors of all formats into a ValueError that names the file."""
    try:
        yield
    except ImportError:
        raise
    except PermissionError as error:
        raise ValueError(f'{path}: no permission to read it.') from error
    except Exception as error:
        if isinstance(error, ValueError) and str(path) in str(error):
            raise
        raise ValueError(
            f'{path}: cannot be read as {path.suffix} ({error}). The file seems truncated or '
            'damaged; make or download it again.'
        ) from error


def select_channels(
    points: np.ndarray,
    channels: int | Sequence[int] | None,
    source: str | Path,
    *,
    missing: str = 'error',
) -> np.ndarray:
    """Choose columns of a cloud.

    Args:
        points: (N, C).
        channels: The first ``channels`` columns, or their indices; None
            keeps all.
        source: File or sample, for the error.
        missing: ``'error'`` for columns that are not there, or ``'zero'`` to
            fill them with zeros.

    Returns:
        (N, len(channels)) array.

    Raises:
        ValueError: A column is missing and ``missing='error'``.
    """
    if channels is None:
        return points
    wanted = range(channels) if isinstance(channels, int) else channels
    lack = max(wanted) + 1 - points.shape[1]
    if lack > 0:
        if missing != 'zero':
            raise ValueError(
                f'{source}: expected column {max(wanted)}, got {points.shape[1]} columns. Set '
                "channels=3, or missing='zero' to fill the missing ones with zeros."
            )
        points = np.pad(points, ((0, 0), (0, lack)))
    return points[:, list(wanted)]


def check_points(points: Cloud, source: str | Path) -> np.ndarray:
    """Convert a cloud to a new float32 array, or refuse it.

    Args:
        points: (N, C) numbers, the first three columns are x, y, z.
        source: File or sample, for the error.

    Raises:
        ValueError: No (N, >=3) array, no point, or a NaN or infinite value.
    """
    if isinstance(points, Tensor):
        points = points.detach().cpu().numpy()
    points = np.asarray(points)
    if not points.size:
        raise ValueError(f'{source}: the cloud is empty. Remove the file or make it again.')
    if points.ndim != 2 or points.shape[1] < 3:
        raise ValueError(
            f'{source}: expected points as an (N, >=3) array, got shape '
            f'{points.shape}. Store one cloud per file, one point per row.'
        )
    if not np.issubdtype(points.dtype, np.number):
        raise ValueError(f'{source}: expected numbers, got dtype {points.dtype}.')
    points = points.astype(np.float32)
    bad = ~np.isfinite(points).all(axis=1)
    if bad.any():
        raise ValueError(
            f'{source}: {bad.sum()} of {len(points)} points have a NaN or '
            f'infinite value (the first in row {bad.argmax()}). Drop those '
            'rows or make the file again.'
        )
    return points


def check_labels(
    labels: np.ndarray, allowed: int | Sequence[int], source: str | Path, what: str = 'label'
) -> np.ndarray:
    """Convert labels to int64, or refuse them.

    Args:
        labels: Whole numbers of any shape.
        allowed: Number of classes, or the allowed ids.
        source: File or sample, for the error.
        what: Kind of label, for the error.

    Raises:
        ValueError: A label that is not a whole number or is out of range.
    """
    labels = np.asarray(labels)
    whole = labels.astype(np.int64)
    if isinstance(allowed, int):
        good, text = (whole >= 0) & (whole < allowed), f'0..{allowed - 1}'
    else:
        good, text = np.isin(whole, allowed), f'one of {sorted(allowed)}'
    good &= whole == labels
    if not good.all():
        raise ValueError(
            f'{source}: {what} {labels[~good].flat[0]} is out of range, '
            f'expected {text}. The file is damaged or belongs to another '
            'list of classes.'
        )
    return whole


def existing(path: str | Path, purpose: str, hint: str) -> Path:
    """Return ``path`` if it exists.

    Args:
        path: File or folder.
        purpose: Its use, for the error: ``'it lists the shapes'``.
        hint: How to get it, for the error.

    Raises:
        FileNotFoundError: There is no such file or folder.
        ValueError: It is neither: a FIFO, a socket or a device.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f'{path} is missing: {purpose}. {hint}')
    special = special_kind(path)
    if special:
        raise ValueError(f'{path} is {special}, expected a file: {purpose}. {hint}')
    return path
