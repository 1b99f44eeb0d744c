"""mmdetection3d's augmentation and our targets against 3DETR's."""

import pytest
import torch
from mmengine.structures import InstanceData

from mmkd3d.models.detectors.box_coding import pad_targets
from tests.helpers import load_case, parity_cases
from tests.parity.box_corners import box_corners
from tests.parity.detections import depth_boxes

pytest.importorskip('mmdet3d')


def augmented(points, boxes, flip_x, flip_y, angle):
    """Augment with mmdetection3d's transforms, in the order of 3DETR."""
    from mmdet3d.datasets.transforms import GlobalRotScaleTrans, RandomFlip3D
    from mmdet3d.structures import DepthPoints

    results = dict(points=DepthPoints(points), gt_bboxes_3d=depth_boxes(boxes))
    flips = RandomFlip3D(
        sync_2d=False,
        flip_ratio_bev_horizontal=float(flip_x),
        flip_ratio_bev_vertical=float(flip_y),
    )
    turn = GlobalRotScaleTrans(rot_range=[float(angle)] * 2, scale_ratio_range=[1.0, 1.0])
    return turn(flips(results))


@pytest.mark.parametrize('case', parity_cases('detection/targets*'), ids=lambda path: path.name)
def test_augmented_targets_are_the_published_ones(case):
    manifest, arrays = load_case(case)
    assert manifest['config']['order'] == ['flip_x', 'flip_y', 'rotate_z']
    x = {key: torch.from_numpy(value) for key, value in arrays.items()}
    points, boxes = x.pop('points'), x.pop('boxes')
    draws = [key for key in x if key.startswith('aug_params_')]
    got = {}
    for key in draws:
        results = augmented(points.clone(), boxes.clone(), *x.pop(key))
        xyz, there = results['points'].tensor, results['gt_bboxes_3d']
        low, high = xyz.amin(0), xyz.amax(0)
        gt = InstanceData(bboxes_3d=there, labels_3d=torch.zeros(len(there)).long())
        targets = pad_targets([gt], low[None], high[None], 1)
        assert not (targets.angle_cls.any() or targets.angle_res.any())
        i = key.removeprefix('aug_params_')
        got.update(
            {
                f'points_{i}': xyz[::25],
                f'boxes_{i}': torch.cat([there.gravity_center, there.dims], 1),
                f'dims_min_{i}': low,
                f'dims_max_{i}': high,
                f'centers_normalized_{i}': targets.center_normalized[0],
                f'sizes_normalized_{i}': targets.size_normalized[0],
                f'corners_{i}': box_corners(*targets.tensor[0].split([3, 3, 1], -1)),
            }
        )
    assert set(got) == set(x)
    for name, value in got.items():
        torch.testing.assert_close(
            value, x[name], **manifest['tolerance'], msg=lambda text, name=name: f'{name}: {text}'
        )
