"""Point clouds in arrays: npy, npz, h5 and raw float32 files.

What an npy, npz or h5 file is, its first bytes tell, not its suffix. Sizes in
headers are compared with what the file stores before memory is asked for.
"""

import functools
import io
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import ZipInfo

import numpy as np

from mmkd3d.utils.file_kind import file_kind

from .columns import Fields, fields_of, find_axes

# Names of the array that holds the clouds in an npz or h5 file.
ARRAY_NAMES = ('points', 'data', 'xyz', 'pcd')
# Larger arrays that are packed by more than this are no point clouds.
LARGE, RATIO = 1 << 28, 100
NPY, NPZ, H5 = 'a numpy array (npy)', 'a zip archive', 'an HDF5 file'

Clouds = np.ndarray | Fields | list


def read_arrays_file(path: Path, *, kind: str | None, key: str | None, **_) -> Clouds:
    """Read the clouds of an npy, npz or h5 file of a kind, see ``read_file`` and ``file_kind``."""
    if kind == NPY:
        return _split(read_npy(path), None, path)
    with open_arrays(path) as arrays:
        if key is None and not any(_last(name) in ARRAY_NAMES for name in arrays):
            columns = _columns(arrays)
            if columns:
                return columns
        key = _find(arrays, key, path)
        names = key.replace('_values', '_items')  # as pandas writes a table
        if names != key and names in arrays:
            texts = [bytes(name).decode() for name in arrays[names][...]]
            return dict(zip(texts, arrays[key][...].T))
        offset = arrays.get(f'{key.rpartition("/")[0]}/offset'.lstrip('/'))
        return _split(arrays[key][...], offset, path)


def read_bin(path: Path, *, load_dim: int | None, **_) -> np.ndarray:
    """Read rows of ``load_dim`` float32 values."""
    count, rest = divmod(path.stat().st_size, 4)
    if load_dim is None or rest or count % load_dim:
        extra = f' and {rest} bytes' if rest else ''
        raise ValueError(
            f'{path}: {count} float32 values{extra} in rows of load_dim={load_dim}. Set load_dim '
            'to the columns of the file (6 for ScanNet in mmdet3d, 4 for KITTI).'
        )
    return np.fromfile(path, dtype=np.float32).reshape(-1, load_dim)


def read_npy(path: Path) -> np.ndarray:
    """Read an npy file that holds numbers."""
    with open(path, 'rb') as file:
        shape, fortran, dtype = _npy_header(file)
        _check_numbers(dtype, path, 'the array')
        size = math.prod(shape) * dtype.itemsize
        stored = os.fstat(file.fileno()).st_size - file.tell()
        check_size(path, f'an array of shape {shape}', size, stored)
        content = np.empty(size, np.uint8)
        check_size(path, f'an array of shape {shape}', size, file.readinto(content))
    values = content.view(dtype)
    return values.reshape(shape[::-1]).T if fortran else values.reshape(shape)


@contextmanager
def open_arrays(path: Path) -> Iterator[Mapping[str, Any]]:
    """Open the named arrays of an npz or h5 file; ``[...]`` reads one.

    Arrays of h5 files in groups have paths as names. Links to other places,
    virtual arrays and arrays stored in other files are left out.

    Raises:
        ImportError: h5py is not installed.
        ValueError: Another file.
    """
    kind = file_kind(path)
    if kind == NPZ:
        with np.load(path, allow_pickle=False) as archive:
            yield _members(archive, path)
    elif kind == NPY:
        raise ValueError(f'{path} is one array (npy), expected an npz or h5 file with named ones.')
    else:
        try:
            import h5py
        except ImportError as error:
            raise ImportError(f'{path} needs h5py: pip install h5py') from error
        with h5py.File(path) as file:
            yield _Datasets(file, path)


