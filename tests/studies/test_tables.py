"""Tables of a study, from the records of its runs."""

from mmkd3d.studies.tables import markdown, study_tables, summarize


def record(name, seed, value, protocol='p'):
    return dict(name=name, seed=seed, protocol=protocol, metrics=dict(acc=value))


def test_tables_give_mean_and_deviation_of_a_sample():
    rows = summarize([record('a', 0, 1.0), record('a', 1, 4.0), record('a', 2, 4.0)])
    found = rows['p']['acc']
    assert found == dict(mean=3.0, std=3**0.5, min=1.0, max=4.0, n=3, seeds=[0, 1, 2])
    assert markdown(rows, dict(acc='accuracy', iou='IoU')).splitlines() == [
        '| run | accuracy | IoU | runs |',
        '|---|---|---|---|',
        '| p | 3.0 ± 1.7 | not run | 3 |',
    ]


def test_rows_of_a_study_that_nobody_ran_say_so():
    study = dict(
        tables=[
            dict(title='T', rows={'one': 'a', 'two': 'b'}, scale=100.0, columns={'svm/acc': 'SVM'})
        ]
    )
    text = study_tables(
        study, [dict(record('a', 0, 0.5), method='svm'), dict(record('a', 0, 0.9), method='knn')]
    )
    assert '| one | 50.0 | 1 |' in text
    assert '| two | not run | 0 |' in text


def test_a_column_that_no_run_gave_is_not_passed_off_as_not_run():
    study = dict(tables=[dict(title='T', rows=dict(one='a', two='b'), columns={'ac': 'accuracy'})])
    assert 'None of these runs gave ac; there are acc.' in study_tables(
        study, [record('a', 0, 1.0)]
    )
    assert 'None of these' not in study_tables(study, [])
