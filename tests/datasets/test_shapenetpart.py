import json

import numpy as np
import pytest

from mmkd3d.datasets.shapenetpart import FOLDER
from mmkd3d.registry import DATASETS
from tests.datasets import official
from tests.helpers import rejects

PIPELINE = [dict(type='LoadPoints', parts_column=6), dict(type='PackPoints')]


def build(root, **cfg):
    return DATASETS.build(dict(type='ShapeNetPart', data_root=root, pipeline=PIPELINE, **cfg))


@pytest.mark.parametrize('inner', ['', FOLDER])
def test_the_real_caps_are_read_as_published(data_root, tmp_path, inner):
    shapes = official.write_shapenetpart(tmp_path / inner, data_root)
    sizes = {s: len(build(tmp_path, split=s)) for s in ('val', 'test', 'trainval')}
    assert sizes == dict(val=5, test=11, trainval=5)
    data = build(tmp_path, split='test')
    for k in range(len(data)):
        item = data[k]
        sample = item['data_samples']
        points, parts = shapes[sample.sample_id]
        assert sample.gt_label == 2 and sample.category == 'Cap'
        assert (sample.gt_parts.numpy() == parts).all()
        assert set(parts) <= {6, 7}
        np.testing.assert_allclose(item['inputs']['points'].numpy(), points, atol=1e-6)


@pytest.fixture
def root(tmp_path):
    lists = dict(train=['shape_data/02691156/a'], val=[], test=['shape_data/02773838/b'])
    (tmp_path / 'train_test_split').mkdir()
    for split, entries in lists.items():
        path = tmp_path / 'train_test_split' / f'shuffled_{split}_file_list.json'
        path.write_text(json.dumps(entries))
    (tmp_path / '02691156').mkdir()
    rows = np.concatenate([np.eye(4, 6), np.full((4, 1), 3)], axis=1)
    np.savetxt(tmp_path / '02691156' / 'a.txt', rows, fmt='%.1f')
    return tmp_path


def test_categories_and_parts_are_those_of_the_table(root):
    meta = build(root).metainfo
    assert len(meta['classes']) == 16 and len(meta['part_names']) == 50
    assert [i for ids in meta['parts'].values() for i in ids] == list(range(50))
    assert meta['parts']['Motorbike'] == tuple(range(30, 36))
    assert len(build(root, categories=('Airplane',))) == 1
    rejects('ShapeNetPart in .* no shape is lef', build, root, categories=('Bag',))


def test_errors_name_the_file(root, tmp_path):
    missing = dict(error=FileNotFoundError)
    rejects("'trainval'", build, root, split='dev')
    rejects('Airplane', build, root, categories=('Dog',))
    rejects('02773838/b.txt', build(root, split='test').__getitem__, 0, **missing)
    path = root / '02691156' / 'a.txt'
    good = path.read_text()
    for text, message in (
        (good.replace('3.0', '4.0'), r'part label 4 .*\[0, 1, 2, 3\]'),
        (good[:-10], 'damaged'),
        ('', 'empty'),
        (good.replace('1.0', 'nan', 1), 'NaN'),
        ('0 0 0\n', 'column 6'),
    ):
        path.write_text(text)
        rejects(f'a.txt: .*{message}', build(root).__getitem__, 0)
    listed = root / 'train_test_split' / 'shuffled_train_file_list.json'
    for text, message in (
        ('["shape', 'not a json list'),
        ('["shape_data/0/a"]', 'one of the 16 synsets'),
    ):
        listed.write_text(text)
        rejects(f'list.json: .*{message}', build, root)
    listed.unlink()
    rejects('list.json is missing.*info', build, root, **missing)
