"""Matching and losses of 3DETR against loops over boxes."""

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmkd3d.models.detectors.box_coding import pad_targets
from mmkd3d.models.detectors.box_matcher import BoxMatcher, assign
from mmkd3d.models.detectors.giou_3d import giou_3d, rotated_giou_3d
from mmkd3d.models.detectors.three_detr_criterion import ThreeDETRCriterion
from mmkd3d.registry import MODELS
from tests.models.detection_scenes import CLASSES, annotations, extrema, random_boxes

pytest.importorskip('mmdet3d')
SUN = dict(
    cost_weights=dict(giou=3, center=5, objectness=5),
    loss_weights=dict(giou=0),
    no_object_weight=0.1,
)


def criterion(**kwargs):
    return MODELS.build(dict(type='mmkd3d.ThreeDETRCriterion', **kwargs))


def losses_of(counts=(3, 0, 5), bins=1, seed=0, **kwargs):
    boxes, raw = random_boxes(bins, seed, scenes=len(counts))
    gt = annotations(counts, bins)
    return criterion(**kwargs)(boxes, gt, *extrema(len(counts))), raw


def total(losses):
    return sum(v for k, v in losses.items() if 'loss' in k)


def cost(boxes, targets, at, query, box, weights):
    """Matching cost of one query and one box, by definition."""
    layer, scene = at
    probs = boxes.cls[layer, scene, query].softmax(0)
    a, b = boxes.tensor[layer, scene, query], targets.tensor[scene, box]
    turned = boxes.angle_cls.shape[-1] > 1
    overlap = rotated_giou_3d(a, b) if turned else giou_3d(a[:6], b[:6])
    gap = boxes.center_normalized[layer, scene, query] - targets.center_normalized[scene, box]
    value = -weights.get('cls', 1) * probs[targets.labels[scene, box]]
    value -= weights.get('objectness', 0) * (1 - probs[-1])
    value += weights.get('center', 0) * gap.abs().sum()
    return (value - weights.get('giou', 2) * overlap).item()


@pytest.mark.parametrize('bins, weights', [(1, {}), (12, SUN['cost_weights'])])
def test_matching_has_the_smallest_sum_of_costs(bins, weights):
    """Minimum over all assignments of a distinct query to each box."""
    boxes, _ = random_boxes(bins, queries=5)
    counts = (3, 0, 2)
    targets = pad_targets(annotations(counts, bins), *extrema(), bins)
    pairs = BoxMatcher(**weights)(boxes, targets)
    chosen = set(zip(*(x.tolist() for x in pairs)))
    assert len(chosen) == 2 * sum(counts)
    for at in itertools.product(range(2), range(3)):
        table = [
            [cost(boxes, targets, at, q, b, weights) for q in range(5)]
            for b in range(counts[at[1]])
        ]
        best = min(
            itertools.permutations(range(5), len(table)),
            key=lambda queries: sum(row[q] for row, q in zip(table, queries)),
        )
        expected = {(*at, q, b) for b, q in enumerate(best)}
        assert {pair for pair in chosen if pair[:2] == at} == expected


def test_more_boxes_than_queries_leave_some_out():
    boxes, _ = random_boxes(queries=4)
    targets = pad_targets(annotations((9, 2, 4)), *extrema(), 1)
    pairs = BoxMatcher()(boxes, targets)
    for layer, (scene, count) in itertools.product(range(2), enumerate((4, 2, 4))):
        here = (pairs.layer == layer) & (pairs.scene == scene)
        assert here.sum() == count
        assert len(pairs.query[here].unique()) == count
        assert len(pairs.box[here].unique()) == count
    losses, raw = losses_of((9, 9, 20))
    total(losses).backward()
    assert losses['loss_center'].isfinite()


def test_pairs_come_by_layer_and_scene_whatever_columns_hold_boxes():
    table = np.random.rand(2, 2, 3, 4)
    present = np.array([[False, True, False, True], [True] * 4])
    pairs = assign(table, present)
    assert pairs[:2].T.tolist() == sorted(pairs[:2].T.tolist())
    assert set(pairs[3][pairs[1] == 0]) == {1, 3}
    assert pairs.shape == (4, 2 * (2 + 3))


