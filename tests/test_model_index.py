"""The model zoo table generated from the metafiles."""

import yaml

from tests.helpers import REPO, rejects
from tools.model_index import check_result, main, model_zoo, read_models

INDEX = REPO / 'model-index.yml'
PAGE = REPO / 'docs' / 'model_zoo.md'


def rows(page):
    """Cells of all tables, without the header rows."""
    lines = [line[2:-2].split(' | ') for line in page.splitlines() if line.startswith('| ')]
    return [cells for cells in lines if cells[0] != 'config']


def test_the_page_is_what_the_metafiles_say():
    main(['--check'])
    assert PAGE.read_text(encoding='utf-8') == model_zoo(INDEX, PAGE.parent)


def test_an_old_page_is_noticed(tmp_path):
    page = tmp_path / 'model_zoo.md'
    for text in (None, PAGE.read_text(encoding='utf-8') + 'more'):
        if text:
            page.write_text(text, encoding='utf-8')
        says = 'run python tools/model_index.py'
        rejects(says, main, ['--check', '--out', str(page)], error=SystemExit)
        assert page.exists() == bool(text)


def test_every_metric_of_every_config_has_a_row_whose_link_leads_there():
    found = rows(PAGE.read_text(encoding='utf-8'))
    metrics = [
        (model['Name'], result['Dataset'], metric)
        for model in read_models(INDEX)
        for result in model['Results']
        for metric in result['Metrics']
    ]
    shown = [(cells[0][1 : cells[0].index(']')], cells[1], cells[2]) for cells in found]
    assert sorted(shown) == sorted(metrics)
    for cells in found:
        link = cells[0][cells[0].index('(') + 1 : cells[0].index(')')]
        assert (PAGE.parent / link).is_file()
        assert all(cells) and len(cells) == 6


GOOD = dict(
    Task='Classification',
    Dataset='D',
    Metrics=dict(a=1.5, b='not run'),
    Deviation=dict(a=0.5),
    Seeds=3,
    Converted=dict(b='not run'),
    Published=dict(a=2.0),
    Source='a paper',
)


def write(folder, *results):
    model = dict(Name='m', Config='configs/m.py', Results=list(results))
    (folder / 'metafile.yml').write_text(yaml.safe_dump(dict(Models=[model])))
    index = folder / 'model-index.yml'
    index.write_text('Import:\n  - metafile.yml\n')
    return index


def test_each_place_has_its_column(tmp_path):
    other = dict(GOOD, Student='from scratch', Source='another')
    other['Published Deviation'] = dict(a=0.1)
    page = model_zoo(write(tmp_path, GOOD, GOOD, other), tmp_path / 'docs')
    link = '[m](../configs/m.py)'
    first = [
        [link, 'D', 'a', '2.0 (1)', '-', '1.5 ± 0.5, 3 seeds'],
        [link, 'D', 'b', '-', 'not run', 'not run'],
    ]
    third = [f'{link}, from scratch', 'D', 'a', '2.0 ± 0.1 (2)', '-', '1.5 ± 0.5, 3 seeds']
    assert rows(page)[:5] == first * 2 + [third]
    assert '(1) a paper  \n(2) another  \n' in page
    page = model_zoo(write(tmp_path), tmp_path / 'docs')  # without results: listed last
    assert page.endswith('## Without results\n\n- [m](../configs/m.py)\n')


def test_a_result_that_contradicts_itself_is_an_error(tmp_path):
    check_result(GOOD, 'm')
    for change, message in (
        (dict(Pubished=dict(a=1)), 'Pubished'),
        (dict(Task='Clasification'), 'one of the tasks'),
        (dict(Dataset=''), 'expected Dataset'),
        (dict(Metrics={}), 'expected Dataset, Metrics'),
        (dict(Metrics=dict(a='1.5', b=1)), "Metrics of 'a' is '1.5'.*'not run'"),
        (dict(Converted=dict(c=1)), "Converted has 'c', expected one of the Metrics"),
        (dict(Published=dict(a='not run')), 'expected a number[.]'),
        (dict(Seeds=None), 'Seeds is'),
        (dict(Metrics=dict(a='not run'), Deviation={}, Converted={}), 'Seeds is'),
        (dict(Source=None), 'Source is'),
        (dict(Published={}), 'Source is'),
        (dict(Deviation=dict(b=1.0)), 'Deviation of a metric that has no'),
        ({'Published Deviation': dict(b=1.0)}, 'Published Deviation of a metric'),
    ):
        result = {k: v for k, v in (GOOD | change).items() if v is not None}
        rejects(f'metafile.yml: m, .*{message}', read_models, write(tmp_path, result))
