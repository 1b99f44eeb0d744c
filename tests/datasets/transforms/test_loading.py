import numpy as np
import pytest
import torch
from mmengine.structures import BaseDataElement

from mmkd3d.registry import TRANSFORMS
from tests.helpers import rejects

rng = np.random.default_rng(0)
ROWS = np.concatenate([rng.normal(size=(20, 6)), rng.integers(4, 6, (20, 1))], axis=1)


def run(results, **cfg):
    return TRANSFORMS.build(cfg)(results)


@pytest.fixture
def path(tmp_path):
    np.savetxt(tmp_path / 'shape.txt', ROWS)
    return str(tmp_path / 'shape.txt')


def test_load_takes_channels_and_parts_apart(path):
    results = run(dict(path=path), type='LoadPoints', parts_column=6)
    np.testing.assert_allclose(results['points'], ROWS[:, :3], atol=1e-6)
    assert results['points'].dtype == np.float32
    assert (results['gt_parts'] == ROWS[:, 6]).all()
    results = run(dict(path=path), type='LoadPoints', channels=6)
    assert results['points'].shape == (20, 6)


def test_bad_labels_and_points_are_named(path):
    load = dict(type='LoadPoints')
    run(dict(path=path, part_ids=(4, 5)), **load, parts_column=6)
    says = r'shape.txt: part label 5.*\[3, 4\]'
    rejects(says, run, dict(path=path, part_ids=(3, 4)), **load, parts_column=6)
    rejects('shape.txt: expected column 7, got 7', run, dict(path=path), **load, parts_column=7)
    points = np.zeros((4, 3))
    points[2, 1] = np.nan
    item = dict(points=points, sample_id='cloud_3')
    rejects('cloud_3: 1 of 4 points', run, item, **load)
    rejects('cloud_3', run, item, type='PackPoints')
    rejects("needs 'path' or 'points'", run, dict(sample_id='x'), **load)
    rejects('LoadPointsFromFile', run, item, type='SceneToCloud')


def test_packed_item_has_the_agreed_form():
    labels = dict(gt_parts=ROWS[:, 6], gt_label=3)
    meta = dict(sample_id='a/b', category='chair')
    item = run(dict(points=ROWS[:, :4], other=1, **labels, **meta), type='PackPoints')
    assert set(item) == {'inputs', 'data_samples'}
    points, sample = item['inputs']['points'], item['data_samples']
    assert points.shape == (20, 4) and points.dtype == torch.float32
    assert isinstance(sample, BaseDataElement) and sample.metainfo == meta
    assert sample.gt_label.dtype == torch.long and sample.gt_label.ndim == 0
    assert sample.gt_label == 3
    assert sample.gt_parts.dtype == torch.long
    assert sample.gt_parts.tolist() == ROWS[:, 6].tolist()
    item = run(dict(points=ROWS[:, :3]), type='PackPoints')  # no other fields
    assert set(item['data_samples'].keys()) == set() and item['data_samples'].metainfo == {}
    assert set(item['inputs']) == {'points'}


def test_a_scan_becomes_a_cloud_that_stands_on_the_floor():
    DepthPoints = pytest.importorskip('mmdet3d.structures').DepthPoints
    xyz = np.random.default_rng(0).uniform((3, -8, 1), (9, -4, 3), (50, 3))
    raw = np.concatenate([xyz, np.full((50, 1), 7.0)], 1).astype(np.float32)
    results = dict(points=DepthPoints(raw, points_dim=4), lidar_points=dict(lidar_path='room.bin'))
    out = run(results, type='SceneToCloud')
    got = out['points']
    assert got.dtype == np.float32 and out['sample_id'] == 'room.bin'
    low, high = got[:, :3].min(0), got[:, :3].max(0)
    np.testing.assert_allclose(low[:2], -high[:2], atol=1e-5)
    np.testing.assert_allclose(low[2], 0, atol=1e-6)
    np.testing.assert_allclose(  # the scale stays in metres
        np.ptp(got[:, :3], axis=0), np.ptp(xyz, axis=0), atol=1e-5
    )
    np.testing.assert_array_equal(got[:, 3], 7)