@pytest.mark.parametrize(
    'bins, settings',
    [(1, {}), (1, dict(loss_weights=dict(cls=2.0, giou=3.0), no_object_weight=0.5)), (12, SUN)],
)
def test_losses_equal_a_loop_over_matched_boxes(bins, settings):
    counts = (3, 0, 5)
    losses, _ = losses_of(counts, bins, **settings)
    boxes, _ = random_boxes(bins)
    module = criterion(**settings)
    weights = module.loss_weights
    targets = pad_targets(annotations(counts, bins), *extrema(), bins)
    pairs = list(zip(*(x.tolist() for x in module.matcher(boxes, targets))))
    for layer, prefix in enumerate(('d0.', '')):
        sums = dict.fromkeys(('center', 'size', 'angle_cls', 'angle_reg', 'giou'), 0.0)
        wanted = torch.full((3, 8), CLASSES)
        for _, s, q, b in (pair for pair in pairs if pair[0] == layer):
            at = layer, s, q
            wanted[s, q] = targets.labels[s, b]
            for name in ('center', 'size'):
                own, true = (getattr(x, f'{name}_normalized') for x in (boxes, targets))
                sums[name] += (own[at] - true[s, b]).abs().sum()
            k = targets.angle_cls[s, b]
            sums['angle_cls'] -= boxes.angle_cls[at].log_softmax(0)[k]
            off = abs(boxes.angle_res[at][k] - targets.angle_res[s, b] / (math.pi / bins))
            sums['angle_reg'] += off**2 / 2 if off < 1 else off - 0.5
            sums['giou'] += 1 - giou_3d(boxes.tensor[at][:6], targets.tensor[s, b, :6])
        scale = torch.ones(CLASSES + 1)
        scale[-1] = module.no_object_weight
        expected = dict(
            cls=F.cross_entropy(boxes.cls[layer].flatten(0, 1), wanted.flatten(), scale),
            **{name: value / sum(counts) for name, value in sums.items()},
        )
        for name, value in expected.items():
            key = f'{prefix}loss_{name}'
            if not weights[name]:
                assert key not in losses
                continue
            torch.testing.assert_close(losses[key], weights[name] * value)


def test_losses_have_names_that_mmengine_sums_up_beside_the_cardinality():
    losses, _ = losses_of((3, 0, 5))
    per_layer = {f'loss_{x}' for x in ('cls', 'center', 'size', 'angle_cls', 'angle_reg', 'giou')}
    assert set(losses) == per_layer | {f'd0.{x}' for x in per_layer} | {'cardinality'}
    found = (random_boxes()[0].cls[-1].argmax(-1) != CLASSES).sum(-1)
    assert losses['cardinality'] == (found - torch.tensor([3, 0, 5])).abs().float().mean()


@pytest.mark.parametrize('bins, settings', [(1, {}), (12, SUN)])
def test_scenes_without_boxes_teach_the_classes_only(bins, settings):
    losses, raw = losses_of((0, 0, 0), bins, **settings)
    for name, value in losses.items():
        is_class = name.endswith('cls') and 'angle' not in name
        assert (value > 0) == (is_class or name == 'cardinality'), name
    total(losses).backward()
    assert raw.cls.grad.abs().sum() > 0
    for name in ('center', 'size', 'angle_cls', 'angle_res'):
        grad = getattr(raw, name).grad
        assert grad is None or not grad.any()


def test_unmatched_queries_learn_no_box():
    losses, raw = losses_of((1, 0, 0))
    total(losses).backward()
    assert (raw.cls.grad != 0).any(-1).all()
    taught = (raw.center.grad != 0).any(-1).sum((1, 2))
    assert taught.tolist() == [1, 1]


@pytest.mark.parametrize('bins, settings', [(1, {}), (12, SUN)])
def test_losses_are_the_same_under_autocast(bins, settings):
    expected, _ = losses_of(bins=bins, **settings)
    with torch.autocast('cpu', torch.bfloat16):
        got, _ = losses_of(bins=bins, **settings)
    for name, value in expected.items():
        assert got[name].dtype == torch.float32
        torch.testing.assert_close(got[name], value)


def test_what_can_not_be_compared_is_an_error():
    boxes, _ = random_boxes()
    for label in (CLASSES, -1):
        gt = annotations()
        gt[2].labels_3d[1] = label
        with pytest.raises(ValueError, match=f'label {label}, .*=5'):
            criterion()(boxes, gt, *extrema())
    boxes.center_normalized.data[1, 2, 3] = torch.nan
    with pytest.raises(ValueError, match='scene 2 .* decoder layer 1'):
        criterion()(boxes, annotations(), *extrema())
    with pytest.raises(ValueError, match=r'12 angle bins.*giou=0'):
        losses_of(bins=12)
    with pytest.raises(ValueError, match='sem_cls'):
        ThreeDETRCriterion(loss_weights=dict(sem_cls=1))
    with pytest.raises(TypeError, match='centre'):
        ThreeDETRCriterion(cost_weights=dict(centre=1))
