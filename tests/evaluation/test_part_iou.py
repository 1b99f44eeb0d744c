"""Mean IoU of parts, against sets of points."""

import numpy as np
import pytest
import torch

from mmkd3d.evaluation.part_iou import PartIoU

PARTS = dict(chair=(0, 1, 2), mug=(3, 4), cap=(5, 6))


def sample(category, label, pred):
    return dict(
        gt_label=torch.tensor(category),
        gt_parts=torch.as_tensor(label),
        pred_parts=torch.as_tensor(pred),
    )


def evaluate(samples):
    metric = PartIoU()
    metric.dataset_meta = dict(classes=tuple(PARTS), parts=PARTS)
    metric.process({}, samples)
    return metric.compute_metrics(metric.results)


def naive(samples):
    """Point by point, as published (ACT, section 9.3)."""
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
            if union == 0:  # neither there nor predicted
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
    """With few points parts are absent from a label, a prediction or both."""
    rng = np.random.default_rng(0)
    samples = []
    for category in [0] * 7 + [1] * 2 + [2]:  # the two means differ
        parts = list(PARTS.values())[category]
        size = num_points + len(samples)
        samples.append(sample(category, rng.choice(parts, size), rng.choice(parts, size)))
    got, expected = evaluate(samples), naive(samples)
    assert got == pytest.approx(expected)
    assert got['instance'] != pytest.approx(got['category'])


def test_a_part_absent_from_both_counts_as_found():
    got = evaluate([sample(0, [0, 0, 1, 1], [0, 0, 1, 0])])
    assert got['instance'] == pytest.approx(100 * (2 / 3 + 1 / 2 + 1) / 3)


def test_a_part_that_is_predicted_and_absent_counts_as_missed():
    got = evaluate([sample(1, [3, 3], [4, 4])])
    assert got['instance'] == 0
    got = evaluate([sample(1, [3, 3], [3, 4])])
    assert got['instance'] == pytest.approx(100 * (1 / 2 + 0) / 2)


def test_labels_of_other_categories_do_not_count_as_parts():
    got = evaluate([sample(1, [3, 4], [3, 0])])
    assert got['instance'] == pytest.approx(100 * (1 + 0) / 2)


def test_points_without_a_label_do_not_count():
    known = sample(0, [0, 1, 2], [0, 1, 1])
    more = sample(0, [0, -1, 1, -1, 2], [0, 2, 1, 0, 1])
    nowhere = sample(0, [-1, -1], [0, 1])
    assert evaluate([more, nowhere]) == evaluate([known])


def test_a_data_set_without_parts_is_an_error():
    metric = PartIoU()
    metric.dataset_meta = dict(classes=('chair',))
    with pytest.raises(ValueError, match='metainfo=dict'):
        metric.process({}, [sample(0, [0], [0])])
