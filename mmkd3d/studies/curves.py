"""A metric over the course of a training, for several seeds."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from .tables import epoch_of, summarize


def read_curve(folder: Path, metric: str) -> dict[str, float]:
    """What the validations of a training gave, from mmengine's scalars.

    Args:
        folder: Work dir of the training; one that was resumed has several
            files, of which the newest counts.
        metric: Name of a validation metric.

    Returns:
        ``METRIC@EPOCH`` to value, in the order of the epochs.

    Raises:
        ValueError: No validation gave this metric.
    """
    found = {}
    for file in sorted(folder.glob('*/vis_data/scalars.json')):
        for line in file.read_text().splitlines():
            scalars = json.loads(line)
            if metric in scalars:
                found[int(scalars['step'])] = float(scalars[metric])
    if not found:
        raise ValueError(
            f'No validation of {folder} gave {metric}: set '
            'train_cfg.val_interval, or name another metric as curve.'
        )
    return {f'{metric}@{epoch}': found[epoch] for epoch in sorted(found)}


def draw_curve(table: Mapping, records: Sequence[dict], path: Path) -> None:
    """Draw mean and deviation of the rows of a table with a ``curve``.

    The same records give the same file, byte by byte.

    Args:
        table: Of a study.
        records: Of its runs.
        path: An svg file.
    """
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot

    metric = table['curve']
    per_epoch, scale = table.get('steps_per_epoch', 1), table.get('scale', 1.0)
    rows = summarize(records, by=lambda record: record['name'])
    figure, axes = pyplot.subplots(figsize=(6, 4))
    for label, step in table['rows'].items():
        points = sorted(
            (epoch_of(name) * per_epoch, found)
            for name, found in rows.get(step, {}).items()
            if name.startswith(f'{metric}@')
        )
        if points:
            axes.errorbar(
                [x for x, _ in points],
                [scale * found['mean'] for _, found in points],
                [scale * found['std'] for _, found in points],
                capsize=3,
                label=f'{label} ({points[0][1]["n"]})',
            )
    axes.set(
        xlabel='training steps' if per_epoch > 1 else 'epochs', ylabel=table.get('curve_is', metric)
    )
    axes.grid(alpha=0.3)
    if axes.has_data():
        axes.legend(title='mean ± deviation (runs)')
    figure.tight_layout()
    with matplotlib.rc_context({'svg.hashsalt': 'mmkd3d'}):
        figure.savefig(path, format='svg', metadata={'Date': None})
    pyplot.close(figure)
