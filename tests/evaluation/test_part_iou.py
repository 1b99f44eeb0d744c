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
        pred_parts=torch.as_tensor(pred))


def evaluate(samples):
    metric = PartIoU()
    metric.dataset_meta = dict(classes=tuple(PARTS), parts=PARTS)
    metric.process({}, samples)
    return metric.compute_metrics(metric.results)


def test_means_are_those_of_sets_of_points():
    rng = np.random.default_rng(0)
    samples, per_category, correct = [], {0: [], 1: []}, 0
    for _ in range(9):
        category = int(rng.integers(2))
        parts = list(PARTS.values())[category]
        label, pred = rng.choice(parts, 20), rng.choice(parts, 20)
        samples.append(sample(category, label, pred))
        correct += (label == pred).sum()
        ious = []
        for part in parts:
            a = {i for i in range(20) if label[i] == part}
            b = {i for i in range(20) if pred[i] == part}
            ious.append(len(a & b) / len(a | b))
        per_category[category].append(sum(ious) / len(ious))
    flat = per_category[0] + per_category[1]
    got = evaluate(samples)
    assert got['instance'] == pytest.approx(100 * np.mean(flat))
    assert got['category'] == pytest.approx(
        100 * np.mean([np.mean(v) for v in per_category.values()]))
    assert got['accuracy'] == pytest.approx(100 * correct / (9 * 20))


def test_a_part_absent_from_both_counts_as_found():
    got = evaluate([sample(0, [0, 0, 1, 1], [0, 0, 1, 0])])
    assert got['instance'] == pytest.approx(100 * (2 / 3 + 1 / 2 + 1) / 3)
    # predicted nowhere, absent nowhere: 0
    got = evaluate([sample(1, [3, 3], [4, 4])])
    assert got['instance'] == 0


def test_a_data_set_without_parts_is_an_error():
    metric = PartIoU()
    metric.dataset_meta = dict(classes=('chair', ))
    with pytest.raises(ValueError, match='metainfo=dict'):
        metric.process({}, [sample(0, [0], [0])])
