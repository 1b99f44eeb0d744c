"""Numbers and tables."""

from benchmarks.tables import format_bytes, format_seconds, markdown_table


def test_numbers_are_readable():
    assert format_seconds(1.234) == '1.23 s'
    assert format_seconds(0.01234) == '12.3 ms'
    assert format_bytes(3 * 2**20) == '3 MiB'
    assert format_bytes(None) == 'unknown'
    table = '| a    | long |\n| ---- | ---- |\n| word | b    |'
    assert markdown_table(['a', 'long'], [['word', 'b']]) == table
