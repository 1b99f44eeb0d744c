"""Shipped prompt sets and custom prompt files."""

import json

import pytest

from mmkd3d.models.teachers.prompts import list_prompts, load_prompts


@pytest.mark.parametrize('name', list_prompts())
def test_shipped_prompts_are_sentences_with_one_gap(name):
    templates = load_prompts(name)
    assert f'-{len(templates)}-v' in name
    for template in templates:
        assert template.replace('{}', 'cup').count('cup') == 1
        assert template.endswith('.')


def test_recon_prompts_count_prefixes_first():
    templates = load_prompts('recon-60-v1')
    parts = [template.split('{}') for template in templates]
    prefixes, suffixes = zip(*parts)
    assert len(templates) == len(set(templates)) == 60
    assert prefixes == prefixes[:20] * 3 and len(set(prefixes)) == 20
    assert suffixes[::20] == ('.', ' with white background.', ' with black context.')
    assert prefixes[:5] == ('', 'A ', 'A model of ', 'A model of a ', 'A image of ')
    assert prefixes[19] == 'A 3D rendering image of a '


def test_prompts_come_from_a_file_too(tmp_path):
    path = tmp_path / 'mine.json'
    path.write_text(json.dumps(dict(templates=['ein {} aus Holz'])))
    assert load_prompts(str(path)) == ['ein {} aus Holz']


@pytest.mark.parametrize(
    'content, message',
    [
        ('{', 'no file of prompts'),
        ('[]', 'no file of prompts'),
        ('{"prompts": ["a {}"]}', "no file of prompts.*'templates'"),
        ('{"templates": []}', 'no list of sentences'),
        ('{"templates": "a {}"}', 'no list of sentences'),
        ('{"templates": ["a {}", "a chair"]}', "'a chair' is no sentence"),
        ('{"templates": ["a {} on a {}"]}', 'is no sentence with one {}'),
        ('{"templates": ["a {}", "a {}"]}', 'more than once'),
    ],
)
def test_other_files_and_names_are_refused(tmp_path, content, message):
    path = tmp_path / 'bad.json'
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        load_prompts(str(path))
    with pytest.raises(ValueError, match='recon-60-v2.*plain-1-v1, recon-60'):
        load_prompts('recon-60-v2')
    with pytest.raises(FileNotFoundError, match='nowhere.json'):
        load_prompts('nowhere.json')
