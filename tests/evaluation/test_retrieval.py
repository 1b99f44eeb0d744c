"""Retrieval metrics against loops."""

import numpy as np
import pytest

from mmkd3d.evaluation.probes import retrieval_scores
from tests.helpers import rejects


def by_loops(features, labels, ranks):
    precisions, hits = [], {k: [] for k in ranks}
    for i, query in enumerate(features):
        others = [j for j in range(len(labels)) if j != i]
        if labels[i] not in labels[others]:
            continue
        cosines = {
            j: query @ features[j] / np.linalg.norm(query) / np.linalg.norm(features[j])
            for j in others
        }
        ranking = sorted(others, key=lambda j: -cosines[j])
        same = [labels[j] == labels[i] for j in ranking]
        at_hits = [sum(same[: r + 1]) / (r + 1) for r, hit in enumerate(same) if hit]
        precisions.append(sum(at_hits) / len(at_hits))
        for k in ranks:
            hits[k].append(any(same[:k]))
    return {'mAP': 100 * np.mean(precisions)} | {
        f'recall@{k}': 100 * np.mean(v) for k, v in hits.items()
    }


@pytest.mark.parametrize('at_once', [1, 7, 512])
def test_scores_are_loops_over_queries(at_once):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, 40)
    labels[3] = 9  # the only sample of its class
    features = rng.standard_normal((40, 6)) + np.eye(10, 6)[labels]
    features *= rng.uniform(0.1, 10, (40, 1))
    found = retrieval_scores(features, labels, (1, 4, 39), at_once=at_once)
    assert found == pytest.approx(by_loops(features, labels, (1, 4, 39)))
    assert found['recall@39'] == 100


def test_a_shape_does_not_find_itself():
    features = np.array([[1.0, 0], [0, 1], [1, 0.1], [0.1, 1]])
    worst = retrieval_scores(features, np.array([0, 0, 1, 1]), (1, 2))
    assert worst['recall@1'] == 0
    best = retrieval_scores(features, np.array([0, 1, 0, 1]), (1, 2))
    assert best == {'mAP': 100, 'recall@1': 100, 'recall@2': 100}


def test_what_can_not_be_asked_is_refused():
    features = np.random.default_rng(0).standard_normal((4, 3))
    for labels, ranks, message in (
        ([0, 0, 0, 0], (1,), '1 classes with 4 shapes'),
        ([0, 1, 2, 3], (1,), '4 classes with 1 shapes at most'),
        ([0, 0, 1, 1], (4,), 'from 1 to 3'),
        ([0, 0, 1, 1], (0,), 'from 1 to 3'),
    ):
        rejects(message, retrieval_scores, features, np.array(labels), ranks)
    features[2] = np.inf
    says = '1 of 4 shapes are NaN or infinite'
    rejects(says, retrieval_scores, features, np.array([0, 0, 1, 1]))
