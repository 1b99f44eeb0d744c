"""Tables and curves of results over seeds, with paired differences."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev

from .records import summarize


def write_tables(tables: Sequence[Mapping], records: Sequence[dict]) -> str:
    """Tables in Markdown: mean ± deviation over the runs. Missing rows say "not run".

    Metrics of a probe have its method in front: ``svm/accuracy``.

    Args:
        tables: Each with ``title``, ``rows`` (label -> name of the records), and if needed
            ``columns`` (metric -> heading), ``scale``, ``against`` (row -> row, for paired
            differences), ``curve``, ``curve_is`` and ``steps_per_epoch``.
        records: See :func:`make_record`, with a ``name``.
    """
    records = [with_method(record) for record in records]
    rows = summarize(records, by=lambda record: record['name'])
    text = []
    for table in tables:
        found = [metric for step in table['rows'].values() for metric in rows.get(step, ())]
        columns = table.get('columns') or {metric: metric for metric in found}
        if 'curve' in table:
            epochs = sorted({epoch_of(m) for m in found if m.startswith(f'{table["curve"]}@')})
            per_epoch = table.get('steps_per_epoch', 1)
            columns = {f'{table["curve"]}@{n}': f'{n * per_epoch} steps' for n in epochs}
        text += [f'## {table["title"]}\n', f'| run | {" | ".join(columns.values())} | runs |']
        text.append('|---' * (len(columns) + 2) + '|')
        for label, step in table['rows'].items():
            metrics = rows.get(step, {})
            cells = [cell(metrics, m, table.get('scale', 1.0)) for m in columns]
            runs = max((m['n'] for m in metrics.values()), default=0)
            text.append(f'| {label} | {" | ".join(cells)} | {runs} |')
            base = table.get('against', {}).get(label)
            if base:
                pair = [by_seed(records, table['rows'][name]) for name in (label, base)]
                both = [paired(*pair, metric, table.get('scale', 1.0)) for metric in columns]
                cells = [difference(values) for values in both]
                text.append(f'| minus {base} | {" | ".join(cells)} | {max(map(len, both))} |')
        text.append('')
        unknown = sorted(set(columns) - set(found))
        if found and unknown:
            text.append(f'No run has the metrics {unknown}; there are {sorted(set(found))}.\n')
    return '\n'.join(text)


def fill_page(page: str, tables: str) -> str:
    """The page with the newest tables below the headings that have their titles.

    Args:
        page: Markdown; tables follow their headings, of any level.
        tables: From :func:`write_tables`. A table without a run, or whose title is no heading
            of the page, changes nothing.
    """
    below_heading = re.compile(r'^(#+ (.+)\n\n)((?:\|.*\n)+)', re.MULTILINE)
    newest = {
        title: table
        for _, title, table in below_heading.findall(tables)
        if re.search(r'\| [1-9]\d* \|\n', table)
    }
    return below_heading.sub(lambda found: found[1] + newest.get(found[2], found[3]), page)


def with_method(record: dict) -> dict:
    """The record with the method of a probe in front of its metrics."""
    method = f'{record["method"]}/' if 'method' in record else ''
    return dict(record, metrics={method + k: v for k, v in record['metrics'].items()})


def cell(metrics: Mapping, metric: str, scale: float) -> str:
    """``70.4 ± 2.7`` of a row of :func:`summarize`; or "not run".

    The deviation is that over the runs; for one run of a probe with few labels, over its draws.
    Without it if all runs are equal.
    """
    if metric not in metrics:
        return 'not run'
    found = metrics[metric]
    draws = metrics.get(f'{metric.split("/")[0]}/deviation', found)
    std = found['std'] if found['n'] > 1 or draws is found else draws['mean']
    text = f'{scale * found["mean"]:.1f}'
    return f'{text} ± {scale * std:.1f}' if std else text


def by_seed(records: Sequence[dict], step: str) -> dict[tuple, float]:
    """(metric, seed) -> value of a step."""
    found = [record for record in records if record['name'] == step]
    return {(m, r['seed']): value for r in found for m, value in r['metrics'].items()}


def paired(ours: Mapping, theirs: Mapping, metric: str, scale: float) -> list[float]:
    """Differences of a metric for the seeds that both have."""
    both = [key for key in ours if key[0] == metric and key in theirs]
    return [scale * (ours[key] - theirs[key]) for key in both]


def difference(values: Sequence[float]) -> str:
    """Mean of paired differences with its 95 % interval: ``+8.7 [6.1, 11.3]``."""
    from scipy.stats import t

    if not values:
        return '-'
    if len(values) == 1:
        return f'{values[0]:+.1f}'
    half = t.ppf(0.975, len(values) - 1) * stdev(values) / len(values) ** 0.5
    return f'{mean(values):+.1f} [{mean(values) - half:.1f}, {mean(values) + half:.1f}]'


def epoch_of(name: str) -> int:
    """Of ``METRIC@EPOCH``."""
    return int(name.rsplit('@', 1)[1])


def draw_curve(table: Mapping, records: Sequence[dict], path: Path) -> None:
    """Draw mean and deviation of each row of a table with a ``curve``, as svg.

    The same records give the same file, byte by byte.
    """
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot

    metric, scale = table['curve'], table.get('scale', 1.0)
    per_epoch = table.get('steps_per_epoch', 1)
    rows = summarize(records, by=lambda record: record['name'])
    figure, axes = pyplot.subplots(figsize=(6, 4))
    for label, step in table['rows'].items():
        points = sorted(
            (epoch_of(name) * per_epoch, scale * found['mean'], scale * found['std'], found['n'])
            for name, found in rows.get(step, {}).items()
            if name.startswith(f'{metric}@')
        )
        if points:
            steps, means, errors, runs = zip(*points)
            axes.errorbar(steps, means, errors, capsize=3, label=f'{label} ({runs[0]})')
    axes.set(
        xlabel='training steps' if 'steps_per_epoch' in table else 'epochs',
        ylabel=table.get('curve_is', metric),
    )
    axes.grid(alpha=0.3)
    if axes.has_data():
        axes.legend(title='mean ± deviation (runs)')
    figure.tight_layout()
    with matplotlib.rc_context({'svg.hashsalt': 'mmkd3d'}):
        figure.savefig(path, format='svg', metadata={'Date': None})
    pyplot.close(figure)
