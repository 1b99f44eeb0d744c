"""Point clouds of PCL, Open3D and ROS (pcd, version 0.7).

Format: https://pointclouds.org/documentation/tutorials/pcd_file_format.html
"""

import logging
import struct
from functools import cache
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from mmengine.logging import print_log

from .arrays import check_size
from .columns import Fields, plain

PACKED = 100  # more than lzf can pack
COLOURS = ('rgb', 'rgba')  # packed into one value


class Header(NamedTuple):
    """Layout of the points.

    Attributes:
        dtype: Of a point; padding has names that begin with ``_``.
        points: Their number.
        organised: Whether they are the pixels of a camera.
        encoding: 'ascii', 'binary' or 'binary_compressed'.
    """

    dtype: np.dtype
    points: int
    organised: bool
    encoding: str


def read_pcd(path: Path, **_) -> Fields:
    """Read the columns of a pcd file.

    Packed colours become red, green, blue (0 to 255), padding is left out,
    and so are pixels of an organised cloud without a measurement (NaN).
    """
    with open(path, 'rb') as file:
        header = _header(file, path)
        values = _values(file, header, path)
    fields: dict[str, np.ndarray] = {}
    for name in values.dtype.names:
        if plain(name) in COLOURS:
            fields.update(_unpack(values[name]))
        elif not name.startswith('_ '):
            fields[name] = values[name]
    axes = [values for name, values in fields.items() if plain(name) in ('x', 'y', 'z')]
    if header.organised and axes:
        seen = np.isfinite(axes).all(axis=0)
        if seen.any() and not seen.all():
            _log(path, int(len(seen) - seen.sum()), len(seen))
            fields = {name: values[seen] for name, values in fields.items()}
    return fields


def _header(file: BinaryIO, path: Path) -> Header:
    entries: dict[str, list[str]] = {}
    while 'DATA' not in entries:
        line = file.readline(1 << 16)
        if not line:
            raise ValueError(f'{path}: its header has no line DATA. The file is cut off.')
        key, *values = line.decode('latin-1').split('#')[0].split() or ['']
        entries[key.upper()] = values
    lacks = {'FIELDS', 'SIZE', 'TYPE'} - set(entries)
    if lacks or not ({'POINTS', 'WIDTH'} & set(entries)):
        raise ValueError(f'{path}: its header has no {" ".join(sorted(lacks or {"POINTS"}))}.')
    height = int(*entries.get('HEIGHT', ['1']))
    points = int(*entries.get('POINTS', ['-1']))
    area = int(*entries['WIDTH']) * height if 'WIDTH' in entries else points
    points = area if points < 0 else points
    if area != points or points < 0:
        raise ValueError(f'{path}: its header says {points} POINTS, and WIDTH x HEIGHT is {area}.')
    encoding = ' '.join(entries['DATA']).lower()
    room = path.stat().st_size * (PACKED if encoding == 'binary_compressed' else 1)
    dtype = _dtype(entries, max(points, 1), room, path)
    return Header(dtype, points, height > 1, encoding)


def _dtype(entries: dict[str, list[str]], points: int, room: int, path: Path) -> np.dtype:
    """Type of a point, if so many of them fit into ``room`` bytes."""
    names = entries['FIELDS']
    counts = [int(count) for count in entries.get('COUNT', ['1'] * len(names))]
    if not len(names) == len(entries['SIZE']) == len(entries['TYPE']) == len(counts):
        raise ValueError(f'{path}: FIELDS, SIZE, TYPE and COUNT of its header differ in length.')
    if min(counts) < 1:
        raise ValueError(f'{path}: COUNT of its header is {min(counts)}, expected 1 or more.')
    said = f'{points} points of {sum(counts)} columns'
    check_size(path, said, sum(counts) * points, room)
    columns: dict[str, str] = {}
    for k, (name, size, kind, count) in enumerate(
        zip(names, entries['SIZE'], entries['TYPE'], counts)
    ):
        type_ = f'<{dict(F="f", I="i", U="u")[kind.upper()]}{size}'
        name = f'_ {k}' if name == '_' else name
        for i in range(count):
            column = name if count == 1 else f'{name}_{i}'
            while column in columns:  # the first of a name is the one that is meant
                column += f'_{k}'
            columns[column] = type_
    return np.dtype(list(columns.items()))


