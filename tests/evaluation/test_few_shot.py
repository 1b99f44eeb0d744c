"""Drawing few-shot episodes."""

import numpy as np
import pytest

from mmkd3d.evaluation.few_shot import draw_episode, few_shot_accuracy
from mmkd3d.evaluation.probes import standardized_logistic
from tests.helpers import rejects


@pytest.fixture
def splits():
    rng = np.random.default_rng(0)
    train, test = np.repeat(range(6), 8), np.repeat(range(6), 12)
    rng.shuffle(train)
    rng.shuffle(test)
    feats = [rng.standard_normal((len(x), 6)) + 2 * np.eye(6)[x] for x in (train, test)]
    return feats[0], train, feats[1], test


def test_an_episode_has_so_many_of_so_many(splits):
    _, train, _, test = splits
    drawn = set()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        episode = draw_episode(train, test, 3, 4, 5, rng)
        assert len(set(episode.train)) == 12 and len(set(episode.test)) == 15
        classes, counts = np.unique(train[episode.train], return_counts=True)
        assert len(classes) == 3 and set(counts) == {4}
        found, counts = np.unique(test[episode.test], return_counts=True)
        assert found.tolist() == classes.tolist() and set(counts) == {5}
        drawn |= set(episode.train.tolist())
    assert len(drawn) == 48  # every eligible shape is drawn


def test_classes_with_too_few_shapes_are_not_drawn():
    train, test = np.repeat([0, 1, 2, 3], [9, 2, 9, 9]), np.repeat([0, 1, 2, 3, 4], [9, 9, 9, 2, 9])
    for seed in range(20):
        episode = draw_episode(train, test, 2, 5, 5, np.random.default_rng(seed))
        assert set(train[episode.train]) == {0, 2}
    says = 'Expected 3 classes, got 2 with at least 5 training and 5 test shapes'
    rejects(says, draw_episode, train, test, 3, 5, 5, np.random.default_rng(0))


def test_episodes_that_can_not_be_are_refused(splits):
    for way, shot, queries, message in (
        (1, 1, 1, 'got 1 way'),
        (2, 0, 1, '0 shot'),
        (2, 1, 0, '0 queries'),
        (7, 1, 1, 'Expected 7 classes, got 6'),
        (2, 9, 1, 'Expected 2 classes, got 0 with at least 9 training'),
        (2, 1, 13, 'got 0 with at least 1 training and 13 test'),
    ):
        rejects(message, few_shot_accuracy, *splits, way, shot, queries=queries)
    rejects('1 or more, got 0', few_shot_accuracy, *splits, 2, 1, queries=1, folds=0)


def test_folds_are_a_loop_over_episodes(splits):
    train, train_labels, test, test_labels = splits
    scores = []
    for fold in range(4):
        rng = np.random.default_rng((5, fold))
        few, asked = draw_episode(train_labels, test_labels, 3, 2, 6, rng)
        probe = standardized_logistic().fit(train[few], train_labels[few])
        hits = [probe.predict(test[i][None])[0] == test_labels[i] for i in asked]
        scores.append(100 * sum(hits) / 18)
    found = few_shot_accuracy(*splits, 3, 2, folds=4, queries=6, seed=5)
    assert found == (pytest.approx(np.mean(scores)), pytest.approx(np.std(scores)))
    assert 100 / 3 < found[0] and found[1] > 0
    other = few_shot_accuracy(*splits, 3, 2, folds=4, queries=6, seed=6)
    assert other != found


def test_shapes_outside_the_episode_do_not_matter(splits):
    train, train_labels, test, test_labels = splits
    few, asked = draw_episode(train_labels, test_labels, 3, 2, 6, np.random.default_rng((0, 0)))
    expected = few_shot_accuracy(*splits, 3, 2, folds=1, queries=6)
    train, test = train.copy(), test.copy()
    train[np.setdiff1d(range(48), few)] = 1e6
    test[np.setdiff1d(range(72), asked)] = 1e6
    changed = train, train_labels, test, test_labels
    assert few_shot_accuracy(*changed, 3, 2, folds=1, queries=6) == expected
