"""Detection data with classes of one's own, and data sets of mmdetection3d that lack theirs."""

import os
import pickle

import numpy as np
import pytest
import torch
from mmengine.registry import DATASETS, init_default_scope
from mmengine.runner import Runner

import mmkd3d  # noqa: F401  (stands in for what mmcv lacks, before mmdet3d)
from tests.datasets.own_rooms import CLASSES, write_own_rooms
from tests.detection_runs import HEADS, small_detector
from tests.helpers import rejects

pytest.importorskip('mmdet3d')

KIND = 'mmkd3d.IndoorDet3DDataset'


def pipeline(load_dim=4):
    load = dict(
        type='mmdet3d.LoadPointsFromFile',
        coord_type='DEPTH',
        shift_height=False,
        load_dim=load_dim,
        use_dim=[0, 1, 2],
    )
    return [
        load,
        dict(type='mmdet3d.LoadAnnotations3D', with_bbox_3d=True, with_label_3d=True),
        dict(type='mmdet3d.GlobalAlignment', rotation_axis=2),
        dict(type='mmdet3d.PointSample', num_points=400),
        dict(type='mmdet3d.Pack3DDetInputs', keys=['points', 'gt_bboxes_3d', 'gt_labels_3d']),
    ]


def config(root, split='train', load_dim=4, **options):
    file = f'own_infos_{split}.pkl'
    return dict(
        dict(type=KIND, data_root=str(root), ann_file=file, pipeline=pipeline(load_dim)), **options
    )


def dataset(root, *args, **options):
    init_default_scope('mmdet3d')
    return DATASETS.build(config(root, *args, **options))


def test_classes_come_from_the_file_and_can_be_selected(tmp_path):
    write_own_rooms(tmp_path)
    whole = dataset(tmp_path)
    part = dataset(tmp_path, metainfo=dict(classes=('robot', 'crate')))
    assert whole.metainfo['classes'] == CLASSES and part.metainfo['classes'] == ('robot', 'crate')
    for data, expected in ((whole, [0, 1, 2, 1]), (part, [1, 0])):
        sample = data[0]['data_samples']
        assert sample.gt_instances_3d.labels_3d.tolist() == expected
        assert len(sample.gt_instances_3d.bboxes_3d) == len(expected)
    assert len(dataset(tmp_path, filter_empty_gt=False)[1]['data_samples'].gt_instances_3d) == 0


@pytest.mark.parametrize('yaw', [0.0, 0.5])
def test_boxes_hold_their_points(yaw, tmp_path):
    sample = dataset(write_own_rooms(tmp_path, yaw), filter_empty_gt=False)[0]
    points, truth = sample['inputs']['points'], sample['data_samples'].gt_instances_3d
    boxes = truth.bboxes_3d
    assert boxes.with_yaw == bool(yaw) and boxes.yaw.allclose(torch.tensor(yaw))
    inside = boxes.points_in_boxes_all(points[:, :3])
    assert (inside.sum(0) > 30).all()  # about 60 of 540 points, 400 are sampled
    masks = sample['data_samples'].gt_pts_seg
    assert ('pts_instance_mask' in masks) == (not yaw)
    if not yaw:
        owner = masks.pts_instance_mask
        assert torch.equal(owner > 0, inside.any(1))
        assert torch.equal(
            masks.pts_semantic_mask[owner > 0], truth.labels_3d[owner[owner > 0] - 1]
        )
        assert (masks.pts_semantic_mask[owner == 0] >= len(CLASSES)).all()


