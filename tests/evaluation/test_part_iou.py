"""Mean part IoU against a naive loop over points."""

import numpy as np
import pytest
import torch

from mmkd3d.evaluation.part_iou import PartIoU
from tests.helpers import rejects

PARTS = dict(chair=(0, 1, 2), mug=(3, 4), cap=(5, 6))


def sample(category, label, pred):
    label, pred = torch.as_tensor(label), torch.as_tensor(pred)
    return dict(gt_label=torch.tensor(category), gt_parts=label, pred_parts=pred)


def evaluate(samples):
    metric = PartIoU()
    metric.dataset_meta = dict(classes=tuple(PARTS), parts=PARTS)
    metric.process({}, samples)
    return metric.compute_metrics(metric.results)


def naive(samples):
    """Metrics computed point by point as published (ACT, section 9.3)."""
    per_category, correct, count = {}, 0, 0
    for one in samples:
        category = int(one['gt_label'])
        label, pred = one['gt_parts'].tolist(), one['pred_parts'].tolist()
        ious = []
        for part in list(PARTS.values())[category]:
            both = union = 0
            for a, b in zip(label, pred):
                both += a == part and b == part
                union += a == part or b == part
            if union == 0:  # part in neither label nor prediction
                ious.append(1.0)
            else:
                ious.append(both / union)
        per_category.setdefault(category, []).append(sum(ious) / len(ious))
        correct += sum(a == b for a, b in zip(label, pred))
        count += len(label)
    shapes = sum(per_category.values(), [])
    categories = [sum(v) / len(v) for v in per_category.values()]
    return dict(
        instance=100 * sum(shapes) / len(shapes),
        category=100 * sum(categories) / len(categories),
        accuracy=100 * correct / count,
    )


@pytest.mark.parametrize('num_points', [2, 5, 200])
def test_means_are_those_of_a_naive_loop(num_points):
    """With few points, parts can be missing from labels, predictions or both."""
    rng = np.random.default_rng(0)
    samples = []
    for category in [0] * 7 + [1] * 2 + [2]:  # unequal counts, so that the two means differ
        parts = list(PARTS.values())[category]
        size = num_points + len(samples)
        samples.append(sample(category, rng.choice(parts, size), rng.choice(parts, size)))
    got, expected = evaluate(samples), naive(samples)
    assert got == pytest.approx(expected)
    assert got['instance'] != pytest.approx(got['category'])


def test_parts_and_points_that_are_absent():
    for label, pred, instance in (
        ([3, 3], [4, 4], 0),  # predicted, but not in the label: 0
        ([3, 3], [3, 4], (1 / 2 + 0) / 2),
        ([3, 4], [3, 0], (1 + 0) / 2),  # predicts a part of another category
        ([3, 3], [3, 3], 1),  # part 4 in neither: 1
    ):
        got = evaluate([sample(1, label, pred)])
        assert got['instance'] == pytest.approx(100 * instance)
    known = sample(0, [0, 1, 2], [0, 1, 1])
    more = sample(0, [0, -1, 1, -1, 2], [0, 2, 1, 0, 1])  # -1: no label
    nowhere = sample(0, [-1, -1], [0, 1])
    assert evaluate([more, nowhere]) == evaluate([known])
    metric = PartIoU()
    metric.dataset_meta = dict(classes=('chair',))
    rejects('metainfo=dict', metric.process, {}, [known])
