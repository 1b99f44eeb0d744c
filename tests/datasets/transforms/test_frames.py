"""Posed frames of scans, and undoing the augmentation for them."""

import copy
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.dataset import ClassBalancedDataset, Compose, ConcatDataset, RepeatDataset
from torch.utils import data as torch_data
from torch.utils.data import Subset

pytest.importorskip('mmdet3d')

from mmkd3d.datasets import toy_rooms  # noqa: E402
from mmkd3d.datasets.transforms.frames import (  # noqa: E402
    LoadPosedFrames,
    VisibleInFrame,
    add_to_datasets,
    undo_augmentation,
)
from mmkd3d.models.views.posed_frames import PosedFrames
from mmkd3d.ops import frame_visibility  # noqa: E402
from mmkd3d.registry import TRANSFORMS  # noqa: E402
from tests.datasets.scans import detection, make_scannet, segmentation
from tests.helpers import rejects

ALIGN = dict(type='mmdet3d.GlobalAlignment', rotation_axis=2)
TURN = dict(
    type='mmdet3d.GlobalRotScaleTrans',
    rot_range=[0.3, 0.6],
    scale_ratio_range=[1.05, 1.2],
    translation_std=[0.5, 0.5, 0.5],
)
SAMPLE = dict(type='mmdet3d.PointSample', num_points=1500)


def flip(horizontal, vertical):
    return dict(
        type='mmdet3d.RandomFlip3D',
        sync_2d=False,
        flip_ratio_bev_horizontal=float(horizontal),
        flip_ratio_bev_vertical=float(vertical),
    )


@pytest.fixture(scope='module')
def rooms(tmp_path_factory):
    """Two toy rooms with three frames each."""
    out = tmp_path_factory.mktemp('toy') / 'rooms'
    yield toy_rooms.write_toy_rooms(out, num_train=2, num_val=0, num_points=2000, frames=3)
    toy_rooms._made.clear()


@pytest.fixture(scope='module')
def scans(data_root, tmp_path_factory):
    return make_scannet(data_root, tmp_path_factory.mktemp('scannet'))


def with_frames(dataset, root, **options):
    cfg = dict(type='mmkd3d.LoadPosedFrames', root=root / 'posed_images', **options)
    return dataset, add_to_datasets(dataset, cfg)


def raw_points(root, sample):
    path = root / 'points' / Path(sample.lidar_path).name
    return np.fromfile(path, np.float32).reshape(-1, 6)[:, :3]


AUGMENTED = [
    [],
    [ALIGN],
    [ALIGN, flip(1, 0), TURN],
    [ALIGN, flip(0, 1), TURN],
    [ALIGN, TURN, flip(1, 1)],
    [flip(1, 0), TURN],
    [ALIGN, flip(1, 1), flip(1, 0), TURN],
]


def check_undone(dataset, root):
    item = dataset[0]
    sample, points = item['data_samples'], item['inputs']['points']
    aligned = dataset.pipeline.transforms[-1].aligned
    undo = undo_augmentation(sample.metainfo, aligned)
    back = points[:, :3].numpy() @ undo[:3, :3].T + undo[:3, 3]
    raw = raw_points(root, sample)
    assert abs(back - raw).max() < 1e-4
    scale = sample.metainfo.get('pcd_scale_factor', 1.0)
    assert sample.frames.scale == pytest.approx(scale, rel=1e-6)
    with np.load(root / 'posed_images/scene0000_00/cameras.npz') as cameras:
        poses = cameras['cam2world']
    camera = np.linalg.inv(poses)[:, None] @ np.append(raw, np.ones((len(raw), 1)), 1)[..., None]
    for pose, extrinsic in zip(camera[..., :3, 0], sample.frames.extrinsic):
        ours = points[:, :3] @ extrinsic[:3, :3].T + extrinsic[:3, 3]
        np.testing.assert_allclose(ours, scale * pose, atol=2e-4)


