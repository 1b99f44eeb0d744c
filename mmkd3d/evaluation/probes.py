"""Linear SVM, logistic regression, k-NN and retrieval on frozen features."""

import warnings
from collections.abc import Sequence

import numpy as np

from mmkd3d.evaluation.features import check_finite

C_GRID = (1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)
K_GRID = (1, 5, 10, 20)


def linear_svm(
    train: np.ndarray,
    train_labels: np.ndarray,
    test: np.ndarray,
    test_labels: np.ndarray,
    C: float | None = None,
    *,
    pairwise: bool = False,
) -> tuple[float, float]:
    """Accuracy of a linear SVM on features as they are.

    The published protocols: scikit-learn's ``LinearSVC`` (ReCon: C=0.075),
    one class against the rest, or its ``SVC(kernel='linear')`` (I2P-MAE:
    C=0.0093 on ModelNet40), one class against another; other settings left at
    default.

    Args:
        train: (n, D) features.
        train_labels: (n,).
        test: (m, D) features.
        test_labels: (m,).
        C: Inverse strength of the regularisation; None chooses it from
            ``C_GRID`` by five-fold cross-validation on the training features.
        pairwise: One class against another.

    Returns:
        Accuracy on the test features in percent, and C.

    Raises:
        ValueError: See :func:`check_splits`.
    """
    from sklearn.svm import SVC, LinearSVC

    check_splits(train, train_labels, test, test_labels)
    grid = C_GRID if C is None else (C,)
    svm = SVC(kernel='linear') if pairwise else LinearSVC(random_state=0)
    model = best_of(svm, dict(C=grid), train, train_labels)
    return 100 * float(model.score(test, test_labels)), model.C


def logistic_accuracy(
    train: np.ndarray,
    train_labels: np.ndarray,
    test: np.ndarray,
    test_labels: np.ndarray,
    C: float | None = None,
) -> tuple[float, float]:
    """Accuracy of a logistic regression on standardised features.

    Args:
        train: (n, D) features.
        train_labels: (n,).
        test: (m, D) features.
        test_labels: (m,).
        C: Inverse strength of the regularisation; None chooses it from
            ``C_GRID`` by five-fold cross-validation on the training features.

    Returns:
        Accuracy on the test features in percent, and C.

    Raises:
        ValueError: See :func:`check_splits`.
    """
    check_splits(train, train_labels, test, test_labels)
    grid = C_GRID if C is None else (C,)
    model = best_of(standardized_logistic(), dict(logisticregression__C=grid), train, train_labels)
    return 100 * float(model.score(test, test_labels)), model[-1].C


def knn_accuracy(
    train: np.ndarray,
    train_labels: np.ndarray,
    test: np.ndarray,
    test_labels: np.ndarray,
    k: int | None = None,
) -> tuple[float, int]:
    """Accuracy of k-NN with the cosine.

    Similarity is the cosine; all votes have the same weight, and a tie goes
    to the smaller label.

    Args:
        train: (n, D) features.
        train_labels: (n,).
        test: (m, D) features.
        test_labels: (m,).
        k: Neighbours that vote; None chooses from ``K_GRID`` by five-fold
            cross-validation on the training features.

    Returns:
        Accuracy on the test features in percent, and k.

    Raises:
        ValueError: k is larger than n; see also :func:`check_splits`.
    """
    from sklearn.neighbors import KNeighborsClassifier

    check_splits(train, train_labels, test, test_labels)
    if k is not None and not 1 <= k <= len(train):
        raise ValueError(f'k is from 1 to the number of training shapes, {len(train)}, got {k}.')
    # A fold leaves four fifths of the training features to vote.
    most = len(train) * 4 // 5
    grid = [n for n in K_GRID if n <= most] if k is None else (k,)
    model = best_of(
        KNeighborsClassifier(metric='cosine'), dict(n_neighbors=grid), train, train_labels
    )
    return 100 * float(model.score(test, test_labels)), model.n_neighbors


