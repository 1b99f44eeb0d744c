"""Point clouds as text: a point per line, in any of the usual dialects.

The separator (blanks, tab, comma, semicolon or bar), the decimal sign, lines
before the first point, and the names of the columns are found from the
beginning of the file; numpy reads the rest.
"""

import contextlib
import io
import logging
import re
from collections import Counter
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mmengine.logging import print_log

from .columns import Fields, find_axes
from .dialects import (
    DIALECTS,
    PAIR,
    QUOTED,
    Dialect,
    find_dialect,
    fits,
    has_pairs,
    is_point,
    with_rare_columns,
)

HEAD = 1 << 16  # bytes from which the dialect is found
SHOWN = 80  # characters of a line in an error
COUNTED = 10  # points from which 0, 1, 2, ... in the first column is no coordinate
NOTE = re.compile(r'(\s*[-+.\d].*?\S)\s+(#|//|%).*')  # behind a point
STATION = re.compile(rb'^[ \t]*(\d+)[ \t]*$', re.MULTILINE)  # a count between points
COMMENT = re.compile(r'\s*(#|//|%)')
# S3DIS has such characters inside of rows.
CONTROLS = bytes([*range(9), 11, 12, *range(14, 32), 127])


class Layout(NamedTuple):
    """What the beginning of a file tells.

    Attributes:
        dialect: How lines are cut.
        mask: Which columns are numbers.
        start: Index of the line of the first point.
        names: Of the columns, or None.
        counts: Number of a line that counts the points -> its numbers.
    """

    dialect: Dialect
    mask: tuple[bool, ...]
    start: int
    names: list[str] | None
    counts: dict[int, list[int]]


def read_text(path: Path, *, columns: Sequence[str] | None, **_) -> np.ndarray | Fields:
    """Read the points of a text file, float64.

    Without names, a first of four columns or more that numbers the points from
    0 or 1 is left out, unless ``columns`` chooses by numbers.

    Raises:
        ValueError: Lines that are no points; the message gives the number of
            the line, its text and the separator that was found.
    """
    data = _decoded(path.read_bytes())
    if has_pairs(_head(data)):
        data = PAIR.sub(rb'\1.\2', data)
    lines = _lines(_head(data))
    if not any(map(_counts_as_text, lines)):
        return np.zeros((0, 3))
    layout = _layout(lines, path)
    before = 0
    for _ in range(layout.start):
        before = data.index(b'\n', before) + 1
    body = data[before:]
    stations = STATION.findall(body) if layout.counts else []
    if stations:  # each scanner's points follow their count
        body = STATION.sub(b'', body)
    rows = _rows(body, layout, path)
    _check_counts(layout.counts, len(rows), path, sum(map(int, stations)))
    if layout.names is None:
        if _starts_with_count(rows):
            _log_left(path, f'line {layout.start + 1} counts the points and the columns')
            rows = rows[1:]
        if columns is None and _numbers_points(rows):
            _log_left(path, 'the first column numbers the points')
            rows = rows[:, 1:]
        return rows
    values = rows.T if rows.dtype.names is None else [rows[name] for name in rows.dtype.names]
    return dict(zip(layout.names, values))


def begins_with_points(head: bytes) -> bool:
    """Whether a text may hold points, by its first ``HEAD`` bytes.

    It does if a line has three numbers or more and nothing else, or if its
    header names x, y, z. An empty file, or a beginning of comments alone, may.
    """
    try:
        lines = _lines(_decoded(head).decode('utf-8', 'replace'))
    except UnicodeDecodeError:
        return False
    cut = len(head) == HEAD
    if cut:
        lines.pop()
    texts = [line for line in lines if _counts_as_text(line)]
    for line in texts:
        masks = [dialect.mask(line) for dialect in (*DIALECTS, QUOTED)]
        if any(len(mask) > 2 and all(mask) for mask in masks):
            return True
    if not texts:
        return cut or not any(map(str.strip, lines))
    try:
        return bool(find_axes(_layout(lines, Path()).names or []))
    except ValueError:
        return False


def _decoded(data: bytes) -> bytes:
    """The text with one byte per ASCII character, ``\\n`` between lines, and no control bytes."""
    if data.startswith((b'\xff\xfe\0\0', b'\0\0\xfe\xff')):
        data = data.decode('utf-32').encode()
    elif data.startswith((b'\xff\xfe', b'\xfe\xff')):
        data = data.decode('utf-16').encode()
    elif data[1:64:2].count(0) > 24:
        data = data.decode('utf-16-le').encode()
    elif data[:64:2].count(0) > 24:
        data = data.decode('utf-16-be').encode()
    data = data.removeprefix(b'\xef\xbb\xbf').translate(None, CONTROLS)
    if b'\r' in data:
        data = data.replace(b'\r\n', b'\n').replace(b'\r', b'\n')
    return data


