import pickle

import numpy as np
import pytest

from mmkd3d.registry import DATASETS
from tests.datasets import official
from tests.helpers import rejects

SIX = [dict(type='LoadPoints', channels=6), dict(type='PackPoints')]
XYZ = [dict(type='LoadPoints'), dict(type='PackPoints')]


@pytest.fixture(scope='module')
def arrays(data_root):
    return official.real_modelnet(data_root)


@pytest.fixture(scope='module')
def root(arrays, tmp_path_factory):
    root = tmp_path_factory.mktemp('modelnet40_normal_resampled')
    official.write_modelnet_text(root, arrays)
    return root


def build(root, **cfg):
    return DATASETS.build(dict(type='ModelNet40', data_root=root, **cfg))


@pytest.mark.parametrize('split, number', [('train', 0), ('test', 1)])
def test_text_files_are_read_as_published(arrays, root, split, number):
    data = build(root, split=split, pipeline=SIX)
    assert data.metainfo['classes'] == tuple(arrays['names'].tolist())
    mine = np.flatnonzero(arrays['split'] == number)
    assert len(data) == len(mine)
    for k in (0, len(mine) // 2, len(mine) - 1):
        points, sample = data[k]['inputs']['points'], data[k]['data_samples']
        assert sample.sample_id == arrays['model'][mine[k]]
        assert sample.gt_label == arrays['label'][mine[k]]
        np.testing.assert_allclose(points.numpy(), arrays['points'][mine[k]][:64], atol=1e-5)


def test_the_cached_file_is_preferred_and_equal(arrays, tmp_path):
    official.write_modelnet_text(tmp_path, arrays)
    official.write_modelnet_cache(tmp_path, arrays)
    cached = build(tmp_path, split='test', pipeline=XYZ)
    text = build(tmp_path, split='test', source='txt', pipeline=XYZ)
    assert len(cached) == len(text)
    for k in (0, len(text) - 1):
        one, two = cached[k], text[k]
        assert one['data_samples'].gt_label == two['data_samples'].gt_label
        assert one['inputs']['points'].shape == (2048, 3)
        np.testing.assert_allclose(one['inputs']['points'][:64], two['inputs']['points'], atol=1e-5)


def test_modelnet10_is_numbered_by_its_own_list(arrays, tmp_path):
    official.write_modelnet_text(tmp_path, arrays)
    (tmp_path / 'modelnet10_train.txt').write_text('bed_0001\ntoilet_0002')
    data = build(tmp_path, num_classes=10)
    assert len(data.metainfo['classes']) == 10
    assert [data.get_cat_ids(k)[0] for k in range(2)] == [1, 9]


def test_errors_name_the_file(arrays, tmp_path):
    missing = dict(error=FileNotFoundError)
    rejects('modelnet40_train.txt.*dataset.py info', build, tmp_path, **missing)
    rejects('8192pts_fps.dat is missing', build, tmp_path, source='dat', **missing)
    rejects('no ply_data_train.*h5 of', build, tmp_path, source='h5', **missing)
    rejects('expected 40 or 10', build, tmp_path, num_classes=41)
    (tmp_path / 'modelnet40_train.txt').write_text('unicorn_0001')
    rejects("'unicorn_0001' is of none of the", build, tmp_path)
    (tmp_path / 'modelnet40_train.txt').write_text('bed_0001')
    data = build(tmp_path, pipeline=XYZ)
    rejects('bed_0001.txt', data.__getitem__, 0, **missing)
    (tmp_path / 'bed').mkdir()
    for text, message in (('0,0,0\n1,', 'damaged'), ('', 'empty'), ('nan,0,0', '1 of 1 points')):
        (tmp_path / 'bed' / 'bed_0001.txt').write_text(text)
        rejects(f'bed_0001.txt.*{message}', data.__getitem__, 0)
    write_h5(tmp_path, arrays, 'train', 0)
    rejects('h5 of modelnet10', build, tmp_path, num_classes=10, source='h5', **missing)
    path = tmp_path / 'modelnet40_train_8192pts_fps.dat'
    for labels, message in (
        ([np.array([40])], 'label 40 is out of range'),
        ([], 'two lists of one length'),
    ):
        path.write_bytes(pickle.dumps([[np.zeros((4, 6))], labels]))
        rejects(f'8192pts_fps.dat: .*{message}', build, tmp_path, source='dat')
    path.write_bytes(path.read_bytes()[:-20])
    rejects('fps.dat: not read', build, tmp_path, source='dat')
    rejects('5way_1shot/3.pkl', episode, tmp_path, **missing)
    path = tmp_path / '5way_1shot' / '3.pkl'
    path.parent.mkdir()
    cloud = np.zeros((4, 3))
    for content, message in (
        (dict(train=[(cloud, 5, 0)]), 'label 5 is out of range'),
        (dict(train=[(cloud, 0, 40)]), 'label 40 is out of range'),
        (dict(test=[(cloud, 0, 0)]), "a list 'train'"),
        ([1, 2], "a list 'train'"),
    ):
        path.write_bytes(pickle.dumps(content))
        rejects(f'3.pkl: .*{message}', episode, tmp_path)


def write_h5(root, arrays, split, number):
    """Write the clouds to two files in the layout of modelnet40_ply_hdf5_2048."""
    h5py = pytest.importorskip('h5py')
    mine = np.flatnonzero(arrays['split'] == number)
    for i, part in enumerate(np.array_split(mine, 2)):
        with h5py.File(root / f'ply_data_{split}{i}.h5', 'w') as file:
            file['data'] = arrays['points'][part, :, :3]
            file['label'] = arrays['label'][part][:, None].astype(np.uint8)
    return mine


@pytest.mark.parametrize('source', ['auto', 'h5'])
def test_h5_files_are_read_in_their_order(arrays, tmp_path, source):
    write_h5(tmp_path, arrays, 'train', 0)
    mine = write_h5(tmp_path, arrays, 'test', 1)
    data = build(tmp_path, split='test', source=source, pipeline=XYZ)
    assert len(data) == len(mine)
    for k in (0, len(mine) // 2 + 1, len(mine) - 1):
        item = data[k]
        assert item['data_samples'].gt_label == arrays['label'][mine[k]]
        np.testing.assert_array_equal(item['inputs']['points'], arrays['points'][mine[k], :, :3])


def episode(root, **cfg):
    cfg = dict(cfg, way=5, shot=1, fold=3)
    return DATASETS.build(dict(type='ModelNetFewShot', data_root=root, **cfg))


@pytest.mark.parametrize('folder', ['5way_1shot', '5way1shot'])
def test_few_shot_episodes(arrays, tmp_path, folder):
    official.write_few_shot(tmp_path / folder / '3.pkl', arrays)
    for split in ('train', 'test'):
        data = episode(tmp_path, split=split, pipeline=XYZ)
        assert len(data) == 5 == len(data.metainfo['classes'])
        for k in range(5):
            sample = data[k]['data_samples']
            assert sample.gt_label == k
            assert sample.category == data.metainfo['classes'][k]
            label = arrays['names'].tolist().index(sample.category)
            cloud = data[k]['inputs']['points'].numpy()
            same = (arrays['points'][:, :, :3] == cloud).all((1, 2))
            assert arrays['label'][same].tolist() == [label]
