"""Point clouds of laser scanners (las, laz), read with laspy."""

from collections.abc import Sequence
from pathlib import Path

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
    except ImportError as error:
        raise ImportError(f"{path} needs laspy and lazrs: pip install 'mmkd3d[data]'") from error
    with laspy.open(path) as file:
        header = file.header
        said, size = f'{header.point_count} points', header.point_count * header.point_format.size
        stored = path.stat().st_size - header.offset_to_point_data
        if header.are_points_compressed:
            check_ratio(path, said, size, stored)
        else:
            check_size(path, said, size, stored)
        cloud = file.read()
    names = list(header.point_format.dimension_names)
    if columns is None:
        names = [name for name in USUAL if name in names]
    fields = {name: np.asarray(cloud[name]) for name in 'xyz'}
    for name in names:
        if plain(name) not in fields:
            values = np.asarray(cloud[name])
            eight_bits = name not in USUAL[:3] or values.max(initial=0) < 256
            fields[name] = values if eight_bits else values >> 8
    return fields
