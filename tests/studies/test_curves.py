"""Curves of a metric over a training, in tables and pictures."""

import json

import pytest

from mmkd3d.studies.curves import draw_curve, read_curve
from mmkd3d.studies.tables import study_tables

TABLE = dict(
    title='AP',
    rows={'scratch': 'det/scratch', 'rooms': 'det/rooms'},
    curve='mAP',
    steps_per_epoch=50,
    scale=100,
)


def write_scalars(folder, stamp, lines):
    path = folder / stamp / 'vis_data'
    path.mkdir(parents=True)
    (path / 'scalars.json').write_text('\n'.join(map(json.dumps, lines)))


def test_the_newest_of_a_resumed_training_counts(tmp_path):
    write_scalars(
        tmp_path,
        '20260101_000000',
        [dict(loss=3.0, step=40), dict(mAP=0.1, step=1), dict(mAP=0.2, step=2)],
    )
    write_scalars(tmp_path, '20260101_010000', [dict(mAP=0.3, step=2), dict(mAP=0.5, step=10)])
    assert list(read_curve(tmp_path, 'mAP').items()) == [
        ('mAP@1', 0.1),
        ('mAP@2', 0.3),
        ('mAP@10', 0.5),
    ]


def test_a_training_without_the_metric_says_so(tmp_path):
    write_scalars(tmp_path, 'a', [dict(loss=3.0, step=40)])
    with pytest.raises(ValueError, match='val_interval'):
        read_curve(tmp_path, 'mAP')


def records(step, *curves):
    return [
        dict(name=step, seed=seed, protocol='p', metrics={f'mAP@{e}': v for e, v in curve.items()})
        for seed, curve in enumerate(curves)
    ]


def test_columns_are_steps_in_their_order_and_cells_have_deviations():
    found = records('det/scratch', {2: 0.1, 10: 0.3}, {2: 0.2, 10: 0.5})
    text = study_tables(dict(tables=[TABLE]), found)
    assert '| run | 100 steps | 500 steps | runs |' in text
    assert '| scratch | 15.0 ± 7.1 | 40.0 ± 14.1 | 2 |' in text
    assert '| rooms | not run | not run | 0 |' in text


@pytest.mark.filterwarnings('error')
def test_a_picture_names_the_rows_that_ran(tmp_path):
    found = records('det/scratch', {2: 0.1, 10: 0.3}, {2: 0.2, 10: 0.5})
    draw_curve(TABLE, found, tmp_path / 'curve.svg')
    draw_curve(TABLE, found, tmp_path / 'same.svg')
    assert (tmp_path / 'same.svg').read_bytes() == (tmp_path / 'curve.svg').read_bytes()
    again = tmp_path / 'again.svg'
    draw_curve(dict(TABLE, rows={'scratch': 'none'}), found, again)
    assert (tmp_path / 'curve.svg').stat().st_size > again.stat().st_size
