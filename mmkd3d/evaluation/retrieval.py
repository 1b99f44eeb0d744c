"""Shapes that are found by a shape."""

from collections.abc import Sequence

import numpy as np

from mmkd3d.evaluation.features import check_finite


def retrieval_scores(
    features: np.ndarray,
    labels: np.ndarray,
    ranks: Sequence[int] = (1, 5, 10),
    *,
    at_once: int = 512,
) -> dict[str, float]:
    """How well the cosine of features finds shapes of the same class.

    Every shape asks once, and the others are the gallery, as usual in shape
    retrieval. A shape that is the only one of its class asks for nothing; it
    stays in the gallery of the others.

    Args:
        features: (n, D).
        labels: (n,).
        ranks: Values of k.
        at_once: Number of shapes that ask at a time.

    Returns:
        In percent: ``mAP``, the mean over the shapes of their average
        precision over the whole gallery, and ``recall@k``: how often one of
        the k most similar shapes, at least, is of the same class (k = 1:
        top-1).

    Raises:
        ValueError: NaN or infinite features, fewer than two classes, no
            class with two shapes, or a k that the gallery does not have.
    """
    check_finite(features)
    n = len(features)
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) < 2 or counts.max() < 2:
        raise ValueError(
            'Retrieval needs two classes and two shapes of one, got '
            f'{len(classes)} classes with {counts.max()} shapes at most.'
        )
    if not all(1 <= k < n for k in ranks):
        raise ValueError(
            f'k of recall@k is from 1 to {n - 1}, the shapes in the gallery; got {tuple(ranks)}.'
        )
    length = np.linalg.norm(features, axis=1, keepdims=True)
    unit = features / np.maximum(length, 1e-12)
    asking = np.flatnonzero(np.isin(labels, classes[counts > 1]))
    precision, hits = [], []
    for start in range(0, len(asking), at_once):
        rows = asking[start : start + at_once]
        cosines = unit[rows] @ unit.T
        cosines[np.arange(len(rows)), rows] = -np.inf  # ranked last, dropped
        order = np.argsort(-cosines, axis=1, kind='stable')[:, :-1]
        same = labels[order] == labels[rows, None]
        found = same.cumsum(1)
        share = found / np.arange(1, n)
        precision.append((share * same).sum(1) / found[:, -1])
        hits.append(found[:, [k - 1 for k in ranks]] > 0)
    recall = np.concatenate(hits).mean(0)
    return dict(
        mAP=100 * float(np.concatenate(precision).mean()),
        **{f'recall@{k}': 100 * float(r) for k, r in zip(ranks, recall)},
    )
