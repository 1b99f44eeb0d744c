"""Point clouds from files: ``read_points`` and the formats it knows.

Columns are x, y, z and then what the file holds, in the file's order.
Surfaces (off, obj, stl, glb and ply with faces) are sampled by area.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mmkd3d.datasets.checks import check_points, existing

# What the array of a cloud is called, in npz and h5 files.
CLOUD_NAMES = ('points', 'data', 'xyz', 'pcd')


def _read_npy(path: Path, **_) -> np.ndarray:
    return np.load(path, allow_pickle=False)


def _only_cloud(arrays: dict, path: Path) -> np.ndarray:
    """The array named points or data, or the only one that can be a cloud."""
    for key in CLOUD_NAMES:
        if key in arrays:
            return np.asarray(arrays[key])
    clouds = [k for k, v in arrays.items() if len(v.shape) == 2]
    if len(clouds) != 1:
        raise ValueError(
            f"{path}: expected an array 'points', got "
            f'{ {k: v.shape for k, v in arrays.items()} }. Rename the one '
            'that holds the cloud.'
        )
    return np.asarray(arrays[clouds[0]])


def _read_npz(path: Path, **_) -> np.ndarray:
    with np.load(path, allow_pickle=False) as arrays:
        return _only_cloud(dict(arrays), path)


def import_h5py(path: Path):
    try:
        import h5py
    except ImportError as error:
        raise ImportError(f'{path} needs h5py: pip install h5py') from error
    return h5py


def _read_h5(path: Path, **_) -> np.ndarray:
    h5py = import_h5py(path)
    with h5py.File(path) as file:
        arrays = {k: v for k, v in file.items() if isinstance(v, h5py.Dataset)}
        return _only_cloud(arrays, path)


def _is_header(line: str, delimiter: str | None) -> bool:
    """Whether a first line holds names, or the number of points (.pts)."""
    cells = line.split(delimiter)
    try:
        float(cells[0])
    except ValueError:
        return True
    return len(cells) == 1


def _read_text(path: Path, **_) -> np.ndarray:
    with open(path) as file:
        first = file.readline()
    if not first.strip():
        return np.zeros((0, 3))
    delimiter = ',' if ',' in first else None
    return np.loadtxt(
        path, delimiter=delimiter, skiprows=int(_is_header(first, delimiter)), ndmin=2
    )


def _read_bin(path: Path, *, load_dim: int | None, **_) -> np.ndarray:
    values = np.fromfile(path, dtype=np.float32)
    if load_dim is None or len(values) % load_dim:
        raise ValueError(
            f'{path}: {len(values)} float32 values in rows of load_dim='
            f'{load_dim}. Set load_dim to the columns of the file (6 for '
            'ScanNet in mmdet3d, 4 for KITTI).'
        )
    return values.reshape(-1, load_dim)


def _read_pcd(path: Path, **_) -> np.ndarray:
    try:
        from pypcd4 import PointCloud
    except ImportError as error:
        raise ImportError(f'{path} needs pypcd4: pip install pypcd4') from error
    cloud = PointCloud.from_path(path)
    others = [f for f in cloud.fields if f not in ('x', 'y', 'z')]
    return cloud.numpy(('x', 'y', 'z', *others))


def _read_mesh(path: Path, *, num_mesh_points: int, seed: int, dense_vertices: bool, **_):
    import trimesh

    mesh = trimesh.load(path, force='mesh', process=False)
    dense = dense_vertices and len(mesh.vertices) >= num_mesh_points
    if dense or not len(getattr(mesh, 'faces', ())):
        return np.asarray(mesh.vertices)
    points, _ = trimesh.sample.sample_surface(mesh, num_mesh_points, seed=seed)
    return np.asarray(points)


def _read_ply(path: Path, *, num_mesh_points: int, dense_vertices: bool, **options) -> np.ndarray:
    from plyfile import PlyData

    elements = {e.name: e for e in PlyData.read(path).elements}
    vertex = elements['vertex']
    dense = dense_vertices and vertex.count >= num_mesh_points
    if not dense and 'face' in elements and elements['face'].count:
        return _read_mesh(path, num_mesh_points=num_mesh_points, dense_vertices=False, **options)
    names = [
        p.name for p in vertex.properties if hasattr(p, 'val_dtype') and not hasattr(p, 'len_dtype')
    ]
    names = ['x', 'y', 'z'] + [n for n in names if n not in ('x', 'y', 'z')]
    return np.stack([vertex[n].astype(np.float64) for n in names], axis=1)


READERS: dict[str, Callable] = {
    '.npy': _read_npy,
    '.npz': _read_npz,
    '.h5': _read_h5,
    '.hdf5': _read_h5,
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
        source: What the error names.
        missing: For columns that are not there: 'error', or 'zero' to fill
            them with zeros.

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
                f'{source}: column {max(wanted)} was asked for, but there are '
                f'{points.shape[1]} columns. Set channels=3, or '
                "missing='zero' to fill what is missing with zeros."
            )
        points = np.pad(points, ((0, 0), (0, lack)))
    return points[:, list(wanted)]


def read_points(
    path: str | Path,
    channels: int | Sequence[int] | None = None,
    *,
    load_dim: int | None = None,
    num_mesh_points: int = 8192,
    dense_vertices: bool = False,
    seed: int = 0,
    missing: str = 'error',
) -> np.ndarray:
    """Read a point cloud, or sample the surface of a mesh.

    Args:
        path: File; its suffix says the format, one of ``READERS``.
        channels: Columns to return, see :func:`select_channels`.
        load_dim: Columns of a ``.bin`` file (float32 rows).
        num_mesh_points: Points drawn from a surface.
        dense_vertices: Of a mesh with at least so many vertices take these,
            with what a ply says of them, as the preparation of ScanNet does.
        seed: Seed of that draw.
        missing: See :func:`select_channels`.

    Returns:
        (N, C) float32, x, y, z first.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Unknown format, a damaged file, no points, a NaN or
            infinite value, or too few columns; all name the file.
        ImportError: The format needs a package that is not installed.
    """
    path = existing(
        path, 'a point cloud was to be read from it', 'Check data_root and the list of files.'
    )
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise ValueError(
            f'{path}: unknown format, expected one of {" ".join(READERS)}. Convert the file.'
        )
    try:
        points = reader(
            path,
            load_dim=load_dim,
            num_mesh_points=num_mesh_points,
            dense_vertices=dense_vertices,
            seed=seed,
        )
    except ImportError:
        raise
    except Exception as error:  # each format has its own errors
        if str(path) in str(error):
            raise
        raise ValueError(
            f'{path}: cannot be read as {path.suffix} ({error}). The file '
            'seems truncated or damaged; make or download it again.'
        ) from error
    points = check_points(points, path)
    return select_channels(points, channels, path, missing=missing)


def read_labelled_h5(path: Path, hint: str) -> tuple[np.ndarray, np.ndarray]:
    """Clouds ``data`` and labels ``label`` of a published h5 file.

    Args:
        path: The file.
        hint: Where to get it, for errors.

    Returns:
        (n, N, C) and (n,).

    Raises:
        ImportError: h5py is not installed.
        ValueError: Another file, a truncated one, or one with other numbers
            of clouds and labels.
    """
    h5py = import_h5py(path)
    try:
        with h5py.File(path) as file:
            clouds, labels = file['data'][:], file['label'][:].reshape(-1)
    except (OSError, KeyError) as error:
        raise ValueError(
            f"{path}: cannot be read as h5 with 'data' and 'label' ({error}). "
            f'The file is truncated or another one; get it again. {hint}'
        ) from error
    if len(clouds) != len(labels):
        raise ValueError(
            f'{path}: {len(clouds)} clouds, {len(labels)} labels. Get the file again. {hint}'
        )
    return clouds, labels