@pytest.mark.parametrize('steps', AUGMENTED)
def test_augmentation_is_undone(rooms, steps):
    check_undone(with_frames(detection(rooms, steps), rooms, choose='even')[0], rooms)
    if ALIGN not in steps:  # mmdet3d does not align scans for segmentation
        check_undone(with_frames(segmentation(rooms, steps), rooms, choose='even')[0], rooms)


@pytest.mark.parametrize('steps', AUGMENTED[1:5])
def test_augmentation_of_a_real_scan_is_undone(scans, steps):
    check_undone(with_frames(detection(scans, steps), scans, choose='even')[0], scans)


def shares(scans, steps):
    """Per frame: points inside the image, with measured depth, and visible."""
    dataset, _ = with_frames(detection(scans, steps), scans, choose='even')
    item = dataset[0]
    points = item['inputs']['points'][None]
    pictures = PosedFrames(15)(points, [item['data_samples']], at=points)
    u, v = pictures.uv[0].unbind(-1)
    inside = (u >= -0.5) & (u < 319.5) & (v >= -0.5) & (v < 239.5)
    index = (v.clamp(0, 239).round() * 320 + u.clamp(0, 319).round()).long()
    measured = inside & pictures.foreground[0].flatten(1).gather(1, index)
    return inside.sum(1), measured.sum(1), pictures.visible[0].sum(1)


def test_half_of_the_points_in_real_frames_pass_the_depth_test(scans):
    inside, measured, seen = shares(scans, [ALIGN])
    assert len(inside) == 15 and inside.min() > 500
    # the other points are mostly behind furniture or out of range
    assert 0.45 < (seen / measured).mean() < 0.66
    assert 0.40 < (seen / inside).mean() < 0.66
    assert (seen / inside).max() > 0.7
    augmented = shares(scans, [ALIGN, flip(1, 0), TURN])[2]
    difference = (seen / inside).mean() - (augmented / inside).mean()
    assert abs(difference) < 1e-3
    # a step that is undone wrongly would change the fractions
    item = with_frames(detection(scans, [ALIGN]), scans, choose='even')[0][0]
    points, f = item['inputs']['points'], item['data_samples'].frames
    right, wrong = (
        frame_visibility(
            x.expand(15, -1, -1), f.extrinsic, f.intrinsic, f.depth, (240, 320), 0.05
        ).visible
        for x in (points, points * torch.tensor([-1.0, 1, 1]))
    )
    assert wrong.sum() < right.sum() / 3


def test_real_frames_are_placed_as_by_hand(scans):
    """Colours of the scan match the image colours at the projected points."""
    pipeline = dict(type='mmkd3d.LoadPosedFrames', root=scans / 'posed_images', choose='even')
    dataset = detection(scans, [ALIGN, flip(0, 1), TURN])
    add_to_datasets(dataset, pipeline)
    item = dataset[0]
    points = item['inputs']['points'][None]
    pictures = PosedFrames(15)(points, [item['data_samples']], at=points)
    path = scans / 'points/scene0000_00.bin'
    colors = torch.from_numpy(np.fromfile(path, np.float32).reshape(-1, 6)[:, 3:]) / 255
    read, painted = [], []
    for image, uv, seen in zip(pictures.images[0], pictures.uv[0], pictures.visible[0]):
        u, v = uv[seen].round().long().unbind(-1)
        read.append(image[:, v.clamp(0, 239), u.clamp(0, 319)].T)
        painted.append(colors[seen])
    read, painted = torch.cat(read), torch.cat(painted)
    for channel in range(3):
        pair = torch.stack([read[:, channel], painted[:, channel]])
        assert torch.corrcoef(pair)[0, 1] > 0.8


def test_the_augmentation_is_the_same_with_frames_and_without(rooms):
    steps = [ALIGN, SAMPLE, flip(0.5, 0.5), TURN]
    plain, framed = detection(rooms, steps), detection(rooms, steps)
    with_frames(framed, rooms, num_frames=2)
    for dataset in (plain, framed):
        np.random.seed(3)
        dataset.drawn = [dataset[i % 2] for i in range(4)]
    for one, two in zip(plain.drawn, framed.drawn):
        assert torch.equal(one['inputs']['points'], two['inputs']['points'])
        assert len(two['data_samples'].frames) == 2


