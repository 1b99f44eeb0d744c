"""Few-shot episodes on frozen features."""

from typing import NamedTuple

import numpy as np

from mmkd3d.evaluation.probes import check_splits, fit_few


class Episode(NamedTuple):
    """Indices of the shapes of an episode.

    Attributes:
        train: (way * shot,) into the training split.
        test: (way * queries,) into the test split.
    """

    train: np.ndarray
    test: np.ndarray


def draw_episode(
    train_labels: np.ndarray,
    test_labels: np.ndarray,
    way: int,
    shot: int,
    queries: int,
    rng: np.random.Generator,
) -> Episode:
    """Choose classes, and shapes of each, without replacement.

    Classes with too few shapes are never chosen.

    Args:
        train_labels: (n,).
        test_labels: (m,).
        way: Number of classes.
        shot: Training shapes of each.
        queries: Test shapes of each.
        rng: Draws.

    Raises:
        ValueError: A number below 1 (2 classes), or not enough classes with
            so many shapes.
    """
    if way < 2 or shot < 1 or queries < 1:
        raise ValueError(
            'An episode has two classes at least and one shape at least to '
            f'train and one to test, got {way} way, {shot} shot, '
            f'{queries} queries.'
        )
    splits = ((train_labels, shot), (test_labels, queries))
    fitting = [
        c
        for c in np.union1d(train_labels, test_labels)
        if all((labels == c).sum() >= count for labels, count in splits)
    ]
    if len(fitting) < way:
        raise ValueError(
            f'Expected {way} classes, got {len(fitting)} with at least {shot} '
            f'training and {queries} test shapes. Ask for fewer classes, '
            'shots or queries.'
        )
    chosen = rng.choice(fitting, way, replace=False)
    return Episode(
        *(
            np.concatenate(
                [rng.choice(np.flatnonzero(labels == c), count, replace=False) for c in chosen]
            )
            for labels, count in splits
        )
    )


def few_shot_accuracy(
    train: np.ndarray,
    train_labels: np.ndarray,
    test: np.ndarray,
    test_labels: np.ndarray,
    way: int,
    shot: int,
    *,
    folds: int = 10,
    queries: int = 20,
    seed: int = 0,
) -> tuple[float, float]:
    """Accuracy of a logistic regression in few-shot episodes.

    As the published protocol, WAY classes with SHOT training shapes and 20
    test shapes each, ten times; here on frozen features. Features are
    standardised by those of the training shapes.

    Args:
        train: (n, D) features.
        train_labels: (n,).
        test: (m, D) features.
        test_labels: (m,).
        way: Number of classes in an episode.
        shot: Training shapes of each.
        folds: Number of episodes.
        queries: Test shapes of each class.
        seed: Of the choice, the same for all students; fold i draws from
            ``(seed, i)``, independent of the other folds.

    Returns:
        Accuracy in percent: mean and standard deviation over the folds.

    Raises:
        ValueError: No fold; see also :func:`draw_episode` and
            :func:`check_splits`.
    """
    if folds < 1:
        raise ValueError(f'The number of folds is 1 or more, got {folds}.')
    scores = []
    for fold in range(folds):
        rng = np.random.default_rng((seed, fold))
        chosen = draw_episode(train_labels, test_labels, way, shot, queries, rng)
        episode = (
            train[chosen.train],
            train_labels[chosen.train],
            test[chosen.test],
            test_labels[chosen.test],
        )
        check_splits(*episode)
        probe = fit_few(*episode[:2])
        scores.append(100 * probe.score(*episode[2:]))
    return float(np.mean(scores)), float(np.std(scores))