def _head(data: bytes) -> str:
    """The first lines, with at least one that is no comment."""
    size = HEAD
    while True:
        head = data[:size]
        if len(data) > size:
            head = head[: head.rfind(b'\n') + 1]
        text = head.decode('utf-8', 'replace')
        if len(data) <= size or any(_counts_as_text(line) for line in text.split('\n')):
            return text
        size *= 4


def _lines(text: str) -> list[str]:
    """Lines of a text, without the notes behind points."""
    return [NOTE.sub(r'\1', line) if NOTE.match(line) else line for line in text.split('\n')]


def _counts_as_text(line: str) -> bool:
    return bool(line.strip()) and not COMMENT.match(line)


def _layout(lines: list[str], path: Path) -> Layout:
    texts = [line for line in lines if _counts_as_text(line)]
    dialect, mask = find_dialect(texts[-20:])
    if dialect is None:
        number = lines.index(texts[0]) + 1
        raise ValueError(
            f'{path}: no line with three numbers or more, separated by blanks, tabs, commas, '
            f'semicolons or bars. Line {number} is {_shown(texts[0])}.'
        )
    mask = with_rare_columns(dialect, mask, texts[-20:])
    start = next(k for k, line in enumerate(lines) if is_point(dialect, line, mask))
    if _numbers_columns(dialect, lines[start : start + 20]):
        _log_left(path, f'line {start + 1} numbers the columns')
        start += 1
    names = _names(lines[:start], dialect, len(mask), path)
    if names is None and not all(mask):
        raise ValueError(
            f'{path}: line {start + 1}, cut at {dialect}, has columns that are no numbers, and no '
            f'line before it names the columns: {_shown(lines[start])}.'
        )
    return Layout(dialect, mask, start, names, _counts(lines[:start], dialect, len(mask), path))


def _numbers_columns(dialect: Dialect, lines: list[str]) -> bool:
    """Whether the first line heads the columns by numbers, and is no point.

    All other lines have three fractions or more; between blanks, three columns
    alone are a point.
    """
    first, *others = [dialect.cells(line) for line in lines if _counts_as_text(line)]
    if not _ordinals(first) or (dialect.separator is None and len(first) < 4):
        return False
    fractions = [sum(dialect.decimal in cell for cell in cells) for cells in others]
    return min(fractions, default=0) >= 3


def _names(lines: list[str], dialect: Dialect, count: int, path: Path) -> list[str] | None:
    """Names of the columns, from the lines before the first point."""
    plain_header = None
    for k, line in reversed(list(enumerate(lines))):
        text = COMMENT.sub('', line).strip(' #/%')
        comment = COMMENT.match(line)
        for cells in (dialect.cells(text), re.split(r'[,;\s]+', text)):
            cells = cells[:count] if comment else cells  # more words may follow the names
            if len(cells) == count and find_axes(cells):
                return _unique(cells, k + 1, path)
        cells = dialect.cells(text)
        if comment or not text or any(dialect.mask(text)):
            continue
        axes = find_axes(cells)
        if axes:
            raise ValueError(
                f'{path}: line {k + 1} names {len(cells)} columns, cut at {dialect}, and the points '
                f'have {count}: {_shown(line)}. Name every column.'
            )
        after_count = k > 0 and _integers(lines[k - 1])
        if len(cells) == count and not after_count:
            plain_header = plain_header or _unique(cells, k + 1, path)
    return plain_header


def _unique(names: list[str], number: int, path: Path) -> list[str]:
    names = [name or (f'unnamed: {k}' if k else '') for k, name in enumerate(names)]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f'{path}: line {number} names two columns {twice[0]!r}. Rename one.')
    return names


def _integers(line: str) -> list[int]:
    cells = line.split()
    return [int(cell) for cell in cells] if all(cell.isdecimal() for cell in cells) else []


def _counts(lines: list[str], dialect: Dialect, count: int, path: Path) -> dict[int, list[int]]:
    """Counts of points before the first one; an error for a line that may be a point."""
    counts = {}
    for k, line in enumerate(lines):
        cells = dialect.cells(line)
        numbers = [cell for cell in cells if dialect.is_number(cell)]
        fractions = any(dialect.decimal in cell for cell in numbers)
        if not line.strip() or COMMENT.match(line) or _ordinals(cells):
            continue
        if len(cells) < count and _integers(line):
            counts[k + 1] = _integers(line)
        elif (fractions and len(cells) == count) or (
            len(numbers) > 1 and 2 * len(numbers) > len(cells)
        ):
            raise ValueError(
                f'{path}: line {k + 1} is no point of {count} columns, cut at {dialect}: '
                f'{_shown(line)}. Correct it, or begin it with # if it is a title.'
            )
    return counts


def _ordinals(cells: list[str]) -> bool:
    """Whether cells are 0,1,2 or ,0,1,2 as pandas heads columns without names."""
    cells = cells if cells[0] else cells[1:]
    return len(cells) > 2 and cells == [str(k) for k in range(len(cells))]


