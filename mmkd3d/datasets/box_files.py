"""Boxes of scans in csv and json files, as labelling tools write them."""

import csv
import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

# Names of csv columns and json keys, lower case, that are understood beside ours.
ALIASES = dict(
    class_name='class',
    label='class',
    category='class',
    cx='x',
    cy='y',
    cz='z',
    length='dx',
    width='dy',
    height='dz',
    heading='yaw',
    heading_angle='yaw',
    yaw_angle='yaw',
    yaw_rad='yaw',
    rotation_z='yaw',
    rot_z='yaw',
    rz='yaw',
    name='scan',
    file='scan',
    scene='scan',
)
NUMBERS = ('x', 'y', 'z', 'dx', 'dy', 'dz')
# Other names of turns: which axis, direction or unit they mean is not certain.
ANGLE = re.compile(
    r'yaw|heading|rot(_|ation|\b)|angle|theta|orient|direction|azimuth|pitch|roll|quat'
    r'|\b[rq][wxyz]\b|(\b|_)(deg|rad)(rees?|ians?)?\b'
)
UNIT = re.compile(r'(.*?)[\s_]*[\[(]\s*(.*?)\s*[\])]')  # 'x [m]'
OURS = ('m', 'metre', 'metres', 'meter', 'meters', 'rad', 'radian', 'radians')
FORM = (
    'A csv file has the columns class, x, y, z, dx, dy, dz and perhaps yaw; a json file a list '
    'of {"class": ..., "center": [x, y, z], "size": [dx, dy, dz], "yaw": ...}. A table for '
    'all scans also has the column scan, or is a json object {SCAN: list}.'
)


class Box(NamedTuple):
    """A box in the coordinates of its scan.

    Attributes:
        name: Of the class.
        center: x, y, z of its middle.
        size: Extents along its own axes.
        yaw: Counter-clockwise about the axis that points up.
        source: File and row, for errors.
    """

    name: str
    center: tuple[float, float, float]
    size: tuple[float, float, float]
    yaw: float
    source: str


def read_box_table(path: Path) -> dict[str, list[Box]]:
    """Read the boxes of many scans from one file.

    Returns:
        Name of a scan, without folder and suffix -> its boxes.

    Raises:
        ValueError: Not such a file, or a row that is no box.
    """
    found: dict[str, list[Box]] = {}
    for source, row in _rows(path):
        if 'scan' not in row:
            raise ValueError(f'{source}: the box does not name its scan. {FORM}')
        boxes = found.setdefault(Path(str(row['scan'])).stem, [])
        if row.keys() - {'scan'}:
            boxes.append(_box(row, source))
    return found


def read_boxes(path: Path) -> list[Box]:
    """Read the boxes of one scan; see :func:`read_box_table`."""
    return [_box(row, source) for source, row in _rows(path)]


def _rows(path: Path) -> Iterable[tuple[str, dict]]:
    """Source and values of each box, keys by our names."""
    try:
        text = path.read_text(encoding='utf-8-sig')
        if path.suffix.lower() == '.json':
            rows = _json_rows(json.loads(text))
        else:
            delimiter = max(',;\t', key=text.partition('\n')[0].count)
            rows = list(csv.DictReader(text.splitlines(), delimiter=delimiter))
    except (ValueError, AttributeError, TypeError, RecursionError, csv.Error) as error:
        raise ValueError(f'{path}: not read ({error}). {FORM}') from error
    for number, row in enumerate(rows):
        source = f'{path}, box {number}'
        found: dict[str, Any] = {}
        for key, value in row.items():
            if not key or value in (None, ''):
                continue
            name = _name(str(key), value, source)
            if name in found and found[name] != value:
                raise ValueError(
                    f'{source}: {key!r} is one of two columns for {name}, and they differ: '
                    f'{found[name]!r} and {value!r}. Remove or rename one.'
                )
            found[name] = value
        yield source, found


def _name(key: str, value: Any, source: str) -> str:
    """Our name of a column; an error for a turn or a unit that is not understood."""
    name = key.strip().lower()
    unit = UNIT.fullmatch(name)
    if unit:
        name = unit[1]
    name = ALIASES.get(name, name)
    if name not in (*NUMBERS, 'yaw'):
        if ANGLE.search(key.lower()) and not _is_zero(value):
            raise ValueError(
                f'{source}: {key!r} seems to be a turn, {value!r}, which is not read. If it is the '
                'turn about the axis that points up, counter-clockwise seen from above, name it '
                'yaw; give --degrees if it is not in radians. Else remove it.'
            )
    elif unit and unit[2] not in OURS:
        raise ValueError(
            f'{source}: {key!r} is not in metres or radians. Name it {name}, and give '
            f'{"--degrees" if name == "yaw" else "--unit, the metres per unit"}.'
        )
    return name


def _is_zero(value: Any) -> bool:
    values = list(value.values()) if isinstance(value, Mapping) else value
    try:
        return not np.asarray(values, float).any()
    except (TypeError, ValueError):
        return False


def _json_rows(content) -> list[dict]:
    """Boxes of a json file as flat dicts."""
    if isinstance(content, Mapping) and isinstance(content.get('boxes'), list):
        content = content['boxes']  # as tools/infer.py writes them
    if isinstance(content, Mapping):
        rows = []
        for scan, boxes in content.items():
            boxes = _json_rows(boxes)
            rows += [dict(box, scan=scan) for box in boxes] or [dict(scan=scan)]
        return rows
    return [_flat(dict(box)) for box in content]


def _flat(box: dict) -> dict:
    """A box with ``center`` and ``size`` taken apart."""
    for key, names in (('center', NUMBERS[:3]), ('size', NUMBERS[3:])):
        if key in box:
            values = box.pop(key)
            if len(values) != 3:
                raise ValueError(f'{key} has 3 numbers, got {values}')
            box.update(zip(names, values))
    if 'class_name' in box:  # beside the number of the class
        box.pop('label', None)
    return box


def _box(row: dict, source: str) -> Box:
    lacks = [key for key in ('class', *NUMBERS) if key not in row]
    if lacks:
        raise ValueError(f'{source}: no {", ".join(lacks)}, got {", ".join(row)}. {FORM}')
    if not isinstance(row['class'], (str, int)):
        raise ValueError(f'{source}: expected the name of a class, got {row["class"]!r}.')
    try:
        numbers = [float(row[key]) for key in NUMBERS]
        yaw = float(row.get('yaw', 0))
    except (TypeError, ValueError) as error:
        raise ValueError(f'{source}: {error}. {FORM}') from None
    if not all(map(math.isfinite, [*numbers, yaw])):
        raise ValueError(f'{source}: expected finite numbers, got {numbers}, yaw {yaw}.')
    if min(numbers[3:]) <= 0:
        raise ValueError(
            f'{source}: the size is {numbers[3:]}; it must be above 0. Sizes are full extents.'
        )
    return Box(str(row['class']).strip(), tuple(numbers[:3]), tuple(numbers[3:]), yaw, source)
