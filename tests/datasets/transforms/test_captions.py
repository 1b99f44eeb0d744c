"""Captions: every format, every way to look up, and files that are bad."""

import csv
import json

import numpy as np
import pytest

from mmkd3d.registry import DATASETS, TRANSFORMS

TEXTS = {'plane/one': 'a plane, "fast"', 'two': 'ein Stuhl für zwei'}


def build(file, **cfg):
    return TRANSFORMS.build(dict(type='LoadCaptions', file=file, **cfg))


def write(tmp_path, kind):
    """The texts in one format; the path and the arguments that read it."""
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
    path.unlink()  # it was read once
    assert step.captions == TEXTS
    for sample_id, name in (('plane/one', 'plane/one'), ('two', 'two'), ('folder/two', 'two')):
        found = step(dict(sample_id=sample_id))
        assert found['caption'] == TEXTS[name]


def test_a_caption_per_category(tmp_path):
    path = tmp_path / 'c.json'
    path.write_text(json.dumps({'chair': 'something to sit on'}))
    step = build(path, by='category')
    found = step(dict(sample_id='x', category='chair'))
    assert found['caption'] == 'something to sit on'
    with pytest.raises(ValueError, match="for x .category 'mug'"):
        step(dict(sample_id='x', category='mug'))


@pytest.mark.parametrize('catalogue', [2691156, '2691156', '02691156'])
def test_published_descriptions_by_synset(tmp_path, catalogue):
    rows = [
        dict(catalogue=catalogue, describe='airplane'),
        dict(catalogue='03001627', describe='chair'),
    ]
    path = tmp_path / 'c.json'
    path.write_text(json.dumps(rows))
    step = build(path, key='catalogue', value='describe', by='synset')
    for sample_id in ('02691156-1a04e3', '02691156-ff-0'):
        assert step(dict(sample_id=sample_id))['caption'] == 'airplane'
    assert step(dict(sample_id='03001627-1'))['caption'] == 'chair'


def test_what_is_missing_is_an_error_or_the_category(tmp_path):
    path, keys = write(tmp_path, 'csv')
    with pytest.raises(
        ValueError,
        match=r'texts.csv: no caption for three '
        r'.*2 captions by sample \(plane/one, two, .*missing=',
    ):
        build(path, **keys)(dict(sample_id='three', category='mug'))
    step = build(path, missing='category', **keys)
    found = step(dict(sample_id='three', category='mug'))
    assert found['caption'] == 'mug'
    assert step(dict(sample_id='two', category='mug'))['caption'] != 'mug'
    with pytest.raises(ValueError, match='no caption for three'):
        step(dict(sample_id='three'))


def test_missing_captions_are_counted_before_training(tmp_path):
    (tmp_path / 'shapes').mkdir()
    for name in 'abcdefg':
        np.save(tmp_path / 'shapes' / f'{name}.npy', np.eye(3))
    path = tmp_path / 'c.txt'
    path.write_text('c\tone\nd\ttwo\n')

    def data(**cfg):
        return DATASETS.build(
            dict(
                type='PointCloudFolder',
                data_root=tmp_path / 'shapes',
                classes=False,
                pipeline=[
                    dict(type='LoadPoints'),
                    dict(type='LoadCaptions', file=path, **cfg),
                    dict(type='PackPoints'),
                ],
            )
        )

    with pytest.raises(
        ValueError,
        match=r'c.txt: no caption for 5 of 7 '
        'samples; the first: a, b, e',
    ):
        data()
    assert len(data(missing='category')) == 7
    assert len(data(by='category')) == 7  # unknown until a sample is loaded
    path.write_text(''.join(f'{n}\tit is {n}\n' for n in 'abcdefg'))
    assert data()[1]['data_samples'].caption == 'it is b'


@pytest.mark.parametrize(
    'name, content, message',
    [
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
    ],
)
def test_a_malformed_file_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message) as error:
        build(tmp_path / name)
    assert name in str(error.value)


def test_other_bad_input(tmp_path):
    (tmp_path / 'x.txt').write_bytes(b'a\t\xff\xfe\n')
    with pytest.raises(ValueError, match='x.txt: cannot be read.*UTF-8'):
        build(tmp_path / 'x.txt')
    with pytest.raises(FileNotFoundError, match='no.csv is missing'):
        build(tmp_path / 'no.csv')
    with pytest.raises(ValueError, match="by is one of .* got 'name'"):
        build(tmp_path / 'x.txt', by='name')
    with pytest.raises(ValueError, match="missing is one of .* got 'skip'"):
        build(tmp_path / 'x.txt', missing='skip')
    path = tmp_path / 'same.csv'
    path.write_text('id,caption\na,b\na,b\n')
    assert build(path).captions == dict(a='b')