def _starts_with_count(rows: np.ndarray) -> bool:
    """Whether the first row (C,) is N, 3, ... and whole, before N others with fractions."""
    count, first = len(rows) - 1, rows[0]
    return bool(
        count >= COUNTED
        and first[0] == count
        and first[1] in (3, rows.shape[1])
        and (first == np.rint(first)).all()
        and (rows[1:, -3:] != np.rint(rows[1:, -3:])).any(axis=1).all()
    )


def _numbers_points(rows: np.ndarray) -> bool:
    """Whether the first column of (N, C) is 0..N-1 or 1..N, beside three others."""
    count, width = rows.shape
    first = rows[:, 0]
    return bool(
        count >= COUNTED
        and width > 3
        and first[0] in (0, 1)
        and (first == np.arange(count) + first[0]).all()
    )


def _check_counts(counts: dict[int, list[int]], found: int, path: Path, later: int) -> None:
    """Compare the points with the counts before them, and the sum of counts between them."""
    for number, (said, *more) in counts.items():
        if said + later > found or ((more or later) and said + later != found):
            lines = f'line {number} says' if not later else f'line {number} and later ones say'
            raise ValueError(
                f'{path}: {lines} {said + later} points, and {found} follow. The file is cut '
                'off, or the line is something else: begin it with #.'
            )


def _rows(data: bytes, layout: Layout, path: Path) -> np.ndarray:
    """Points (N, C) float64, or an array with fields if some columns are text."""
    body, separator = data, layout.dialect.separator
    if b'//' in body or b'%' in body:
        body = re.sub(rb'(//|%)[^\n]*', b'', body)
    if separator == ', ':
        body, separator = body.replace(b', ', b';'), ';'
    if layout.dialect == QUOTED:
        body = re.sub(rb'"([^"\n]*)"', lambda quoted: quoted[1].replace(b',', b'.'), body)
    elif layout.dialect.decimal == ',':
        body = body.replace(b',', b'.')
    full = body
    if separator and f'{separator}\n'.encode() in body:
        body = re.sub(rb'(%s[ \t]*)+(?=\n|\Z)' % re.escape(separator.encode()), b'', body)
    try:
        return _table(body, separator, layout.mask)
    except ValueError as error:
        if separator and body != full and b'"' not in full:
            fill = partial(_with_last_cells, separator=separator.encode(), count=len(layout.mask))
            with contextlib.suppress(ValueError):
                return _table(fill(full), separator, layout.mask)
            data = fill(data)
        raise ValueError(_first_bad_line(data, layout, path) or f'{path}: {error}') from error


def _table(body: bytes, separator: str | None, mask: tuple[bool, ...]) -> np.ndarray:
    text = dict(dtype=[('', 'f8' if number else 'S1') for number in mask], ndmin=1)
    options = dict(dtype=np.float64, ndmin=2) if all(mask) else text
    return np.loadtxt(
        io.BytesIO(body),
        delimiter=separator,
        quotechar='"' if b'"' in body else None,
        encoding='utf-8',
        **options,
    )


def _with_last_cells(body: bytes, separator: bytes, count: int) -> bytes:
    """Lines with NaN for empty cells at the end of ``count`` columns."""
    lines = []
    for line in body.split(b'\n'):
        cells = [cell.strip() for cell in line.split(separator)]
        while len(cells) > count and not cells[-1]:
            cells.pop()
        k = len(cells)
        while k > 0 and not cells[k - 1]:
            k -= 1
        if k == 0:
            cells = []
        elif len(cells) == count:
            cells[k:] = [b'nan'] * (count - k)
        lines.append(separator.join(cells))
    return b'\n'.join(lines)


def _first_bad_line(data: bytes, layout: Layout, path: Path) -> str | None:
    dialect, mask = layout.dialect, layout.mask
    for k, line in enumerate(data.decode('utf-8', 'replace').split('\n'), layout.start + 1):
        line = re.sub(r'(#|//|%).*', '', line)
        found = dialect.mask(line)
        if not line.strip() or fits(found, mask):
            continue
        where = f'{path}: line {k}, cut at {dialect}'
        if len(found) != len(mask):
            return (
                f'{where}, has {len(found)} columns, expected {len(mask)} as in line '
                f'{layout.start + 1}: {_shown(line)}. The file is cut off or damaged there.'
            )
        column = next(i for i, m in enumerate(mask) if m and not found[i])
        return f'{where}: {dialect.cells(line)[column]!r} is no number: {_shown(line)}.'
    return None


def _shown(line: str) -> str:
    return repr(line if len(line) <= SHOWN else line[:SHOWN] + '...')


@cache
def _log_left(path: Path, what: str) -> None:
    print_log(f'{path}: {what}, and is left out.', 'current', logging.INFO)
