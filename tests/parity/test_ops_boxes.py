"""Box operators against the results of mmcv's kernels."""

import pytest
import torch

from tests.helpers import load_case, parity_cases

pytest.importorskip('mmcv')
pytest.importorskip('mmdet3d')


@pytest.fixture(params=parity_cases('detection/ops_boxes*'), ids=lambda path: path.name)
def case(request):
    import mmkd3d  # noqa: F401

    manifest, arrays = load_case(request.param)
    tensors = {key: torch.from_numpy(value) for key, value in arrays.items()}
    return manifest['tolerance'], tensors


@pytest.mark.parametrize('name', ['boxes_overlap_bev', 'boxes_iou3d'])
def test_overlaps_of_iou3d(case, name):
    import mmcv.ops

    tolerance, x = case
    got = getattr(mmcv.ops, name)(x['boxes'], x['boxes'])
    torch.testing.assert_close(got, x[name], **tolerance)


@pytest.mark.parametrize(
    'name, settings',
    [
        ('box_iou_rotated', dict()),
        ('box_iou_rotated_ccw', dict(clockwise=False)),
        ('box_iof_rotated', dict(mode='iof')),
    ],
)
def test_box_iou_rotated(case, name, settings):
    from mmcv.ops import box_iou_rotated

    tolerance, x = case
    flat = x['boxes'][:, [0, 1, 3, 4, 6]]
    got = box_iou_rotated(flat, flat, **settings)
    torch.testing.assert_close(got, x[name], **tolerance)


@pytest.mark.parametrize('name', ['nms3d', 'nms3d_normal'])
def test_nms3d(case, name):
    import mmcv.ops

    _, x = case
    threshold = x['nms_threshold'].item()
    kept = getattr(mmcv.ops, name)(x['boxes'], x['scores'], threshold)
    assert kept.dtype == torch.int64
    assert kept.tolist() == x[f'{name}_keep'].tolist()


def test_aligned_3d_nms(case):
    from mmdet3d.models.layers import aligned_3d_nms

    _, x = case
    kept = aligned_3d_nms(
        x['aligned_boxes'], x['scores'], x['aligned_classes'], x['nms_threshold'].item()
    )
    assert kept.tolist() == x['aligned_3d_nms_keep'].tolist()


@pytest.mark.parametrize(
    'prefix, boxes, points',
    [('points_in_boxes', 'boxes', 'pib_points'), ('pib_edge', 'pib_edge_boxes', 'pib_edge_points')],
)
def test_points_in_boxes(case, prefix, boxes, points):
    from mmcv.ops import points_in_boxes_all, points_in_boxes_cpu, points_in_boxes_part

    _, x = case
    batch = x[points][None], x[boxes][None]
    for operator in (points_in_boxes_all, points_in_boxes_cpu):
        assert torch.equal(operator(*batch)[0], x[f'{prefix}_all'])
    assert torch.equal(points_in_boxes_part(*batch)[0], x[f'{prefix}_part'])


def test_overlaps_of_depth_boxes(case):
    from mmdet3d.structures import DepthInstance3DBoxes

    tolerance, x = case
    boxes = DepthInstance3DBoxes(x['boxes'])
    got = DepthInstance3DBoxes.overlaps(boxes, boxes)
    torch.testing.assert_close(got, x['depth_overlaps_iou'], **tolerance)