def test_every_data_set_in_a_wrapper_gets_its_own_transform(rooms):
    one, two = detection(rooms, [ALIGN]), detection(rooms, [flip(1, 0)])
    both = ConcatDataset([one, two])
    _, added = with_frames(both, rooms, num_frames=1)
    assert [step.aligned for step in added] == [True, False]
    assert [d.pipeline.transforms[-1] for d in (one, two)] == added
    assert all('frames' in both[i]['data_samples'] for i in range(4))
    for wrapper in (RepeatDataset, ClassBalancedDataset):
        many = wrapper(detection(rooms, [ALIGN]), 1)
        _, added = with_frames(many, rooms)
        assert len(added) == 1 and 'frames' in many[0]['data_samples']
    inner = detection(rooms)  # torch's wrappers accept any dataset
    deep = Subset(torch_data.ConcatDataset([RepeatDataset(inner, 2)]), [3])
    assert with_frames(deep, rooms)[1] == [inner.pipeline.transforms[-1]]
    assert 'frames' in deep[0]['data_samples']


def test_pipelines_that_can_not_be_undone_are_refused(rooms):
    patch = dict(type='mmdet3d.IndoorPatchPointSample', num_points=100, ignore_index=20)
    keys = dict(meta_keys=('lidar_path',))
    for message, dataset in {
        'IndoorPatchPointSample.*PointSample': segmentation(rooms, [patch]),
        'GlobalRotScaleTrans stands before': detection(rooms, [TURN, ALIGN]),
        'drops.*axis_align_matrix.*pcd_rotation': detection(rooms, [ALIGN], pack=keys),
        'list has no pipeline': SimpleNamespace(datasets=[[]]),
    }.items():
        rejects(message, with_frames, dataset, rooms)


def test_visible_points_are_kept_with_their_labels(rooms):
    dataset, _ = with_frames(detection(rooms, [ALIGN, TURN]), rooms, num_frames=1, choose='even')
    whole = dataset[0]
    points = whole['inputs']['points'].clone()
    pictures = PosedFrames(1, tolerance=0.1)(points[None], [whole['data_samples']], at=points[None])
    seen = points[pictures.visible[0, 0]]
    labels = whole['data_samples'].gt_pts_seg.clone()
    assert 100 < len(seen) < 2000
    for num in (100, 3000):
        given = dict(inputs=dict(points=points), data_samples=copy.deepcopy(whole['data_samples']))
        item = VisibleInFrame(num, tolerance=0.1, min_points=50)(given)
        kept = item['inputs']['points']
        assert len(kept) == num
        same = (kept[:, None] == points).all(-1)
        index = same.float().argmax(1)
        assert torch.equal(points[index], kept)
        assert pictures.visible[0, 0][index].all()
        assert len(index.unique()) == min(num, len(seen))
        for key in ('pts_semantic_mask', 'pts_instance_mask'):
            assert torch.equal(item['data_samples'].gt_pts_seg[key], labels[key][index])


def test_samples_that_show_too_little_are_drawn_anew(rooms, tmp_path):
    root = tmp_path / 'posed_images'
    shutil.copytree(rooms / 'posed_images/scene0001_00', root / 'scene0001_00')
    dataset = detection(rooms, [ALIGN], filter_empty_gt=False)
    step = dict(type='VisibleInFrame', num_points=64, tolerance=0.1, min_points=10)
    steps = [LoadPosedFrames(root, 1), TRANSFORMS.build(step)]
    dataset.pipeline = Compose([*dataset.pipeline.transforms, *steps])
    for _ in range(4):  # the first room has no frames
        item = dataset[0]
        assert 'scene0001_00' in item['data_samples'].lidar_path
        assert item['inputs']['points'].shape == (64, 3)
    framed, _ = with_frames(detection(rooms, [ALIGN]), rooms, num_frames=1)
    assert VisibleInFrame(64, min_points=2001)(framed[1]) is None