def _values(file: BinaryIO, header: Header, path: Path) -> np.ndarray:
    """Points (N,) with the header's fields."""
    dtype, points = header.dtype, header.points
    rest = path.stat().st_size - file.tell()
    said, size = f'{points} points', points * dtype.itemsize
    if header.encoding == 'ascii':
        check_size(path, said, 2 * len(dtype) * points - 1, rest)
        return _ascii(file, dtype, points, path)
    if header.encoding == 'binary':
        check_size(path, said, size, rest)
        return np.frombuffer(file.read(size), dtype)
    if header.encoding != 'binary_compressed':
        raise ValueError(f'{path}: its DATA is {header.encoding!r}, which is not known.')
    check_size(path, said, 8, rest)
    packed, unpacked = struct.unpack('<II', file.read(8))
    check_size(path, f'{packed} packed bytes', packed, rest - 8)
    if unpacked != size:
        raise ValueError(
            f'{path}: its header says {said}, {size} bytes, and {unpacked} are packed.'
        )
    columns = _decompress(file.read(packed), unpacked, path)
    values = np.empty(points, dtype)
    for name in dtype.names:  # the columns stand one after another
        end = points * dtype[name].itemsize
        values[name] = np.frombuffer(columns[:end], dtype[name])
        columns = columns[end:]
    return values


def _ascii(file: BinaryIO, dtype: np.dtype, points: int, path: Path) -> np.ndarray:
    rows = np.loadtxt(file, ndmin=2)
    if rows.shape != (points, len(dtype)):
        raise ValueError(
            f'{path}: its header says {points} points of {len(dtype)} columns, and {len(rows)} rows '
            f'of {rows.shape[1]} follow. The file is cut off or damaged.'
        )
    # PCL writes packed colours as whole numbers, whatever their type is
    wide = {n: 'f8' if dtype[n].kind == 'f' else 'i8' for n in dtype.names if plain(n) in COLOURS}
    values = np.empty(points, [(n, wide.get(n, dtype[n])) for n in dtype.names])
    for k, name in enumerate(dtype.names):
        values[name] = rows[:, k]
    return values


def _decompress(data: bytes, size: int, path: Path) -> bytes:
    try:
        import lzf
    except ImportError as error:
        raise ImportError(
            f"{path} is compressed and needs python-neo-lzf: pip install 'mmkd3d[data]'"
        ) from error
    values = lzf.decompress(data, size) if size else b''
    if values is None or len(values) != size:
        raise ValueError(f'{path}: its packed points are damaged. Make or download it again.')
    return values


def _unpack(packed: np.ndarray) -> Fields:
    """Colours (N,), 0 to 255, from values with the bits of 0xAARRGGBB.

    Text has no bits behind a NaN: such colours are lost, and NaN.
    """
    colour, lost = packed, None
    if packed.dtype.kind == 'f':
        bits = packed.astype(np.float32).view(np.uint32)
        # numbers above 1 are no colours' bits with alpha 0 or 255, but the colours themselves
        with np.errstate(invalid='ignore'):
            whole = (packed >= 1) & (packed < 1 << 32) & (packed == np.floor(packed))
        colour = np.where(whole, np.where(whole, packed, 0).astype(np.uint32), bits)
        lost = np.isnan(packed) if packed.itemsize == 8 else None
    colours = {}
    for name, shift in dict(red=16, green=8, blue=0).items():
        values = (colour.astype(np.int64) >> shift & 255).astype(np.uint8)
        colours[name] = values if lost is None or not lost.any() else np.where(lost, np.nan, values)
    return colours


@cache
def _log(path: Path, left: int, points: int) -> None:
    print_log(
        f'{path}: {left} of {points} pixels without a measurement are left out.',
        'current',
        logging.INFO,
    )
