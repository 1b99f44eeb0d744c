"""Numbers and tables for people."""

from collections.abc import Sequence


def format_seconds(seconds: float) -> str:
    """'1.23 s' or '45.6 ms'."""
    return f'{seconds:.2f} s' if seconds >= 1 else f'{seconds * 1e3:.1f} ms'


def format_bytes(number: int | None) -> str:
    """'12 MiB', or 'unknown'."""
    return 'unknown' if number is None else f'{number / 2**20:.0f} MiB'


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a Markdown table with aligned columns."""
    widths = [max(map(len, column)) for column in zip(header, *rows)]
    lines = [[cell.ljust(width) for cell, width in zip(row, widths)] for row in (header, *rows)]
    lines.insert(1, ['-' * width for width in widths])
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)