def few_label_accuracy(
    train: np.ndarray,
    train_labels: np.ndarray,
    test: np.ndarray,
    test_labels: np.ndarray,
    shots: int,
    *,
    draws: int = 10,
    seed: int = 0,
) -> tuple[float, float]:
    """Accuracy of a logistic regression on a few labels of each class.

    Features are standardised by the labelled ones; scikit-learn's settings
    are left at default.

    Args:
        train: (n, D) features.
        train_labels: (n,).
        test: (m, D) features.
        test_labels: (m,).
        shots: Labels per class; all of a class with fewer.
        draws: Number of random choices of labels.
        seed: Of the choices, the same for all students.

    Returns:
        Accuracy on the test features in percent: mean and standard deviation
        over the draws.

    Raises:
        ValueError: Less than one label, or more than any class has; see also
            :func:`check_splits`.
    """
    check_splits(train, train_labels, test, test_labels)
    classes, counts = np.unique(train_labels, return_counts=True)
    if not 1 <= shots <= counts.max():
        raise ValueError(
            f'The number of labels per class is from 1 to {counts.max()}, '
            f'the training shapes of the largest class; got {shots}.'
        )
    rng = np.random.default_rng(seed)
    scores = []
    for _ in range(draws):
        chosen = np.concatenate(
            [rng.permutation(np.flatnonzero(train_labels == c))[:shots] for c in classes]
        )
        probe = fit_few(train[chosen], train_labels[chosen])
        scores.append(100 * probe.score(test, test_labels))
    return float(np.mean(scores)), float(np.std(scores))


def fit_few(train: np.ndarray, labels: np.ndarray):
    """Logistic regression on few samples, (n, D) and (n,)."""
    with warnings.catch_warnings():
        # many classes with few samples are intended here
        warnings.filterwarnings('ignore', 'The number of unique classes')
        return standardized_logistic().fit(train, labels)


def standardized_logistic():
    """Logistic regression on standardised features."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


def best_of(model, grid: dict, train: np.ndarray, labels: np.ndarray):
    """Fit with the best of several settings, by five-fold cross-validation."""
    from sklearn.model_selection import GridSearchCV, KFold

    ((name, values),) = grid.items()
    if len(values) == 1:
        return model.set_params(**{name: values[0]}).fit(train, labels)
    if len(train) < 5:
        raise ValueError(
            'Five-fold cross-validation needs five training '
            f'shapes, got {len(train)}: give C and k.'
        )
    folds = KFold(5, shuffle=True, random_state=0)
    search = GridSearchCV(model, grid, cv=folds).fit(train, labels)
    return search.best_estimator_


def check_splits(
    train: np.ndarray, train_labels: np.ndarray, test: np.ndarray, test_labels: np.ndarray
) -> None:
    """Refuse features on which no probe can be meaningful.

    Args:
        train: (n, D) features.
        train_labels: (n,).
        test: (m, D) features.
        test_labels: (m,).

    Raises:
        ValueError: NaN or infinite features, fewer than two classes, fewer
            training shapes than classes, or a class of the test without any.
    """
    check_finite(train)
    check_finite(test)
    known, wanted = np.unique(train_labels), np.unique(test_labels)
    classes = np.union1d(known, wanted)
    if len(known) < 2:
        raise ValueError(
            f'A probe needs training shapes of at least two classes, got {len(known)}.'
        )
    if len(train) < len(classes):
        raise ValueError(
            f'A probe needs a training shape of each of the {len(classes)} '
            f'classes, got {len(train)} shapes.'
        )
    unknown = np.setdiff1d(wanted, known)
    if len(unknown):
        raise ValueError(
            f'{len(unknown)} of {len(wanted)} test classes have no training '
            f'shape (labels {unknown[:8].tolist()}): no probe could be right '
            'there. Keep only the classes of both splits (--classes '
            'in_both_splits).'
        )


def retrieval_scores(
    features: np.ndarray,
    labels: np.ndarray,
    ranks: Sequence[int] = (1, 5, 10),
    *,
    at_once: int = 512,
) -> dict[str, float]:
    """Retrieve shapes of the same class by the cosine of features.

    Every shape is a query once, with all others as the gallery, as usual in
    shape retrieval. A shape that is alone in its class is no query; it stays
    in the gallery of the others.

    Args:
        features: (n, D).
        labels: (n,).
        ranks: Values of k.
        at_once: Queries per matrix product.

    Returns:
        In percent: ``mAP``, the mean over the queries of the average
        precision over the whole gallery, and ``recall@k``, the share of
        queries with a shape of their class among the k most similar ones
        (k = 1: top-1).

    Raises:
        ValueError: NaN or infinite features, fewer than two classes, no
            class with two shapes, or a k larger than the gallery.
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
    queries = np.flatnonzero(np.isin(labels, classes[counts > 1]))
    precision, hits = [], []
    for start in range(0, len(queries), at_once):
        rows = queries[start : start + at_once]
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