def check_offset(offset: np.ndarray, length: int, source: str | Path) -> np.ndarray:
    """The first point of each cloud and the end, (S + 1,) int64.

    Raises:
        ValueError: Not whole numbers that begin with 0, do not fall, and end
            with ``length``.
    """
    offset = np.asarray(offset)
    whole = offset.dtype.kind in 'iuf' and offset.ndim == 1 and offset.size > 1
    if whole:
        with np.errstate(invalid='ignore'):
            cuts = offset.astype(np.int64)
        if (cuts == offset).all() and cuts[0] == 0 and cuts[-1] == length:
            if (np.diff(cuts) >= 0).all():
                return cuts
    raise ValueError(
        f"{source}: 'offset' must hold the first point of each cloud and the end: whole numbers "
        f'that rise from 0 to {length}, got {offset.dtype} {np.array2string(offset, threshold=6)}. '
        'Rename the array if it is something else.'
    )


def check_size(path: Path, what: str, needed: int, stored: int) -> None:
    """Refuse a file that is smaller than its header says."""
    if needed > max(stored, 0):
        raise ValueError(
            f'{path}: its header says {what}, {needed} bytes or more, and {max(stored, 0)} follow. '
            'The file is cut off or damaged; make or download it again.'
        )


def check_ratio(path: Path, what: str, size: int, stored: int) -> None:
    """Refuse large data that is packed as no real data is."""
    if size > LARGE and size > RATIO * stored:
        raise ValueError(
            f'{path}: {what} would take {size} bytes of memory and is stored in {stored}. No point '
            'cloud is packed so much; it is not read.'
        )


def _members(archive: Any, path: Path) -> dict[str, '_Member']:
    infos = [info for info in archive.zip.infolist() if info.filename.endswith('.npy')]
    if not infos:
        raise ValueError(
            f'{path} is a zip archive without arrays of numpy: {archive.files[:5]}. Unpack it.'
        )
    return {info.filename[:-4]: _Member(archive, info, path) for info in infos}


class _Member:
    """An array of an npz file, with its shape, read by ``[...]``."""

    def __init__(self, archive: Any, info: ZipInfo, path: Path):
        self.archive, self.info, self.path = archive, info, path
        self.name = info.filename[:-4]
        with archive.zip.open(info) as file:
            self.shape, _, self.dtype = _npy_header(file)
            self.start = file.tell()

    def __getitem__(self, item) -> np.ndarray:
        what = f'array {self.name!r} of shape {self.shape}'
        _check_numbers(self.dtype, self.path, what)
        size = math.prod(self.shape) * self.dtype.itemsize
        check_size(self.path, what, size, self.info.file_size - self.start)
        stored = min(self.info.compress_size, self.path.stat().st_size)
        check_ratio(self.path, what, size, stored)
        return self.archive[self.name][item]


class _Datasets(Mapping):
    """Arrays of an h5 file by their paths, of this file alone."""

    def __init__(self, file: Any, path: Path):
        self.file, self.path = file, path
        self.found: dict[str, _Dataset] = {}
        self.links: dict[str, str] = {}
        file.visititems_links(self._note)

    def _note(self, name: str, link: Any) -> None:
        target = getattr(link, 'path', None)  # a soft or external link
        if target is not None:
            self.links[name] = f'{getattr(link, "filename", "")}{target}'
        elif hasattr(self.file[name], 'shape'):
            self.found[name] = _Dataset(self.file[name], self.path)

    def __getitem__(self, name: str) -> '_Dataset':
        name = name.strip('/')
        if name in self.links:
            raise ValueError(
                f'{self.path}: {name!r} is a link to {self.links[name]!r}, and links are not '
                'followed. Name the array itself.'
            )
        return self.found[name]

    def __contains__(self, name: object) -> bool:
        return str(name).strip('/') in {**self.found, **self.links}

    def __iter__(self) -> Iterator[str]:
        return iter(self.found)

    def __len__(self) -> int:
        return len(self.found)


