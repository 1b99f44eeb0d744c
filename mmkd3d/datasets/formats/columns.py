"""Choose columns of a point cloud by the names that its file gives them."""

import logging
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from mmengine.logging import print_log

# Values of each column, by its name, in the file's order.
Fields = Mapping[str, np.ndarray]

# Other names of a column, as exporters write them.
SYNONYMS = dict(
    r='red', g='green', b='blue', a='alpha', i='intensity',
    diffuse_red='red', diffuse_green='green', diffuse_blue='blue',
    normal_x='nx', normal_y='ny', normal_z='nz',
    normalx='nx', normaly='ny', normalz='nz',
    scalar_intensity='intensity', reflectance='intensity',
)  # fmt: skip
# x, y, z by other names: pos_x, x_coord, Points:0 of ParaView, Easting.
AXES = (
    re.compile(r'(?:p|pos|position|coord|points?)?[_ :.]?(?:x|0)(?:[_ ](?:coord\w*|pos|utm))?'),
    re.compile(r'(?:p|pos|position|coord|points?)?[_ :.]?(?:y|1)(?:[_ ](?:coord\w*|pos|utm))?'),
    re.compile(r'(?:p|pos|position|coord|points?)?[_ :.]?(?:z|2)(?:[_ ](?:coord\w*|pos|utm))?'),
)
WORLD = (('easting', 'east'), ('northing', 'north'), ('elevation', 'height', 'altitude', 'up'))
# A first column of such a name numbers the points.
INDEX = re.compile(
    r'|unnamed: \d+|#|row|point|f?id|objectid|'
    r'(?:(?:point|pt|vertex|row)[_ ]?)?(?:id|index|idx|no\.?|nr\.?|num|number)'
)
# Columns of several values, in arrays with named fields.
VECTORS = {
    ('x', 'y', 'z'): re.compile(r'xyz|pos(ition)?s?|points?|coord(inate)?s?|loc(ation)?'),
    ('red', 'green', 'blue'): re.compile(r'rgb|colou?rs?'),
    ('nx', 'ny', 'nz'): re.compile(r'normals?'),
}


def take_columns(
    cloud: np.ndarray | Fields, columns: Sequence[str] | None, path: Path
) -> np.ndarray:
    """Choose columns of a cloud and stack them.

    Without ``columns``, x, y, z come first, wherever they stand in the file,
    then all other columns in the file's order, without those that number the
    points or hold text. What was taken is logged once for each set of columns.

    Args:
        cloud: The columns, or an array (..., C) whose columns have no names.
        columns: Names to take, in any case, or numbers from 0; the first three
            are the coordinates.
        path: File, for errors.

    Returns:
        (..., C) array of the smallest type that holds the values of all
        columns, at least float32.

    Raises:
        ValueError: There are no such columns, or no x, y, z.
    """
    columns = columns and [str(column) for column in columns]
    if not isinstance(cloud, Mapping):
        return cloud if columns is None else _take_numbers(cloud, columns, path)
    numeric = [name for name, values in cloud.items() if values.dtype.kind in 'fiub']
    chosen = _named(list(cloud), columns, path) if columns else _default(numeric, path)
    text = [name for name in chosen if name not in numeric]
    if text:
        raise ValueError(f'{path}: column {text[0]!r} holds no numbers. Choose other columns.')
    _log(tuple(chosen), tuple(name for name in cloud if name not in chosen))
    dtype = np.result_type(np.float32, *(cloud[name].dtype for name in chosen))
    return np.stack([cloud[name].astype(dtype, copy=False) for name in chosen], axis=-1)


def fields_of(array: np.ndarray) -> dict[str, np.ndarray]:
    """The columns of an array (...) with named fields; vectors are split into numbers."""
    fields = {}
    for name in array.dtype.names or ():
        values = array[name]
        if values.ndim == array.ndim:
            fields[name] = values
            continue
        values = values.reshape(*array.shape, -1)
        for part, k in zip(_parts(name, values.shape[-1]), range(values.shape[-1])):
            fields[part] = values[..., k]
    return fields


def find_axes(names: Sequence[str]) -> list[str]:
    """Names of the columns with x, y, z, or [] if the names do not tell."""
    for fits in (_is_axis, _is_like_axis, _is_world):
        found = [[name for name in names if fits(plain(name), k)] for k in range(3)]
        if all(len(axis) == 1 for axis in found):
            return [axis[0] for axis in found]
        exact = [name for name in 'xyz' if name in names]  # beside X, Y, Z of another unit
        if len(exact) == 3:
            return exact
    return []


def plain(name: str) -> str:
    """A name in lower case, without quotes and unit; its usual form if it is a synonym."""
    name = re.sub(r'\s*[\[(].*', '', name.strip().strip('"\'').strip()).casefold()
    return SYNONYMS.get(name, name)


def _is_axis(name: str, k: int) -> bool:
    return name == 'xyz'[k]


def _is_like_axis(name: str, k: int) -> bool:
    return AXES[k].fullmatch(name) is not None


def _is_world(name: str, k: int) -> bool:
    return name in WORLD[k]


def _default(names: list[str], path: Path) -> list[str]:
    if names and INDEX.fullmatch(plain(names[0])):
        names = names[1:]
    axes = find_axes(names)
    if not axes:
        raise ValueError(
            f'{path}: no columns x, y, z among {", ".join(names) or "the columns"}. Choose them '
            "by columns=('east', 'north', 'up', ...), or --columns east north up in the tools."
        )
    return axes + [name for name in names if name not in axes]


def _named(names: list[str], columns: Sequence[str], path: Path) -> list[str]:
    found = []
    for column in columns:
        same = [name for name in names if name == column] or [
            name for name in names if plain(name) == plain(column)
        ]
        if not same and column.isdecimal() and int(column) < len(names):
            same = [names[int(column)]]
        if len(same) != 1:
            what = 'several columns' if same else 'no column'
            raise ValueError(f'{path}: {what} {column!r}, there are {", ".join(names)}.')
        found += same
    return found


def _take_numbers(cloud: np.ndarray, columns: Sequence[str], path: Path) -> np.ndarray:
    numbers = [int(column) if column.isdecimal() else cloud.shape[-1] for column in columns]
    if max(numbers) >= cloud.shape[-1]:
        raise ValueError(
            f'{path}: no column {columns[int(np.argmax(numbers))]!r}, its {cloud.shape[-1]} columns '
            'have no names. Number them from 0: columns=("0", "1", "2").'
        )
    return cloud[..., numbers]


def _parts(name: str, count: int) -> Sequence[str]:
    for parts, pattern in VECTORS.items():
        if count in (3, 4) and pattern.fullmatch(plain(name)):
            return (*parts, 'alpha' if parts[0] == 'red' else f'{name}_3')[:count]
    return [f'{name}_{k}' for k in range(count)]


@cache
def _log(taken: tuple[str, ...], left: tuple[str, ...]) -> None:
    rest = f'; left out: {", ".join(repr(name) for name in left)}' if left else ''
    print_log(f'Columns of the point clouds: {" ".join(taken)}{rest}.', 'current', logging.INFO)
