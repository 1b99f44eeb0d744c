import math

import pytest
import torch

from mmkd3d.ops import boxes as ops
from tests.helpers import rejects


def random_boxes(n, seed=0, room=4.0):
    generator = torch.Generator().manual_seed(seed)
    boxes = torch.rand(n, 7, generator=generator)
    scale = torch.tensor([room, room, 1.0, 1.5, 1.5, 1.0, 2 * math.pi])
    shift = torch.tensor([0.0, 0.0, 0.0, 0.2, 0.2, 0.2, -math.pi])
    return boxes * scale + shift


def rectangles(boxes):
    return boxes[:, [0, 1, 3, 4, 6]]


def shared_area(a, b):
    """Exact overlap of two rectangles, computed by a geometry library."""
    from shapely import affinity
    from shapely.geometry import box

    def polygon(x, y, dx, dy, yaw):
        upright = box(x - dx / 2, y - dy / 2, x + dx / 2, y + dy / 2)
        return affinity.rotate(upright, yaw, use_radians=True)

    return polygon(*a).intersection(polygon(*b)).area


def contains(box, point):
    """Whether a box contains a point, by definition."""
    x, y, bottom, dx, dy, dz, yaw = box.tolist()
    px, py, pz = point.tolist()
    along = (px - x) * math.cos(yaw) + (py - y) * math.sin(yaw)
    across = (py - y) * math.cos(yaw) - (px - x) * math.sin(yaw)
    return abs(along) < dx / 2 and abs(across) < dy / 2 and bottom <= pz <= bottom + dz


def on_a_grid(n):
    """Rectangles with many shared corners, collinear edges and duplicates."""
    xy, sizes = torch.randint(4, (n, 2)) / 2, torch.randint(1, 4, (n, 2)) / 2
    return torch.cat([xy, sizes, torch.randint(8, (n, 1)) * math.pi / 4], 1)


RECTANGLES = dict(
    random=lambda n: rectangles(random_boxes(n, room=2.0)),
    grid=on_a_grid,
    tiny=lambda n: rectangles(random_boxes(n, room=2.0)) * 0.01,
    slim=lambda n: rectangles(random_boxes(n)) * torch.tensor([1, 1, 2, 0.01, 1]),
    nearly_equal=lambda n: torch.tensor([1.0, 2.0, 1.0, 2.0, 0.3]) + 1e-6 * torch.randn(n, 5),
)


@pytest.mark.parametrize('kind', RECTANGLES)
def test_overlap_equals_exact_geometry(kind, monkeypatch):
    pytest.importorskip('shapely')
    for limit in ('_PAIRS', '_COMBINATIONS'):
        monkeypatch.setattr(ops, limit, 100)  # several chunks
    x = RECTANGLES[kind](30)
    expected = torch.tensor([[shared_area(a, b) for b in x.tolist()] for a in x.tolist()])
    area = x[:, 2] * x[:, 3]
    assert (expected > 0).float().mean() > 0.05  # enough pairs overlap
    torch.testing.assert_close(
        ops.rectangle_overlap(x, x) / area, expected / area, atol=1e-5, rtol=1e-5
    )


def test_overlap_of_touching_turned_and_nested_rectangles():
    square = torch.tensor([[0.0, 0.0, 2.0, 2.0, 0.0]])
    others = torch.tensor(
        [
            [0.0, 0.0, 2.0, 2.0, 0.0],  # itself
            [0.0, 0.0, 2.0, 2.0, math.pi / 2],  # itself, rotated by 90 degrees
            [0.0, 0.0, 2.0, 2.0, math.pi / 4],  # the overlap is an octagon
            [2.0, 0.0, 2.0, 2.0, 0.0],  # a common edge
            [2.0, 2.0, 2.0, 2.0, 0.0],  # a common corner
            [0.2, 0.1, 0.5, 0.4, 0.7],  # inside
            [1.0, 0.0, 2.0, 2.0, 0.0],  # half, with collinear edges
            [9.0, 9.0, 2.0, 2.0, 0.0],
        ]
    )
    expected = torch.tensor([[4, 4, 8 * (math.sqrt(2) - 1), 0, 0, 0.2, 2, 0]])
    torch.testing.assert_close(
        ops.rectangle_overlap(square, others), expected, atol=1e-6, rtol=1e-6
    )


