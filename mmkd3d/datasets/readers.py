"""Read point clouds: the one way in for data sets, tools and Python.

:func:`read_clouds` takes arrays, files, folders, patterns, lists of these, and
data sets; :mod:`~mmkd3d.datasets.formats` has a function for each format of
files. Columns are x, y, z, found by their names if the file has names, and then
whatever the file holds, in its order. Surfaces (off, obj, stl, glb, and ply
with faces) are sampled by area.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from mmkd3d.datasets.coordinates import Cloud, LocalCloud, local_cloud
from mmkd3d.datasets.find import list_files
from mmkd3d.datasets.formats import FORMATS, check_kind, open_arrays, take_columns
from mmkd3d.utils.file_kind import special_kind

CloudInputs = Cloud | str | Path | Sequence | Dataset


def read_clouds(inputs: CloudInputs, **options) -> Iterator[tuple[str, np.ndarray]]:
    """Read clouds one after another, in the given order.

    Args:
        inputs: An array (N, C) or (B, N, C), a data frame with columns x, y, z
            (see :func:`read_file`), a list of arrays (N, C) or data frames of
            any sizes, a path or a list of paths (see :func:`list_files`), or a
            data set whose samples have ``inputs['points']``.
        options: See :func:`read_local`.

    Returns:
        Iterator of names, for errors, and points (N, C), float32; clouds far
        from zero are moved, see :func:`~mmkd3d.datasets.coordinates.origin_of`.
        Files are read when it is their turn.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: ``inputs`` is none of these, or one of the clouds is
            unusable, see :func:`check_points`.
    """
    return ((cloud.name, cloud.points) for cloud in read_local(inputs, **options))


def read_local(
    inputs: CloudInputs,
    *,
    up: str | None = None,
    drop_nan: bool = False,
    bad: list[str] | None = None,
    **options,
) -> Iterator[LocalCloud]:
    """As :func:`read_clouds`, with the origin of each cloud.

    Args:
        inputs: See :func:`read_clouds`.
        up, drop_nan: See :func:`~mmkd3d.datasets.coordinates.local_cloud`.
        bad: Errors about unreadable files and unusable clouds are appended to
            this list, and the others are read; None: they are raised.
        options: For files, see :func:`read_file`.
    """
    clouds = _named(inputs, options, bad)
    return (
        cloud
        for name, points in clouds
        for cloud in attempt(bad, local_cloud, points, name, drop_nan=drop_nan, up=up)
    )


def attempt(bad: list[str] | None, function: Callable, *args, **kwargs) -> list:
    """Call a function that may meet a bad file or cloud.

    Args:
        bad: Errors are appended to this list; None: they are raised.
        function, args, kwargs: The call.

    Returns:
        A list with the result, or an empty one after an error.
    """
    try:
        return [function(*args, **kwargs)]
    except (ValueError, OSError) as error:
        if bad is None:
            raise
        bad.append(str(error))
        return []


def _named(
    inputs: CloudInputs, options: dict, bad: list[str] | None
) -> Iterator[tuple[str, Cloud]]:
    """Names and unchecked clouds."""
    if isinstance(inputs, (str, Path)):
        inputs = [inputs]
    if _is_frame(inputs):
        inputs = [inputs]
    if isinstance(inputs, (np.ndarray, Tensor)):
        if inputs.ndim not in (2, 3):
            raise ValueError(
                f'Clouds are (N, C) or (B, N, C), got an array of shape {tuple(inputs.shape)}.'
            )
        inputs = list(inputs) if inputs.ndim == 3 else [inputs]
    if isinstance(inputs, (list, tuple)):
        if inputs and all(isinstance(x, (str, Path)) for x in inputs):
            return _of_files(list_files(inputs), options, bad)
        return _of_list(inputs, bad)
    if is_dataset(inputs):
        return _packed_clouds(inputs)
    raise ValueError(
        'Clouds are an array, a list of arrays, a path, a list of paths or a data set, '
        f'got a {type(inputs).__name__}.'
    )


def _of_list(clouds: Sequence, bad: list[str] | None) -> Iterator[tuple[str, Cloud]]:
    for i, points in enumerate(clouds):
        name = f'cloud {i}'
        if not _is_frame(points):
            yield name, points
            continue
        fields = {str(column): np.asarray(points[column]) for column in points.columns}
        for cloud in attempt(bad, take_columns, fields, None, Path(name)):
            yield name, cloud


def _is_frame(inputs: Any) -> bool:
    """Whether ``inputs`` is a table of pandas or polars."""
    return hasattr(inputs, 'columns') and hasattr(inputs, 'to_numpy')


def _of_files(
    files: Sequence[Path], options: dict, bad: list[str] | None
) -> Iterator[tuple[str, Cloud]]:
    for path in files:
        for clouds in attempt(bad, read_file, path, **options):
            yield from clouds


def is_dataset(inputs: CloudInputs) -> bool:
    """Whether ``inputs`` is a data set, whose pipeline has prepared the clouds."""
    others = (str, Path, np.ndarray, Tensor, list, tuple, Mapping)
    return not (isinstance(inputs, others) or _is_frame(inputs)) and all(
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
        clouds = read(
            path,
            kind=check_kind(path),
            columns=columns,
            key=key,
            load_dim=load_dim,
            num_mesh_points=num_mesh_points,
            dense_vertices=dense_vertices,
            seed=seed,
        )
    if isinstance(clouds, list):
        name = path.as_posix()
        return [(f'{name}#{i}', take_columns(c, columns, path)) for i, c in enumerate(clouds)]
    return [(path.as_posix(), take_columns(clouds, columns, path))]


def read_points(
    path: str | Path,
    channels: int | Sequence[int] | None = None,
    *,
    missing: str = 'error',
    drop_nan: bool = False,
    **options,
) -> np.ndarray:
    """Read the only point cloud of a file.

    Args:
        path: The file.
        channels: Columns to return, see :func:`select_channels`.
        missing: See :func:`select_channels`.
        drop_nan: Drop rows with a NaN or infinite value.
        options: See :func:`read_file`.

    Returns:
        (N, C) float32, x, y, z first; a cloud far from zero is moved, see
        :func:`~mmkd3d.datasets.coordinates.origin_of`.

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
    points = local_cloud(clouds[0][1], path, drop_nan=drop_nan, copy=False).points
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
    if list(wanted) == list(range(points.shape[1])):
        return points
    lack = max(wanted) + 1 - points.shape[1]
    if lack > 0:
        if missing != 'zero':
            raise ValueError(
                f'{source}: expected column {max(wanted)}, got {points.shape[1]} columns. Set '
                "channels=3, or missing='zero' to fill the missing ones with zeros."
            )
        points = np.pad(points, ((0, 0), (0, lack)))
    return points[:, list(wanted)]


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
    path = path if isinstance(path, Path) else Path(path)
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        if path.exists():
            raise
        raise FileNotFoundError(f'{path} is missing: {purpose}. {hint}') from None
    special = special_kind(mode)
    if special:
        raise ValueError(f'{path} is {special}, expected a file: {purpose}. {hint}')
    return path
