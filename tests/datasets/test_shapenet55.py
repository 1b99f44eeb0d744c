import numpy as np
import pytest

from mmkd3d.registry import DATASETS
from tests.helpers import rejects

PIPELINE = [dict(type='LoadPoints'), dict(type='PackPoints')]


def build(root, **cfg):
    return DATASETS.build(dict(type='ShapeNet55', data_root=root, pipeline=PIPELINE, **cfg))


@pytest.fixture
def root(tmp_path):
    (tmp_path / 'ShapeNet-55').mkdir()
    (tmp_path / 'shapenet_pc').mkdir()
    lists = dict(train=['02691156-1a.npy', '04554684-2b.npy'], test=['03001627-3-c.npy'])
    for split, names in lists.items():
        (tmp_path / 'ShapeNet-55' / f'{split}.txt').write_text('\n'.join(names) + '\n')
        for name in names:
            np.save(tmp_path / 'shapenet_pc' / name, np.random.default_rng(0).normal(size=(16, 3)))
    return tmp_path


def test_lists_give_labels_and_ids(root):
    data = build(root)
    assert len(data) == 2 and len(data.metainfo['classes']) == 55
    sample = data[1]['data_samples']
    assert sample.sample_id == '04554684-2b' and sample.category == 'washer'
    assert sample.gt_label == 54
    assert data[0]['inputs']['points'].shape == (16, 3)
    test = build(root, split='test')[0]['data_samples']
    assert test.category == 'chair' and test.sample_id == '03001627-3-c'


def test_whole_takes_both_splits_and_needs_no_lists(root):
    listed = build(root, whole=True)
    assert len(listed) == 3
    for split in ('train', 'test'):
        (root / 'ShapeNet-55' / f'{split}.txt').unlink()
    found = build(root, whole=True)
    ids = ({d.get_data_info(k)['sample_id'] for k in range(3)} for d in (listed, found))
    assert len(found) == 3 and next(ids) == next(ids)


def test_errors_name_the_file(root):
    missing = dict(error=FileNotFoundError)
    path = root / 'shapenet_pc' / '02691156-1a.npy'
    data = build(root)
    for points, message in (
        (np.zeros((0, 3)), 'the cloud is empt'),
        (np.full((2, 3), np.nan), '2 of 2'),
    ):
        np.save(path, points)
        rejects(f'02691156-1a.npy: {message}', data.__getitem__, 0)
    path.write_bytes(b'\x93NUMPY')
    rejects('02691156-1a.npy: .*truncated', data.__getitem__, 0)
    path.unlink()
    rejects('02691156-1a.npy', data.__getitem__, 0, **missing)
    listed = root / 'ShapeNet-55' / 'train.txt'
    listed.write_text('12345678-a.npy')
    rejects('train.txt: .*55 synsets', build, root)
    listed.unlink()
    rejects('41,952 lines.*whole=True.*info shapenet55', build, root, **missing)
    rejects('nowhere/shapenet_pc', build, root / 'nowhere', **missing)