class _Dataset:
    """An array of an h5 file, read by ``[...]`` if the file itself stores it."""

    def __init__(self, dataset: Any, path: Path):
        self.dataset, self.path = dataset, path
        self.shape, self.dtype = dataset.shape or (), dataset.dtype

    def __getitem__(self, item) -> np.ndarray:
        data, what = self.dataset, f'array {self.dataset.name!r} of shape {self.shape}'
        if data.external or data.is_virtual:
            where = f'file {data.external[0][0]!r}' if data.external else 'arrays elsewhere'
            raise ValueError(
                f'{self.path}: {what} is stored in {where}, and only what the file itself holds is '
                'read. Copy the values into it.'
            )
        _check_numbers(self.dtype, self.path, what)
        size, stored = math.prod(self.shape) * self.dtype.itemsize, data.id.get_storage_size()
        if size and not stored and not self.dtype.hasobject:
            raise ValueError(f'{self.path}: {what} holds no values: the file was never completed.')
        check_ratio(self.path, what, size, stored)
        return np.asarray(data[item])


def _npy_header(file) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, order and type of an array in npy format; leaves the file at the values."""
    start = file.read(10)
    if start[6:7] == b'\1':
        return _parse_header(start + file.read(int.from_bytes(start[8:10], 'little')))
    start += file.read(2)
    return _parse_header(start + file.read(int.from_bytes(start[8:12], 'little')))


@functools.lru_cache(maxsize=64)
def _parse_header(header: bytes) -> tuple[tuple[int, ...], bool, np.dtype]:
    """As :func:`_npy_header`. Files of a data set have the same header."""
    file = io.BytesIO(header)
    first = np.lib.format.read_magic(file) == (1, 0)
    read = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    if min(shape, default=0) < 0:
        raise ValueError(f'an array of shape {shape}')
    return shape, fortran, dtype


def _check_numbers(dtype: np.dtype, path: Path, what: str) -> None:
    """Refuse Python objects, which would have to be unpickled, and rows of different length."""
    if not dtype.hasobject or (dtype.metadata or {}).get('vlen') in (str, bytes):  # text of h5
        return
    raise ValueError(
        f'{path}: {what} holds Python objects or rows of different length (dtype {dtype}), which '
        'are not loaded: they could run code. Save numbers, one cloud per file or with offset: '
        'np.save(path, np.asarray(points, dtype=float)).'
    )


def _last(name: str) -> str:
    return name.rpartition('/')[2].casefold()


def _find(arrays: Mapping, key: str | None, path: Path) -> str:
    """Name of the array with the clouds."""
    if key is not None:
        if key not in arrays:
            raise ValueError(f'{path}: no array {key!r}, there are {list(arrays)}.')
        return key
    for name in ARRAY_NAMES:
        if name in arrays:
            return name
    clouds = [name for name in arrays if _last(name) in ARRAY_NAMES] or [
        name for name, array in arrays.items() if len(array.shape) == 2 or array.dtype.names
    ]
    if len(clouds) != 1:
        raise ValueError(
            f"{path}: expected an array 'points', got "
            f'{ {name: array.shape for name, array in arrays.items()} }. '
            'Rename the one that holds the clouds, or choose it: key=, in the tools --key.'
        )
    return clouds[0]


def _columns(arrays: Mapping) -> Fields:
    """Arrays x, y, z (N,), and others of that length, as columns; {} if there are none."""
    rows = {name: array for name, array in arrays.items() if len(array.shape) == 1}
    axes = find_axes(list(rows))
    if not axes or len({rows[name].shape for name in axes}) > 1:
        return {}
    return {name: a[...] for name, a in rows.items() if a.shape == rows[axes[0]].shape}


def _split(array: np.ndarray, offset: Any, path: Path) -> Clouds:
    """The clouds of an array, see ``read_file``."""
    if array.dtype.names:
        fields = fields_of(array)
        if array.ndim == 1:
            return fields
        return [{name: values[k] for name, values in fields.items()} for k in range(len(array))]
    if array.ndim == 2:
        if offset is None or _is_translation(offset[...]):
            return array
        return np.split(array, check_offset(offset[...], len(array), path)[1:-1])
    if array.ndim == 3:
        return list(array)
    raise ValueError(
        f'{path}: expected clouds as an (N, >=3) or (S, N, >=3) array, got shape {array.shape}.'
    )


def _is_translation(offset: np.ndarray) -> bool:
    """Whether an array of this name moves the points, and does not cut them."""
    if offset.size != 3 or offset.dtype.kind != 'f':
        return False
    return bool(offset.flat[0] != 0 or (offset != offset.round()).any())
