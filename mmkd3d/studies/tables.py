"""Records of several seeds as the rows of a table."""

from collections.abc import Callable, Mapping, Sequence
from statistics import mean, stdev


def summarize(
    records: Sequence[dict], by: Callable[[dict], str] = lambda r: r['protocol']
) -> dict[str, dict]:
    """Mean and spread of every metric over the records of a row.

    Args:
        records: See :func:`~mmkd3d.utils.records.make_record`.
        by: Names the row of a record.

    Returns:
        Name of the row -> metric -> ``mean``, ``std`` (of a sample: n - 1 in
        the denominator; 0 for one run), ``min``, ``max``, ``n`` and ``seeds``.
    """
    rows: dict[str, dict] = {}
    for record in records:
        for metric, value in record['metrics'].items():
            row = rows.setdefault(by(record), {})
            row.setdefault(metric, []).append((value, record['seed']))
    return {
        name: {metric: spread(runs) for metric, runs in metrics.items()}
        for name, metrics in rows.items()
    }


def spread(runs: Sequence[tuple[float, int | None]]) -> dict:
    """Of (value, seed) pairs."""
    values = [value for value, _ in runs]
    return dict(
        mean=mean(values),
        std=stdev(values) if len(values) > 1 else 0.0,
        min=min(values),
        max=max(values),
        n=len(values),
        seeds=[seed for _, seed in runs],
    )


def markdown(
    rows: Mapping[str, Mapping[str, dict]],
    columns: Mapping[str, str] | None = None,
    *,
    digits: int = 1,
    scale: float = 1.0,
    title: str = 'run',
) -> str:
    """A table in Markdown: mean ± deviation, and the number of runs.

    Args:
        rows: From :func:`summarize`.
        columns: Metric -> head of its column; None takes all metrics.
        digits: After the point.
        scale: Factor on the values, 100 for metrics in [0, 1].
        title: Head of the first column.
    """
    if columns is None:
        columns = {m: m for metrics in rows.values() for m in metrics}
    lines = [
        f'| {title} | ' + ' | '.join(columns.values()) + ' | runs |',
        '|---' * (len(columns) + 2) + '|',
    ]
    for name, metrics in rows.items():
        cells = [cell(metrics.get(m), digits, scale) for m in columns]
        runs = max((m['n'] for m in metrics.values()), default=0)
        lines.append(f'| {name} | ' + ' | '.join(cells) + f' | {runs} |')
    return '\n'.join(lines) + '\n'


def cell(found: Mapping | None, digits: int = 1, scale: float = 1.0) -> str:
    """``70.4 ± 2.7``; without a deviation for one run; else "not run"."""
    if found is None:
        return 'not run'
    text = f'{scale * found["mean"]:.{digits}f}'
    if found['n'] == 1:
        return text
    return f'{text} ± {scale * found["std"]:.{digits}f}'


def study_tables(study: Mapping, records: Sequence[dict]) -> str:
    """The ``tables`` of a study in Markdown; rows that lack say "not run".

    A row is the name of a step. Metrics of a probe are called after its
    method: ``svm/accuracy``. The columns of a table with a ``curve`` are that
    metric after so many steps. A line below a table names columns that none of
    its runs has, which may be misspelt.
    """
    parts = []
    of_steps = summarize([with_method(r) for r in records], by=lambda record: record['name'])
    for table in study.get('tables', ()):
        rows = {row: of_steps.get(step, {}) for row, step in table['rows'].items()}
        columns = table.get('columns')
        if 'curve' in table:
            columns = curve_columns(
                [m for metrics in rows.values() for m in metrics],
                table['curve'],
                table.get('steps_per_epoch', 1),
            )
        parts.append(
            f'## {table["title"]}\n\n'
            + markdown(
                rows,
                columns,
                title=table.get('rows_are', 'run'),
                digits=table.get('digits', 1),
                scale=table.get('scale', 1.0),
            )
        )
        known = sorted({m for metrics in rows.values() for m in metrics})
        unknown = [m for m in columns or () if m not in known]
        if known and unknown:
            parts.append(
                f'None of these runs gave {", ".join(unknown)}; there are {", ".join(known)}.\n'
            )
    return '\n'.join(parts)


def curve_columns(names: Sequence[str], metric: str, steps_per_epoch: int) -> dict[str, str]:
    """Heads of the columns of a table: ``METRIC@EPOCH`` to steps."""
    epochs = sorted(epoch_of(n) for n in set(names) if n.startswith(f'{metric}@'))
    return {f'{metric}@{epoch}': f'{epoch * steps_per_epoch} steps' for epoch in epochs}


def epoch_of(name: str) -> int:
    """Of ``METRIC@EPOCH``."""
    return int(name.rsplit('@', 1)[1])


def with_method(record: dict) -> dict:
    """The record with its method, if it has one, in the names of metrics."""
    if 'method' not in record:
        return record
    return dict(
        record,
        metrics={f'{record["method"]}/{name}': value for name, value in record['metrics'].items()},
    )


def spread_table(rows: Mapping[str, Mapping[str, dict]]) -> str:
    """All that :func:`summarize` found, a line for every metric."""
    lines = [
        '| protocol | metric | mean | deviation | min | max | runs | seeds |',
        '|---' * 8 + '|',
    ]
    for name, metrics in rows.items():
        for metric, found in metrics.items():
            values = ' | '.join(f'{found[key]:.2f}' for key in ('mean', 'std', 'min', 'max'))
            seeds = ', '.join(map(str, dict.fromkeys(found['seeds'])))
            lines.append(f'| {name} | {metric} | {values} | {found["n"]} | {seeds} |')
    return '\n'.join(lines) + '\n'
