"""Captions: file formats, lookup keys and bad files."""

import csv
import json

import numpy as np
import pytest

from mmkd3d.registry import DATASETS, TRANSFORMS
from tests.helpers import rejects

TEXTS = {'plane/one': 'a plane, "fast"', 'two': 'ein Stuhl für zwei'}


def build(file, **cfg):
    return TRANSFORMS.build(dict(type='LoadCaptions', file=file, **cfg))


def write(tmp_path, kind):
    """Write the texts in one format; returns the path and the arguments to read it."""
    path = tmp_path / f'texts.{kind.split("-")[0]}'
    rows = [dict(name=k, text=v) for k, v in TEXTS.items()]
    if kind == 'json-object':
        path.write_text(json.dumps(TEXTS))
    elif kind == 'json-rows':
        path.write_text(json.dumps(rows, ensure_ascii=False), 'utf-8')
    elif kind == 'csv':
        with path.open('w', encoding='utf-8', newline='') as file:
            writer = csv.DictWriter(file, ('name', 'text'))
            writer.writeheader()
            writer.writerows(rows)
    else:
        lines = [f'{k}\t{v}\n' for k, v in TEXTS.items()]
        path.write_text('\n'.join(lines), 'utf-8')
    return path, dict(key='name', value='text')


@pytest.mark.parametrize('kind', ['json-object', 'json-rows', 'csv', 'txt'])
def test_every_format_gives_the_same_captions(tmp_path, kind):
    path, keys = write(tmp_path, kind)
    step = build(path, **keys)
    path.unlink()  # the file is read only once
    assert step.captions == TEXTS
    for sample_id, name in (('plane/one', 'plane/one'), ('two', 'two'), ('folder/two', 'two')):
        found = step(dict(sample_id=sample_id))
        assert found['caption'] == TEXTS[name]


@pytest.mark.parametrize('catalogue', [2691156, '2691156', '02691156'])
def test_published_descriptions_by_synset(tmp_path, catalogue):
    pairs = ((catalogue, 'airplane'), ('03001627', 'chair'))
    path = tmp_path / 'c.json'
    path.write_text(json.dumps([dict(catalogue=c, describe=d) for c, d in pairs]))
    step = build(path, key='catalogue', value='describe', by='synset')
    for sample_id in ('02691156-1a04e3', '02691156-ff-0'):
        assert step(dict(sample_id=sample_id))['caption'] == 'airplane'
    assert step(dict(sample_id='03001627-1'))['caption'] == 'chair'


def test_a_missing_caption_is_an_error_or_the_category(tmp_path):
    path, keys = write(tmp_path, 'csv')
    says = r'texts.csv: no caption for three .*2 captions by sample \(plane/one, two, .*missing='
    rejects(says, build(path, **keys), dict(sample_id='three', category='mug'))
    step = build(path, missing='category', **keys)
    assert step(dict(sample_id='three', category='mug'))['caption'] == 'mug'
    assert step(dict(sample_id='two', category='mug'))['caption'] != 'mug'
    rejects('no caption for three', step, dict(sample_id='three'))
    path = tmp_path / 'c.json'
    path.write_text(json.dumps({'chair': 'something to sit on'}))
    step = build(path, by='category')
    assert step(dict(sample_id='x', category='chair'))['caption'] == 'something to sit on'
    rejects("for x .category 'mug'", step, dict(sample_id='x', category='mug'))


def test_missing_captions_are_counted_before_training(tmp_path):
    (tmp_path / 'shapes').mkdir()
    for name in 'abcdefg':
        np.save(tmp_path / 'shapes' / f'{name}.npy', np.eye(3))
    path = tmp_path / 'c.txt'
    path.write_text('c\tone\nd\ttwo\n')

    def data(**cfg):
        load = dict(type='LoadCaptions', file=path, **cfg)
        pipeline = [dict(type='LoadPoints'), load, dict(type='PackPoints')]
        cfg = dict(data_root=tmp_path / 'shapes', classes=False, pipeline=pipeline)
        return DATASETS.build(dict(cfg, type='PointCloudFolder'))

    rejects('c.txt: no caption for 5 of 7 samples; the first: a, b, e', data)
    assert len(data(missing='category')) == 7
    assert len(data(by='category')) == 7  # unknown until a sample is loaded
    path.write_text(''.join(f'{n}\tit is {n}\n' for n in 'abcdefg'))
    assert data()[1]['data_samples'].caption == 'it is b'


def test_a_malformed_file_is_named(tmp_path):
    for name, content, message in (
        ('x.json', '{"a": ', r'x.json: cannot be read .*Store it as JSON'),
        ('x.json', '"text"', 'expected an object .* got a str'),
        ('x.json', '[{"id": "a"}]', "row 0 lacks 'id' or 'caption', it is"),
        ('x.json', '["a"]', "row 0 lacks 'id' or 'caption'"),
        ('x.json', '{"a": 3}', "entry 'a' has the id 'a' and the caption 3"),
        ('x.json', '{"a": " "}', "caption ' '"),
        ('x.json', '{}', 'holds no caption'),
        ('x.csv', '', r"no columns 'id' and 'caption' in the header \[\]"),
        ('x.csv', 'id,text\na,b\n', r"in the header \['id', 'text'\]"),
        ('x.csv', 'id,caption\na\n', "line 2 has the id 'a' and the caption None"),
        ('x.csv', 'id,caption\na,"b', 'cannot be read'),
        ('x.csv', 'id,caption\na,b\na,c\n', "line 3 is the second caption of 'a'"),
        ('x.txt', 'a\tb\nno tab here\n', "line 2 has the id 'no tab here'"),
        ('x.txt', '\tb\n', "line 1 has the id ''"),
        ('x.yaml', '', "one of .json, .csv, .txt, got '.yaml'"),
    ):
        (tmp_path / name).write_text(content)
        rejects(f'(?s)(?=.*{name}).*{message}', build, tmp_path / name)
    (tmp_path / 'x.txt').write_bytes(b'a\t\xff\xfe\n')
    rejects('x.txt: cannot be read.*UTF-8', build, tmp_path / 'x.txt')
    rejects('no.csv is missing', build, tmp_path / 'no.csv', error=FileNotFoundError)
    rejects("by is one of .* got 'name'", build, tmp_path / 'x.txt', by='name')
    rejects("missing is one of .* got 'skip'", build, tmp_path / 'x.txt', missing='skip')
    (tmp_path / 'same.csv').write_text('id,caption\na,b\na,b\n')
    assert build(tmp_path / 'same.csv').captions == dict(a='b')
