"""How the lines of a text are cut into numbers."""

import csv
import re
from collections import Counter
from typing import NamedTuple

PAIR = re.compile(rb'(?<![\d.])(\d+),(\d+)(?![\d.])')  # 0,05 of 0,05,1,50,2,25
PAIRS = re.compile(r'[ \t]*[-+]?\d+,\d+(,[-+]?\d+,\d+){2,}[ \t]*')


class Dialect(NamedTuple):
    """How a line is cut into numbers.

    Attributes:
        separator: Between columns; None: blanks.
        decimal: Sign before the fraction.
    """

    separator: str | None
    decimal: str = '.'

    def __str__(self) -> str:
        named = {None: 'blanks', '\t': 'tabs', ', ': "', '"}
        text = named.get(self.separator, f'{self.separator!r}')
        return text + (' with decimal commas' if self.decimal == ',' else '')

    def cells(self, line: str, least: int = 1) -> list[str]:
        """Columns of a line, without quotes, and without empty ones at its end behind ``least``."""
        cells = line.split(self.separator)
        if '"' in line and self.separator not in (None, ', '):  # which quotes may contain
            cells = next(csv.reader([line], delimiter=self.separator, skipinitialspace=True))
        cells = [cell.strip().strip('"').strip() for cell in cells]
        while len(cells) > least and not cells[-1]:
            cells.pop()
        return cells

    def is_number(self, cell: str) -> bool:
        try:
            float(cell.replace(',', '.') if self.decimal == ',' else cell)
        except ValueError:
            return False
        return '_' not in cell

    def mask(self, line: str) -> tuple[bool, ...]:
        """Which columns of a line are numbers."""
        return tuple(self.is_number(cell) for cell in self.cells(line))


DIALECTS = (
    Dialect(';'),
    Dialect('\t'),
    Dialect(','),
    Dialect('|'),
    Dialect(None),
    Dialect(';', ','),
    Dialect('\t', ','),
    Dialect('|', ','),
    Dialect(None, ','),
)
# With commas for both, only blanks or quotes tell them apart.
SPACED = Dialect(', ', ',')  # 0,5, 1,5, 2,5
QUOTED = Dialect(',', ',')  # "0,5","1,5",2
AMBIGUOUS = {SPACED: r'(\s*[-+]?\d+,\d+, ){2}\s*[-+]?\d+,\d+', QUOTED: '.*"'}


def find_dialect(texts: list[str]) -> tuple[Dialect | None, tuple[bool, ...]]:
    """The dialect in which most lines are alike, and which columns are numbers."""
    best: tuple = ((0, False), None, ())
    for dialect in (SPACED, *DIALECTS, QUOTED):
        pattern = AMBIGUOUS.get(dialect, '')
        masks = [dialect.mask(text) for text in texts if re.match(pattern, text)]
        counts = Counter(mask for mask in masks if sum(mask) >= 3)
        for mask, count in counts.most_common(1):
            if (count, all(mask)) > best[0]:
                best = ((count, all(mask)), dialect, mask)
    return best[1:]


def with_rare_columns(
    dialect: Dialect, mask: tuple[bool, ...], texts: list[str]
) -> tuple[bool, ...]:
    """The mask with columns of numbers at the end that are empty in most lines."""
    full = max((dialect.mask(text) for text in texts), key=len)
    if len(full) > len(mask) and all(full) and all(mask):
        if all(len(dialect.cells(text, len(full))) == len(full) for text in texts):
            return full
    return mask


def is_point(dialect: Dialect, line: str, mask: tuple[bool, ...]) -> bool:
    """Whether a line has numbers where the mask has, or nothing in the last columns."""
    cells = dialect.cells(line, len(mask))
    filled = len(dialect.cells(line))
    found = tuple(k >= filled or dialect.is_number(cell) for k, cell in enumerate(cells))
    return filled > 2 and fits(found, mask)


def fits(found: tuple[bool, ...], mask: tuple[bool, ...]) -> bool:
    return len(found) == len(mask) and all(is_number or not m for is_number, m in zip(found, mask))


def has_pairs(text: str) -> bool:
    """Whether commas both separate columns and begin fractions: 1,370,-0,302,-4,059.

    Told by zeros that no whole number begins with, in fractions of one length.
    """
    rows = [line.split(',') for line in text.split('\n') if PAIRS.fullmatch(line)]
    rows = rows[-20:]
    if not rows or len({len(row) for row in rows}) > 1:
        return False
    wholes, fractions = ([cell for row in rows for cell in row[k::2]] for k in (0, 1))
    return (
        len(set(map(len, fractions))) == 1
        and any(re.match(r'0\d', fraction) for fraction in fractions)
        and not any(re.match(r'\s*[-+]?0\d', whole) for whole in wholes)
    )
