"""Selection of predicted boxes against loops, with every option."""

import math

import pytest
import torch

from mmkd3d.models.detectors.box_coding import DecodedBoxes
from mmkd3d.models.detectors.box_selection import count_points, nonempty, select_boxes
from tests.models.detection_scenes import CLASSES, random_boxes

pytest.importorskip('mmdet3d')


def scenes(bins=1, **kwargs):
    boxes, _ = random_boxes(bins, queries=40, **kwargs)
    return boxes.layer(-1), torch.rand(3, 400, 3) * 4 - 2


def handmade(*boxes):
    """One scene of (x, y, z, dx, dy, dz, heading, label, objectness)."""
    x = torch.tensor(boxes)[None]
    probs = torch.full((*x.shape[:2], CLASSES + 1), 1e-6)
    probs.scatter_(2, x[..., 7:8].long(), x[..., 8:])
    probs[..., -1] = 1 - x[..., 8]
    zeros = torch.zeros_like(x[..., :3])
    return DecodedBoxes(
        probs.log(), x[..., :3], zeros, x[..., 3:6], zeros, zeros, zeros, zeros, x[..., 6]
    )


def loop(boxes, points, scene, min_points, nms_iou, threshold):
    """Queries kept in one scene, with the rules applied one by one."""
    center, size = boxes.center[scene], boxes.size[scene]
    objectness = boxes.objectness[scene].tolist()
    kinds = boxes.class_probs[scene].argmax(-1).tolist()
    low, high = center - size / 2, center + size / 2
    p = points[scene]
    counts = [((p >= a) & (p <= b)).all(1).sum() for a, b in zip(low, high)]
    left = [q for q, n in enumerate(counts) if n >= min_points]
    left = left or [max(range(len(low)), key=objectness.__getitem__)]
    left.sort(key=lambda q: -objectness[q])
    kept = []
    for q in left:

        def suppresses(other):
            sides = torch.minimum(high[q], high[other]) - torch.maximum(low[q], low[other])
            shared = sides.clamp(min=0).prod()
            union = size[q].prod() + size[other].prod() - shared
            return kinds[q] == kinds[other] and shared / union > nms_iou

        if not any(suppresses(other) for other in kept):
            kept.append(q)
    return {q for q in kept if objectness[q] > threshold}


@pytest.mark.parametrize('settings', [(5, 0.25, 0.05), (12, 0.1, 0.8), (0, 0.5, 0)])
def test_selection_equals_loop(settings):
    boxes, points = scenes()
    names = 'min_points', 'nms_iou', 'score_threshold'
    selected = select_boxes(boxes, points, **dict(zip(names, settings)))
    sizes = []
    for scene, found in enumerate(selected):
        expected = loop(boxes, points, scene, *settings)
        assert set(found.query.tolist()) == expected
        sizes.append(len(expected))
    assert 1 < max(sizes) and min(sizes) < 40


def test_every_box_votes_for_every_class_or_for_its_best():
    boxes, points = scenes()
    bests = select_boxes(boxes, points, all_classes=False)
    for scene, (every, best) in enumerate(zip(select_boxes(boxes, points), bests)):
        kept = every.query.unique()
        assert len(every.query) == len(kept) * CLASSES
        pairs = set(zip(every.query.tolist(), every.labels.tolist()))
        assert len(pairs) == len(every.query)
        probs = boxes.cls[scene].softmax(-1)
        scores = probs[every.query, every.labels] * (1 - probs[every.query, -1])
        torch.testing.assert_close(every.scores, scores)
        assert best.query.tolist() == kept.tolist()
        best_of = every.scores.view(-1, CLASSES).max(1)
        torch.testing.assert_close(best.scores, best_of.values)
        assert best.labels.tolist() == best_of.indices.tolist()


def test_points_are_counted_with_faces_edges_and_corners_in_turned_boxes_too():
    boxes = handmade([1.0, 1, 1, 2, 2, 2, 0, 0, 0.9])
    offsets = torch.cartesian_prod(*[torch.tensor([0.0, 1.0, 2.0])] * 3)
    outside = offsets + torch.tensor([2.001, 0, 0])
    assert count_points(boxes, offsets[None]) == 27
    assert count_points(boxes, outside[None]) == 0
    # clockwise seen from above: the long axis turns from x towards -y
    boxes = handmade([0.0, 0, 0, 4, 0.5, 1, math.pi / 4, 0, 0.9])
    assert count_points(boxes, torch.tensor([[[1.0, -1, 0]]])) == 1
    assert count_points(boxes, torch.tensor([[[1.0, 1, 0]]])) == 0


def test_of_empty_boxes_only_the_likeliest_is_kept():
    counts = torch.tensor([[0, 4, 3], [0, 5, 9]])
    objectness = torch.tensor([[0.2, 0.3, 0.9], [0.9, 0.1, 0.2]])
    assert nonempty(counts, objectness, 5).tolist() == [[False, False, True], [False, True, True]]


ONE = [0.0, 0, 0, 1, 1, 1, 0, 2, 0.9]
SAME_KIND = [0.2, 0, 0, 1, 1, 1, 0, 2, 0.8]
OTHER_KIND = [0.2, 0, 0, 1, 1, 1, 0, 3, 0.7]


TURN = math.pi / 4
CROSS = [[0.0, 0, 0, 4, 0.2, 1, TURN, 2, 0.9], [0.0, 0, 0, 4, 0.2, 1, -TURN, 2, 0.8]]
MIXED = [SAME_KIND, ONE, OTHER_KIND]


@pytest.mark.parametrize(
    'boxes, settings, expected',
    [
        (MIXED, dict(), [0, 2]),
        (MIXED, dict(per_class_nms=False), [0]),
        (MIXED, dict(use_nms=False), [0, 1, 2]),
        (MIXED, dict(nms_iou=0.7), [0, 1, 2]),
        (MIXED, dict(score_threshold=0.75), [0]),
        (CROSS, dict(nms_iou=0.9), [0]),  # IoU of the upright boxes around them
        ([[*ONE[:8], 0.04]], dict(), []),
    ],
)
def test_switches_of_suppression(boxes, settings, expected):
    boxes = handmade(*boxes)
    (found,) = select_boxes(boxes, torch.zeros(1, 9, 3), all_classes=False, **settings)
    order = boxes.objectness[0].argsort(descending=True).tolist()
    assert sorted(order.index(q) for q in found.query.tolist()) == expected
    assert len(found.query) == len(found.scores) == len(found.labels)