@pytest.mark.parametrize('name', HEADS)
@pytest.mark.parametrize('yaw', [0.0, 0.5])
def test_detectors_train_and_are_evaluated(name, yaw, tmp_path):
    cfg = small_detector(name, tmp_path)
    write_own_rooms(tmp_path, yaw)
    for split, each in (('train', 'train'), ('val', 'val'), ('val', 'test')):
        steps = pipeline() if split == 'train' else [*pipeline()[:1], *pipeline()[2:]]
        steps[-1] = dict(steps[-1], keys=steps[-1]['keys'] if split == 'train' else ['points'])
        options = dict(test_mode=split == 'val', filter_empty_gt=False, pipeline=steps)
        cfg[f'{each}_dataloader'].dataset = config(tmp_path, split, **options)
    head = cfg.model.bbox_head
    head.num_classes = 3
    if 'bbox_coder' in head:
        head.bbox_coder.update(num_sizes=3, mean_sizes=[[0.5, 0.5, 0.5]] * 3)
    cfg.merge_from_dict(dict(work_dir=str(tmp_path / 'out'), train_cfg=dict(max_epochs=1)))
    cfg.train_cfg.val_interval = 1
    if yaw:
        rejects('have a yaw, which .*Head does not', Runner.from_cfg(cfg).train)
        if name == 'groupfree3d':
            return
        if name == '3detr':
            head.update(num_angle_bins=12)
            head.criterion.update(loss_weights=dict(giou=0.0))
        else:
            head.bbox_coder.update(with_rot=True, num_dir_bins=12)
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.message_hub.get_scalar('val/mAP_0.25').current() >= 0


def test_mistakes_are_told(tmp_path):
    write_own_rooms(tmp_path)
    path = tmp_path / 'own_infos_train.pkl'
    content = pickle.loads(path.read_bytes())

    def says(message, *keys, value=None, error=ValueError, **options):
        changed = place = pickle.loads(pickle.dumps(content))
        for key in keys[:-1]:
            place = place[key]
        if keys:
            place[keys[-1]] = value
        path.write_bytes(pickle.dumps(changed))
        rejects(message, dataset, tmp_path, error=error, **options)

    box = ('data_list', 0, 'instances', 2)
    says("not robott. Did you mean 'robot'", metainfo=dict(classes=['robott']))
    says('does not name its classes', 'metainfo', value={})
    for value in (dict(a=1, b=2), dict(a='0', b=1), ['a', 'b'], 'ab'):
        says('without gaps', 'metainfo', 'categories', value=value)
    says('list of texts', 'metainfo', 'categories', value={3: 0, 'b': 1})
    says('box 2 of room0.bin has the label 7', *box, 'bbox_label_3d', value=7)
    says(r'box 2 of room0.bin has the size \[1.0, 0.0', *box, 'bbox_3d', value=[0, 0, 0, 1, 0, 1])
    says('6 or 7 finite numbers', *box, 'bbox_3d', value=[0, 0, 0, 1, 1, np.nan])
    says('needs lidar_points', 'data_list', 1, 'lidar_points', value={})
    says('no scan has a box of crate', 'data_list', 0, 'instances', value=[])
    says('a dict with data_list', 'data_list', value=None)
    says('load_dim=6. Set load_dim=4', load_dim=6)
    says('is missing: .* lists it', data_prefix=dict(pts='pts'), error=FileNotFoundError)
    says('getcwd; only numpy arrays', 'metainfo', value=os.getcwd)  # nothing is run
    rejects('python tools/prepare_data/indoor_det3d.py', dataset, tmp_path / 'none', error=OSError)
    with open(tmp_path / 'points/room0.bin', 'ab') as file:
        file.write(b'more')
    says('bytes are not a whole number of points')


@pytest.mark.parametrize(
    'kind, name, says',
    [
        ('ScanNetDataset', 'data/scannet/scannet', 'dataset.py info scannet.*--root .*scannet'),
        ('ScanNetDataset', 'data/scannet_small/scannet', 'prepare_data/scannet_small.py makes it'),
        ('SUNRGBDDataset', 'data/sunrgbd/sunrgbd', 'tools/create_data.py sunrgbd'),
        ('ScanNetSegDataset', 'data/scannet/scannet', 'dataset.py info scannet'),
    ],
)
def test_missing_infos_of_stock_data_sets_are_told(kind, name, says, tmp_path):
    file = str(tmp_path / f'{name}_infos_train.pkl')
    cfg = dict(type=f'mmdet3d.{kind}', data_root='', ann_file=file, metainfo=dict(classes=()))
    rejects(f'infos_train.pkl is missing.*{says}', DATASETS.build, cfg, error=FileNotFoundError)


def test_stock_data_sets_name_ours(tmp_path):
    write_own_rooms(tmp_path)
    stock = dict(type='mmdet3d.ScanNetDataset', metainfo=dict(classes=CLASSES))
    rejects("no class 'crate', .*IndoorDet3DDataset", dataset, tmp_path, **stock)
