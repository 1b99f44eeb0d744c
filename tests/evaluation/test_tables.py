"""Tables and curves of results over seeds."""

from mmkd3d.evaluation.tables import draw_curve, fill_page, write_tables

CURVE = dict(
    title='AP', rows=dict(scratch='s', rooms='r'), curve='mAP', steps_per_epoch=50, scale=100
)


def test_a_curve_is_a_table_of_steps_and_a_picture(tmp_path):
    curves = ({2: 0.1, 10: 0.3}, {2: 0.2, 10: 0.5})
    records = [
        dict(name='s', seed=seed, metrics={f'mAP@{epoch}': v for epoch, v in curve.items()})
        for seed, curve in enumerate(curves)
    ]
    text = write_tables([CURVE], records)
    assert '| run | 100 steps | 500 steps | runs |' in text
    assert '| scratch | 15.0 ± 7.1 | 40.0 ± 14.1 | 2 |' in text
    assert '| rooms | not run | not run | 0 |' in text
    table = dict(title='T', rows=dict(scratch='s'), columns=dict(ac='accuracy'))  # misspelt
    record = dict(name='s', seed=0, metrics=dict(acc=1.0))
    text = write_tables([table], [record])
    assert "No run has the metrics ['ac']; there are ['acc']." in text
    assert 'No run' not in write_tables([table], [])
    for name, found in (('curve', records), ('same', records), ('none', [])):
        draw_curve(CURVE, found, tmp_path / name)
    assert (tmp_path / 'same').read_bytes() == (tmp_path / 'curve').read_bytes()
    assert (tmp_path / 'none').stat().st_size < (tmp_path / 'curve').stat().st_size


def test_differences_are_paired_by_seed():
    runs = dict(scratch={0: 50.0, 1: 60.0, 2: 70.0}, student={0: 52.0, 1: 63.0, 2: 74.0, 3: 99.0})
    records = [
        dict(name=name, seed=seed, metrics=dict(acc=value))
        for name, values in runs.items()
        for seed, value in values.items()
    ]
    against = dict(b='a', c='a')
    table = dict(
        title='T',
        rows=dict(a='scratch', b='student', c='lost'),
        columns=dict(acc='x'),
        against=against,
    )
    lines = write_tables([table], records).splitlines()
    # differences 2, 3, 4: mean 3, deviation 1; t(0.975, 2) / sqrt(3) = 2.484
    assert '| minus a | +3.0 [0.5, 5.5] | 3 |' in lines
    assert lines[-1] == '| minus a | - | 0 |'
    one = [record for record in records if record['seed'] == 0]
    assert '| minus a | +2.0 | 1 |' in write_tables([table], one)


def test_one_run_of_few_labels_has_the_deviation_of_its_draws():
    record = dict(name='p', seed=0, method='5-label', metrics=dict(accuracy=80.0, deviation=1.5))
    other = dict(record, seed=1, metrics=dict(accuracy=82.0, deviation=1.5))
    table = dict(title='T', rows=dict(probe='p'), columns={'5-label/accuracy': '5 labels'})
    assert '| probe | 80.0 ± 1.5 | 1 |' in write_tables([table], [record])
    assert '| probe | 81.0 ± 1.4 | 2 |' in write_tables([table], [record, other])
    svm = dict(record, method='svm', metrics=dict(accuracy=80.0))
    table['columns'] = {'svm/accuracy': 'SVM'}
    assert '| probe | 80.0 | 1 |' in write_tables([table], [svm])


def test_a_page_gets_the_tables_that_have_runs():
    tables = [dict(title=title, rows=dict(a=title), columns=dict(x='x')) for title in 'AB']
    text = write_tables(tables, [dict(name='A', seed=0, metrics=dict(x=12.0))])
    page = '# Page\n\n### A\n\n| old |\n| a |\n\nText.\n\n#### B\n\n| b |\n\n## C\n\n| c |\n'
    table = text.partition('\n\n')[2].partition('\n\n')[0]
    assert fill_page(page, text) == page.replace('| old |\n| a |', table) and '12.0' in table
    assert fill_page('no table\n', text) == 'no table\n'
