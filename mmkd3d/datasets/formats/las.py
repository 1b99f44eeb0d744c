"""Point clouds of laser scanners (las, laz), read with laspy."""

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .arrays import check_ratio, check_size
from .columns import Fields, plain

USUAL = ('red', 'green', 'blue', 'intensity')


def read_las(path: Path, *, columns: Sequence[str] | None, **_) -> Fields:
    """Read coordinates, colours and intensity; with ``columns``, any dimension.

    Coordinates are doubles, scaled as the header says. Colours of 16 bits
    become 0 to 255.

    Raises:
        ImportError: laspy is not installed.
    """
    try:
        import laspy
        import lazrs  # noqa: F401
    except ImportError as error:
        raise ImportError(f"{path} needs laspy and lazrs: pip install 'mmkd3d[data]'") from error
    _check_records(path)
    one_thread = laspy.LazBackend.Lazrs  # the parallel one trusts sizes inside of the points
    with laspy.open(path, read_evlrs=False, laz_backend=one_thread) as file:
        _check_points(file.header, path)
        try:
            cloud = file.read()
        except BaseException as error:
            if type(error).__name__ != 'PanicException':  # of lazrs, which is no Exception
                raise
            raise ValueError(f'{path}: its packed points are damaged ({error}).') from error
    names = list(cloud.point_format.dimension_names)
    if columns is None:
        names = [name for name in USUAL if name in names]
    fields = {name: np.asarray(cloud[name]) for name in 'xyz'}
    fields |= {name: np.asarray(cloud[name]) for name in names if plain(name) not in fields}
    colours = {name: fields[name] for name in USUAL[:3] if name in fields}
    if max((values.max(initial=0) for values in colours.values()), default=0) > 255:
        fields |= {name: values >> 8 for name, values in colours.items()}
    return fields


def _check_points(header: Any, path: Path) -> None:
    """Refuse a file with less room than its header counts points."""
    said, size = f'{header.point_count} points', header.point_count * header.point_format.size
    stored = path.stat().st_size - header.offset_to_point_data
    if header.are_points_compressed:
        check_ratio(path, said, size, stored)
        _check_chunks(path, header.offset_to_point_data)
    else:
        check_size(path, said, size, stored)


def _check_records(path: Path) -> None:
    """Refuse a header that counts more records, of 54 bytes or more, than there is room for."""
    with open(path, 'rb') as file:
        head = file.read(104)
    if len(head) < 104:
        raise ValueError(f'{path}: its header is cut off. Make or download it again.')
    size, start, records = struct.unpack_from('<HII', head, 94)
    check_size(path, f'points from byte {start}', start, path.stat().st_size)
    check_size(path, f'{records} records before the points', 54 * records, start - size)


def _check_chunks(path: Path, start: int) -> None:
    """Refuse a laz file whose table counts more chunks than there are bytes.

    The points begin with the place of the table, or -1 if the last eight bytes
    of the file tell it; the table begins with a version and the count.
    """
    size = path.stat().st_size
    with open(path, 'rb') as file:
        file.seek(start)
        place = int.from_bytes(file.read(8), 'little', signed=True)
        if place == -1:
            file.seek(max(size - 8, 0))
            place = int.from_bytes(file.read(8), 'little', signed=True)
        check_size(path, f'a table of chunks at byte {place}', max(place, 0) + 8, size)
        file.seek(max(place, 0) + 4)
        chunks = int.from_bytes(file.read(4), 'little')
    check_size(path, f'{chunks} chunks', chunks, size - start)
