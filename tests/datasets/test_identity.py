"""Dataset identity, and shapes shared between datasets."""

import numpy as np
import pytest
from mmengine.dataset import RepeatDataset
from torch.utils.data import ConcatDataset, Subset, TensorDataset

import mmkd3d.datasets  # noqa: F401
from mmkd3d.datasets.folder import PointCloudFolder
from mmkd3d.datasets.identity import identify
from mmkd3d.datasets.npz import NpzPoints
from mmkd3d.datasets.toy_shapes import ToyShapes
from mmkd3d.evaluation.held_out import HeldOut
from tests.helpers import rejects

LOAD = dict(type='LoadPoints')
SAMPLE = [LOAD, dict(type='SamplePoints', num_points=8), dict(type='NormalizePoints')]


def shared(train, test):
    """Message about shared shapes; empty if there are none."""
    return HeldOut(identify(test), allow=True).compare(identify(train), 'the training data')


def save(path, points, label, **arrays):
    np.savez(path, points=points, label=np.array(label), **arrays)
    return NpzPoints(path, label='label', pipeline=SAMPLE)


@pytest.fixture
def clouds():
    return np.random.default_rng(0).standard_normal((6, 20, 3), 'float32')


def test_a_shape_is_its_points_whatever_file_and_order(clouds, tmp_path):
    stored = save(tmp_path / 'a.npz', clouds, [0, 1] * 3)
    digests = shape_digests(stored)
    assert digests.dtype == np.int64 and len(set(digests)) == 6
    shuffled = save(tmp_path / 'b.npz', clouds[::-1, ::-1], [0] * 6)
    assert shape_digests(shuffled).tolist() == digests[::-1].tolist()
    for k, cloud in enumerate(clouds):
        colored = np.concatenate([cloud, np.ones_like(cloud)], 1)
        (tmp_path / 'shapes' / f'{k % 2}').mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / 'shapes' / f'{k % 2}' / f'{k}.npy', colored)
    folder = PointCloudFolder(tmp_path / 'shapes', pipeline=[LOAD])
    assert shape_digests(folder).tolist() == digests[[0, 2, 4, 1, 3, 5]].tolist()
    clouds[2, 7, 1] = np.nextafter(clouds[2, 7, 1], 9, dtype='float32')
    changed = shape_digests(save(tmp_path / 'c.npz', clouds, [0] * 6))
    assert (changed != digests).nonzero()[0].tolist() == [2]


def test_the_hash_of_data_reads_points_labels_and_order(clouds, tmp_path):
    file = tmp_path / 'a.npz'
    expected = data_hash(save(file, clouds, [0, 1] * 3))
    assert len(expected) == 16 and int(expected, 16) >= 0
    assert data_hash(save(tmp_path / 'b.npz', clouds, [0, 1] * 3)) == expected
    assert data_hash(save(file, clouds, [1, 0] * 3)) != expected
    assert data_hash(save(file, clouds[::-1], [1, 0] * 3)) != expected
    assert data_hash(save(file, clouds[:5], [0, 1, 0, 1, 0])) != expected
    hashes = set()
    for part in (0, 1):
        np.savez(file, points=clouds, part=np.full((6, 20), part))
        hashes.add(data_hash(NpzPoints(file, parts='part')))
    assert len(hashes) == 2


def test_wrappers_hold_what_they_wrap():
    toy = ToyShapes(num_samples=6, num_points=32)
    digests = shape_digests(toy).tolist()
    assert shape_digests(Subset(toy, [4, 1])).tolist() == [digests[4], digests[1]]
    both = ConcatDataset([toy, RepeatDataset(toy, 3)])
    assert shape_digests(both).tolist() == digests * 2
    with pytest.raises(ValueError, match='TensorDataset has no get_data_info'):
        shape_digests(TensorDataset())


def test_shared_shapes_are_named(data_root):
    train = ToyShapes('train', 20, num_points=32)
    test = ToyShapes('test', 10, num_points=32)
    assert not shared(train, test)
    leaked = ConcatDataset([Subset(test, [1, 7]), Subset(train, range(5))])
    assert shared(leaked, test) == '2 test shapes are in the training data'
    compare = HeldOut(identify(test)).compare
    says = r'2 of 10 test shapes \(toy_test_0_000001, toy_test_0_000007\) are in the train'
    rejects(says, compare, identify(leaked), 'the training data')
    rejects(r'10 of 10 .*4, \.\.\.\) are in', compare, identify(test), 'the training data')
    psb = dict(file=data_root / 'psb_1809.npz', split='is_test')
    half = [NpzPoints(**psb, split_value=v) for v in (False, True)]
    assert [len(set(shape_digests(h).tolist())) for h in half] == [904, 905]
    assert not shared(*half)


def test_scans_are_their_files_and_annotations(tmp_path):
    pytest.importorskip('mmdet3d')
    from mmkd3d.datasets.toy_rooms import toy_rooms

    rooms = dict(num_train=2, num_val=1, num_points=2000)

    def split(name):
        cfg = dict(ann_file=f'scannet_infos_{name}.pkl', data_prefix=dict(pts='points'))
        return toy_rooms(tmp_path, rooms=rooms, pipeline=[], **cfg)

    train, val = split('train'), split('val')
    assert len(set(shape_digests(train)) | set(shape_digests(val))) == 3
    assert data_hash(train) == data_hash(split('train')) != data_hash(val)
    assert not shared(train, val)
    scan = next((tmp_path / 'points').glob('scene0*'))
    expected = data_hash(train)
    scan.write_bytes(scan.read_bytes()[:-24])
    assert data_hash(train) != expected
    scan.unlink()
    rejects('the data set lists it', data_hash, train, error=FileNotFoundError)


def shape_digests(dataset):
    return identify(dataset).digests


def data_hash(dataset):
    return identify(dataset).hash
