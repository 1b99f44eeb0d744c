"""Which boxes are reported: against loops, and every switch."""

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
    """Kept queries of one scene by the rules, one after another."""
    center, size = boxes.center[scene], boxes.size[scene]
    objectness = boxes.objectness[scene].tolist()
    kinds = boxes.class_probs[scene].argmax(-1).tolist()
    low, high = center - size / 2, center + size / 2
    counts = [
        ((p >= a) & (p <= b)).all(1).sum() for p, a, b in zip([points[scene]] * len(low), low, high)
    ]
    left = [q for q, n in enumerate(counts) if n >= min_points] or [
        max(range(len(low)), key=objectness.__getitem__)
    ]
    left.sort(key=lambda q: -objectness[q])
    kept = []
    for q in left:

        def suppresses(other):
            sides = (torch.minimum(high[q], high[other]) - torch.maximum(low[q], low[other])).clamp(
                min=0
            )
            shared = sides.prod()
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


def test_every_box_votes_for_every_class():
    boxes, points = scenes()
    for scene, found in enumerate(select_boxes(boxes, points)):
        kept = found.query.unique()
        assert len(found.query) == len(kept) * CLASSES
        pairs = set(zip(found.query.tolist(), found.labels.tolist()))
        assert len(pairs) == len(found.query)
        probs = boxes.cls[scene].softmax(-1)
        torch.testing.assert_close(
            found.scores, probs[found.query, found.labels] * (1 - probs[found.query, -1])
        )


def test_best_class_only_has_the_same_boxes_and_their_best_scores():
    boxes, points = scenes()
    for every, best in zip(
        select_boxes(boxes, points), select_boxes(boxes, points, all_classes=False)
    ):
        assert best.query.tolist() == every.query.unique().tolist()
        best_of = every.scores.view(-1, CLASSES).max(1)
        torch.testing.assert_close(best.scores, best_of.values)
        assert best.labels.tolist() == best_of.indices.tolist()


def test_faces_edges_and_corners_are_inside():
    boxes = handmade([1.0, 1, 1, 2, 2, 2, 0, 0, 0.9])
    offsets = torch.cartesian_prod(*[torch.tensor([0.0, 1.0, 2.0])] * 3)
    outside = offsets + torch.tensor([2.001, 0, 0])
    assert count_points(boxes, offsets[None]) == 27
    assert count_points(boxes, outside[None]) == 0


def test_points_are_counted_in_turned_boxes():
    """Clockwise seen from above: the long axis turns from x towards -y."""
    boxes = handmade([0.0, 0, 0, 4, 0.5, 1, math.pi / 4, 0, 0.9])
    inside, outside = torch.tensor([[[1.0, -1, 0]], [[1.0, 1, 0]]])
    assert count_points(boxes, inside[None]) == 1
    assert count_points(boxes, outside[None]) == 0


def test_of_empty_boxes_only_the_likeliest_is_kept():
    counts = torch.tensor([[0, 4, 3], [0, 5, 9]])
    objectness = torch.tensor([[0.2, 0.3, 0.9], [0.9, 0.1, 0.2]])
    assert nonempty(counts, objectness, 5).tolist() == [[False, False, True], [False, True, True]]


ONE = [0.0, 0, 0, 1, 1, 1, 0, 2, 0.9]
SAME_KIND = [0.2, 0, 0, 1, 1, 1, 0, 2, 0.8]
OTHER_KIND = [0.2, 0, 0, 1, 1, 1, 0, 3, 0.7]


@pytest.mark.parametrize(
    'settings, expected',
    [
        (dict(), [0, 2]),
        (dict(per_class_nms=False), [0]),
        (dict(use_nms=False), [0, 1, 2]),
        (dict(nms_iou=0.7), [0, 1, 2]),
        (dict(score_threshold=0.75), [0]),
    ],
)
def test_switches_of_suppression(settings, expected):
    boxes = handmade(SAME_KIND, ONE, OTHER_KIND)
    (found,) = select_boxes(boxes, torch.zeros(1, 9, 3), all_classes=False, **settings)
    # Queries in order of objectness: 1, 0, 2.
    assert sorted([1, 0, 2].index(q) for q in found.query.tolist()) == expected


def test_turned_boxes_suppress_by_the_boxes_around_them():
    turn = math.pi / 4
    boxes = handmade([0.0, 0, 0, 4, 0.2, 1, turn, 2, 0.9], [0.0, 0, 0, 4, 0.2, 1, -turn, 2, 0.8])
    (found,) = select_boxes(boxes, torch.zeros(1, 9, 3), all_classes=False, nms_iou=0.9)
    assert found.query.tolist() == [0]


def test_nothing_likely_gives_no_detection():
    boxes = handmade([*ONE[:8], 0.04])
    (found,) = select_boxes(boxes, torch.zeros(1, 9, 3))
    assert len(found.query) == len(found.scores) == len(found.labels) == 0