def test_iou_does_not_depend_on_place_and_heading():
    a, b = (rectangles(random_boxes(n, seed=n, room=2.0)) for n in (9, 8))
    moved = []
    for x in (a, b):
        x = x.double()
        cos, sin = math.cos(1.1), math.sin(1.1)
        turn = x.new_tensor([[cos, sin], [-sin, cos]])
        moved.append(torch.cat([x[:, :2] @ turn + 100, x[:, 2:4], x[:, 4:] + 1.1], 1))
    table = ops.rectangle_iou(a, b)
    torch.testing.assert_close(ops.rectangle_iou(*moved), table, atol=1e-5, rtol=1e-5)
    for mode in ('iou', 'iof'):  # aligned IoU is the diagonal
        table = ops.rectangle_iou(a[:8], b, mode=mode)
        aligned = ops.rectangle_iou(a[:8], b, mode=mode, aligned=True)
        torch.testing.assert_close(aligned, table.diagonal())
    empty = torch.tensor([[0.0, 0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 1.0, 1.0, 0.0]])
    expected = torch.tensor([[0.0, 0.0], [0.0, 1.0]])
    torch.testing.assert_close(ops.rectangle_iou(empty, empty), expected)
    rejects('giou', ops.rectangle_iou, a, a, mode='giou')
    # a margin only increases the overlap, and only slightly
    a = rectangles(random_boxes(40, room=2.0))
    more = ops.rectangle_overlap(a, a, margin=ops.IOU3D_MARGIN) - ops.rectangle_overlap(a, a)
    assert more.min() > -1e-5 and more.max() < 0.05
    a[:, 4] = 0
    torch.testing.assert_close(ops.upright_iou(a, a), ops.rectangle_iou(a, a), atol=1e-5, rtol=1e-5)


def test_no_boxes_give_empty_results():
    none, some = torch.zeros(0, 5), rectangles(random_boxes(3))
    assert ops.rectangle_overlap(none, some).shape == (0, 3)
    assert ops.rectangle_iou(some, none).shape == (3, 0)
    assert ops.nms3d(torch.zeros(0, 7), torch.zeros(0), 0.5).shape == (0,)
    inside = ops.points_in_boxes(torch.rand(2, 5, 3), torch.zeros(2, 0, 7))
    assert inside.shape == (2, 5, 0)


def test_points_in_boxes_equals_loop(monkeypatch):
    boxes = torch.stack([random_boxes(7, seed) for seed in (0, 1)])
    points = torch.rand(2, 50, 3) * torch.tensor([4.0, 4.0, 2.0])
    expected = torch.tensor(
        [[[contains(box, point) for box in boxes[b]] for point in points[b]] for b in range(2)]
    )
    assert expected.any()
    assert torch.equal(ops.points_in_boxes(points, boxes), expected)
    monkeypatch.setattr(ops, '_COMBINATIONS', 100)  # several chunks
    assert torch.equal(ops.points_in_boxes(points, boxes), expected)


def test_horizontal_faces_belong_to_the_box_and_side_faces_if_asked():
    box = torch.tensor([[[1.0, 2.0, 0.5, 2.0, 4.0, 1.0, 0.0]]])
    points = torch.tensor(
        [[[1.0, 2.0, 0.5], [1.0, 2.0, 1.5], [2.0, 2.0, 1.0], [1.0, 4.0, 1.0], [1.0, 2.0, 1.5001]]]
    )
    inside = ops.points_in_boxes(points, box)[0, :, 0]
    assert inside.tolist() == [True, True, False, False, False]
    inside = ops.points_in_boxes(points, box, sides=True)[0, :, 0]
    assert inside.tolist() == [True, True, True, True, False]


@pytest.mark.parametrize('rotated', [True, False])
def test_nms_equals_loop_and_ignores_heights(rotated):
    boxes, scores = random_boxes(60), torch.rand(60)
    overlap = ops.bird_eye_iou(boxes, rotated=rotated)
    expected = []
    for i in scores.argsort(descending=True).tolist():
        if all(overlap[j, i] <= 0.2 for j in expected):
            expected.append(i)
    assert 1 < len(expected) < 60
    boxes[:, 2] += 9 * torch.rand(60)
    kept = ops.nms3d(boxes, scores, 0.2, rotated=rotated)
    assert kept.tolist() == expected


def test_points_in_boxes_needs_boxes_of_each_cloud():
    points, boxes = torch.rand(4, 9, 3), random_boxes(6).view(1, 6, 7)
    rejects(r'boxes \(B, T, 7\), got', ops.points_in_boxes, points, boxes)
    rejects(r'points \(B, N, 3\)', ops.points_in_boxes, torch.rand(1, 9, 4), boxes)
