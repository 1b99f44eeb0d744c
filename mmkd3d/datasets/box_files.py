"""Boxes of scans in csv and json files, as labelling tools write them."""

import csv
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

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
    name='scan',
    file='scan',
    scene='scan',
)
NUMBERS = ('x', 'y', 'z', 'dx', 'dy', 'dz')
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
    except (ValueError, AttributeError, TypeError) as error:
        raise ValueError(f'{path}: not read ({error}). {FORM}') from error
    for number, row in enumerate(rows):
        row = {str(k).strip().lower(): v for k, v in row.items() if k and v not in (None, '')}
        yield f'{path}, box {number}', {ALIASES.get(k, k): v for k, v in row.items()}


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
