"""Generalised IoU of upright and rotated boxes."""

import math

import pytest
import torch

from mmkd3d.models.detectors.giou_3d import giou_3d, rotated_giou_3d, upright_hull

UNIT = torch.tensor([0.0, 0.0, 0.0, 1.0, 1.0, 1.0])


def draw(n, heading=False):
    boxes = torch.rand(n, 7)
    boxes = boxes * torch.tensor([2, 2, 1, 2, 2, 2, 2 * math.pi])
    boxes[:, 3:6] += 0.1
    return boxes if heading else boxes[:, :6]


def test_upright_giou_is_mmdetection3ds():
    pytest.importorskip('mmdet3d')
    from mmdet3d.structures.ops import axis_aligned_bbox_overlaps_3d

    a, b = draw(40), draw(30)
    faces = [torch.cat([x[:, :3] - x[:, 3:] / 2, x[:, :3] + x[:, 3:] / 2], 1) for x in (a, b)]
    expected = axis_aligned_bbox_overlaps_3d(*faces, mode='giou')
    assert expected.min() < -0.3 and expected.max() > 0.3
    torch.testing.assert_close(giou_3d(a[:, None], b), expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(
    'other, expected',
    [
        ([0, 0, 0, 1, 1, 1], 1),
        ([0.5, 0, 0, 1, 1, 1], 1 / 3),  # hull = union
        ([1, 0, 0, 1, 1, 1], 0),  # touching
        ([3, 0, 0, 1, 1, 1], -0.5),  # union 2, hull 4
        ([0, 0, 0, 2, 2, 2], 1 / 8),
    ],
)
def test_giou_of_known_boxes(other, expected):
    other = torch.tensor(other).float()
    assert giou_3d(UNIT, other) == pytest.approx(expected, abs=1e-6)
    turn = torch.zeros(1)
    rotated = rotated_giou_3d(torch.cat([UNIT, turn]), torch.cat([other, turn]))
    assert rotated == pytest.approx(expected, abs=1e-6)


def test_gradients_are_those_of_differences():
    a, b = draw(12).double(), draw(12).double()
    assert torch.autograd.gradcheck(giou_3d, (a.requires_grad_(), b))


def test_flat_and_empty_boxes_have_finite_values_and_gradients():
    flat, point = UNIT.clone(), UNIT.clone()
    flat[5], point[3:] = 0, 0
    boxes = torch.stack([UNIT, flat, point]).requires_grad_()
    values = giou_3d(boxes[:, None], boxes)
    values.sum().backward()
    assert values.isfinite().all() and boxes.grad.isfinite().all()
    assert values[2, 2] == values[1, 1] == 0  # hull of volume 0
    assert values[0, 0] == 1


def loop(a, b):
    """GIoU of one pair with shapely, and whether the boxes overlap."""
    from shapely import affinity
    from shapely.geometry import box

    def polygon(x):
        upright = box(x[0] - x[3] / 2, x[1] - x[4] / 2, x[0] + x[3] / 2, x[1] + x[4] / 2)
        return affinity.rotate(upright, -x[6], use_radians=True)

    def corner(x, sign):
        c, s = math.cos(x[6]), math.sin(x[6])
        dx, dy = sign * x[3] / 2, sign * x[4] / 2
        return x[0] + c * dx + s * dy, x[1] - s * dx + c * dy

    p, q = polygon(a), polygon(b)
    high = [min(u, v) for u, v in zip(corner(a, 1), corner(b, 1))]
    low = [max(u, v) for u, v in zip(corner(a, -1), corner(b, -1))]
    near = all(h > lo for h, lo in zip(high, low))
    tall = max(0, min(a[2] + a[5] / 2, b[2] + b[5] / 2) - max(a[2] - a[5] / 2, b[2] - b[5] / 2))
    shared = p.intersection(q).area * tall if near else 0
    union = math.prod(a[3:6]) + math.prod(b[3:6]) - shared
    both = p.bounds, q.bounds
    hull = math.prod(max(x[i + 2] for x in both) - min(x[i] for x in both) for i in range(2)) * (
        max(a[2] + a[5] / 2, b[2] + b[5] / 2) - min(a[2] - a[5] / 2, b[2] - b[5] / 2)
    )
    return shared / union - 1 + union / hull, bool(near and shared)


def test_rotated_giou_equals_loop():
    a, b = draw(30, heading=True), draw(20, heading=True)
    pairs = [[loop(x.tolist(), y.tolist()) for y in b] for x in a]
    assert sum(shared for row in pairs for _, shared in row) > 8
    expected = torch.tensor([[value for value, _ in row] for row in pairs])
    torch.testing.assert_close(rotated_giou_3d(a[:, None], b), expected, atol=1e-5, rtol=1e-5)


def test_without_headings_both_are_the_same():
    a, b = draw(20), draw(15)
    turned = [torch.cat([x, torch.zeros(len(x), 1)], 1) for x in (a, b)]
    for exact in (True, False):
        got = rotated_giou_3d(turned[0][:, None], turned[1], exact=exact)
        torch.testing.assert_close(got, giou_3d(a[:, None], b), atol=1e-5, rtol=1e-5)
    box = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, math.pi / 2])
    torch.testing.assert_close(upright_hull(box), torch.tensor([1.0, 2.0, 3.0, 5.0, 4.0, 6.0]))
    assert giou_3d(draw(3)[:, None], draw(0)).shape == (3, 0)
    assert rotated_giou_3d(draw(3, True)[:, None], draw(0, True)).shape == (3, 0)
