"""Formats of point-cloud files: a function for each, in a table by suffix.

A function takes the path and the options of
:func:`~mmkd3d.datasets.readers.read_file`, of which it names those that it
needs. It returns the columns of a cloud by their names, the points (N, C) if
columns have none, or a list of these if the format can hold many. Values keep
the precision of the file.
"""

from collections.abc import Callable

from .arrays import check_offset, open_arrays, read_arrays_file, read_bin
from .columns import take_columns
from .kinds import check_kind
from .las import read_las
from .meshes import read_mesh
from .pcd import read_pcd
from .ply import read_ply
from .text import begins_with_points, read_text

FORMATS: dict[str, Callable] = {
    '.npy': read_arrays_file,
    '.npz': read_arrays_file,
    '.h5': read_arrays_file,
    '.hdf5': read_arrays_file,
    '.txt': read_text,
    '.xyz': read_text,
    '.xyzn': read_text,
    '.xyzrgb': read_text,
    '.pts': read_text,
    '.asc': read_text,
    '.csv': read_text,
    '.bin': read_bin,
    '.pcd': read_pcd,
    '.ply': read_ply,
    '.las': read_las,
    '.laz': read_las,
    '.off': read_mesh,
    '.obj': read_mesh,
    '.stl': read_mesh,
    '.glb': read_mesh,
}

__all__ = [
    'FORMATS',
    'begins_with_points',
    'check_kind',
    'check_offset',
    'open_arrays',
    'take_columns',
]
