"""Formats of point-cloud files: a function for each, in a table by suffix.

A function takes the path and the options of
:func:`~mmkd3d.datasets.readers.read_file`, of which it names those that it
needs. It returns the points (N, C) of a cloud, x, y, z first, or a list of
clouds if the format can hold many. Checks and messages about damaged files are
the caller's.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

# Names of the array that holds the clouds in an npz or h5 file.
ARRAY_NAMES = ('points', 'data', 'xyz', 'pcd')


def _read_npy(path: Path, **_) -> np.ndarray | list:
    return _split(np.load(path, allow_pickle=False), None, path)


def _read_archive(path: Path, *, key: str | None, **_) -> np.ndarray | list:
    with open_arrays(path) as arrays:
        key = key or next((name for name in ARRAY_NAMES if name in arrays), None)
        if key is None:
            clouds = [name for name, array in arrays.items() if len(array.shape) == 2]
            if len(clouds) != 1:
                raise ValueError(
                    f"{path}: expected an array 'points', got "
                    f'{ {name: array.shape for name, array in arrays.items()} }. '
                    'Rename the one that holds the clouds.'
                )
            key = clouds[0]
        elif key not in arrays:
            raise ValueError(f'{path}: no array {key!r}, there are {list(arrays)}.')
        return _split(arrays[key][:], arrays.get('offset'), path)


def _split(array: np.ndarray, offset: np.ndarray | None, path: Path) -> np.ndarray | list:
    """The clouds of an array, see ``read_file``."""
    if array.ndim == 2:
        if offset is None:
            return array
        offset = offset[:]
        # anything else of this name, such as a translation, is no index
        if offset.ndim != 1 or offset[0] != 0 or offset[-1] != len(array):
            return array
        return np.split(array, offset[1:-1])
    if array.ndim == 3:
        return list(array)
    raise ValueError(
        f'{path}: expected clouds as an (N, >=3) or (S, N, >=3) array, got shape {array.shape}.'
    )


def _read_text(path: Path, **_) -> np.ndarray:
    with open(path) as file:
        first = file.readline()
    if not first.strip():
        return np.zeros((0, 3))
    delimiter = ',' if ',' in first else None
    header = _is_header(first.split(delimiter))
    return np.loadtxt(path, delimiter=delimiter, skiprows=int(header), ndmin=2)


def _is_header(cells: list[str]) -> bool:
    """Whether the first line holds names, or the number of points (pts)."""
    try:
        float(cells[0])
    except ValueError:
        return True
    return len(cells) == 1


def _read_bin(path: Path, *, load_dim: int | None, **_) -> np.ndarray:
    values = np.fromfile(path, dtype=np.float32)
    if load_dim is None or len(values) % load_dim:
        raise ValueError(
            f'{path}: {len(values)} float32 values in rows of load_dim={load_dim}. Set load_dim '
            'to the columns of the file (6 for ScanNet in mmdet3d, 4 for KITTI).'
        )
    return values.reshape(-1, load_dim)


def _read_pcd(path: Path, **_) -> np.ndarray:
    try:
        from pypcd4 import PointCloud
    except ImportError as error:
        raise ImportError(f'{path} needs pypcd4: pip install pypcd4') from error
    cloud = PointCloud.from_path(path)
    others = [field for field in cloud.fields if field not in ('x', 'y', 'z')]
    return cloud.numpy(('x', 'y', 'z', *others))


def _read_mesh(path: Path, *, num_mesh_points: int, dense_vertices: bool, seed: int, **_):
    import trimesh

    mesh: Any = trimesh.load(path, force='mesh', process=False)
    dense = dense_vertices and len(mesh.vertices) >= num_mesh_points
    if dense or not len(getattr(mesh, 'faces', ())):
        return np.asarray(mesh.vertices)
    points, _ = trimesh.sample.sample_surface(mesh, num_mesh_points, seed=seed)
    return np.asarray(points)


def _read_ply(path: Path, *, num_mesh_points: int, dense_vertices: bool, **options) -> np.ndarray:
    from plyfile import PlyData

    elements = {element.name: element for element in PlyData.read(path).elements}
    vertex = elements['vertex']
    dense = dense_vertices and vertex.count >= num_mesh_points
    if not dense and 'face' in elements and elements['face'].count:
        return _read_mesh(path, num_mesh_points=num_mesh_points, dense_vertices=False, **options)
    # lists, which have a len_dtype, are no columns
    names = [p.name for p in vertex.properties if not hasattr(p, 'len_dtype')]
    names = ['x', 'y', 'z'] + [name for name in names if name not in ('x', 'y', 'z')]
    return np.stack([vertex[name].astype(np.float64) for name in names], axis=1)


FORMATS: dict[str, Callable] = {
    '.npy': _read_npy,
    '.npz': _read_archive,
    '.h5': _read_archive,
    '.hdf5': _read_archive,
    '.txt': _read_text,
    '.xyz': _read_text,
    '.pts': _read_text,
    '.csv': _read_text,
    '.bin': _read_bin,
    '.pcd': _read_pcd,
    '.ply': _read_ply,
    '.off': _read_mesh,
    '.obj': _read_mesh,
    '.stl': _read_mesh,
    '.glb': _read_mesh,
}


@contextmanager
def open_arrays(path: Path) -> Iterator[Mapping]:
    """Open the named arrays of an npz or h5 file; ``[:]`` reads one.

    Raises:
        ImportError: h5py is not installed.
    """
    if path.suffix.lower() == '.npz':
        with np.load(path, allow_pickle=False) as arrays:
            yield arrays
        return
    try:
        import h5py
    except ImportError as error:
        raise ImportError(f'{path} needs h5py: pip install h5py') from error
    with h5py.File(path) as file:
        yield {name: array for name, array in file.items() if isinstance(array, h5py.Dataset)}
