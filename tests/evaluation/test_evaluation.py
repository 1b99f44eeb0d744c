"""Metrics and probes."""

import numpy as np
import pytest
import torch

from mmkd3d.evaluation.accuracy import Accuracy
from mmkd3d.evaluation.probes import C_GRID, K_GRID, few_label_accuracy, knn_accuracy, linear_svm
from tests.helpers import rejects


def test_accuracy_is_a_loop_over_samples():
    rng = np.random.default_rng(0)
    label, pred = rng.choice([0, 1, 1, 1, 4], 50), rng.integers(0, 5, 50)
    metric = Accuracy()
    pairs = zip(torch.tensor(label), torch.tensor(pred))
    metric.process({}, [dict(gt_label=a, pred_label=b) for a, b in pairs])
    result = metric.compute_metrics(metric.results)
    hits = {c: [] for c in set(label.tolist())}
    for a, b in zip(label.tolist(), pred.tolist()):
        hits[a].append(a == b)
    flat = [h for group in hits.values() for h in group]
    assert result['overall'] == pytest.approx(100 * sum(flat) / len(flat))
    assert result['class_mean'] == pytest.approx(
        100 * np.mean([sum(g) / len(g) for g in hits.values()])
    )


def features(n, rng, shift):
    labels = rng.integers(0, 3, n)
    return rng.standard_normal((n, 8)) + shift * np.eye(8)[labels], labels


def test_svm_learns_what_is_there_and_nothing_else():
    rng = np.random.default_rng(0)
    train, test = features(300, rng, 4), features(200, rng, 4)
    assert linear_svm(*train, *test, C=1.0)[0] > 90
    noise = features(300, rng, 0)
    assert linear_svm(*noise, *features(200, rng, 0), C=1.0)[0] < 50


def test_pairwise_svm_is_sklearn_s_svc():
    from sklearn.svm import SVC

    rng = np.random.default_rng(0)
    train, test = features(100, rng, 1), features(200, rng, 1)
    expected = SVC(kernel='linear', C=0.0093).fit(*train).score(*test)
    accuracy, C = linear_svm(*train, *test, C=0.0093, pairwise=True)
    assert (accuracy, C) == (pytest.approx(100 * expected), 0.0093)
    assert accuracy != linear_svm(*train, *test, C=0.0093)[0]


def test_svm_chooses_c_on_the_training_split_alone():
    rng = np.random.default_rng(0)
    train, test = features(100, rng, 2), features(100, rng, 2)
    _, C = linear_svm(*train, *test)
    assert C in C_GRID
    assert linear_svm(*train, test[0], test[1][::-1])[1] == C


@pytest.mark.parametrize('k', [1, 4, 10])
def test_knn_is_a_loop_over_votes(k):
    rng = np.random.default_rng(0)
    train, test = features(60, rng, 1), features(40, rng, 1)
    hits = 0
    for x, label in zip(*test):
        cosines = [x @ y / np.linalg.norm(x) / np.linalg.norm(y) for y in train[0]]
        votes = [0, 0, 0]
        for i in sorted(range(60), key=lambda i: -cosines[i])[:k]:
            votes[train[1][i]] += 1
        hits += votes.index(max(votes)) == label
    assert knn_accuracy(*train, *test, k=k) == (pytest.approx(100 * hits / 40), k)
    scale = rng.uniform(0.1, 10, (60, 1))  # invariant to the norm of the features
    assert knn_accuracy(*train, *test) == knn_accuracy(train[0] * scale, train[1], *test)


def test_few_labels_see_no_more_than_they_say():
    rng = np.random.default_rng(0)
    train, test = features(60, rng, 1), features(40, rng, 1)
    one, five, all_of = (
        few_label_accuracy(*train, *test, shots) for shots in (1, 5, np.bincount(train[1]).max())
    )
    assert one[0] < five[0] < all_of[0]
    assert one[1] > 1 and all_of[1] == pytest.approx(0)
    scaled = train[0] * [100.0, *[1.0] * (train[0].shape[1] - 1)]
    scaled_test = test[0] * [100.0, *[1.0] * (test[0].shape[1] - 1)]
    again = few_label_accuracy(scaled, train[1], scaled_test, test[1], 5)
    assert again == pytest.approx(five)
    # all other labels are ignored
    kept = np.concatenate(
        [np.random.default_rng(7).permutation(np.flatnonzero(train[1] == c))[:2] for c in range(3)]
    )
    few = few_label_accuracy(train[0][kept], train[1][kept], *test, 2, draws=3, seed=3)
    assert few[1] == pytest.approx(0)
    for shots in (0, np.bincount(train[1]).max() + 1):
        rejects('labels per class is from 1 to', few_label_accuracy, *train, *test, shots)


def test_knn_chooses_k_on_the_training_split_alone():
    rng = np.random.default_rng(0)
    train, test = features(200, rng, 1), features(100, rng, 1)
    _, k = knn_accuracy(*train, *test)
    assert k in K_GRID[1:]  # The classes overlap, so k = 1 is too small.
    assert knn_accuracy(*train, test[0], test[1][::-1])[1] == k
    few = [part[:12] for part in train]
    assert knn_accuracy(*few, *test)[1] <= 9
