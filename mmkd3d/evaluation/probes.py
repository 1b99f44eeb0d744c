"""Simple classifiers on the features of a frozen student."""

import warnings

import numpy as np

from mmkd3d.evaluation.features import (
    check_finite,
    extract_features,  # noqa: F401
)

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
        ValueError: See :func:`check_halves`.
    """
    from sklearn.svm import SVC, LinearSVC

    check_halves(train, train_labels, test, test_labels)
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
        ValueError: See :func:`check_halves`.
    """
    check_halves(train, train_labels, test, test_labels)
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
    """Accuracy of a vote of the k most similar training features.

    Similar is what has a large cosine; every vote counts the same, and a tie
    goes to the smaller label.

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
        ValueError: k is larger than n; see also :func:`check_halves`.
    """
    from sklearn.neighbors import KNeighborsClassifier

    check_halves(train, train_labels, test, test_labels)
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
    """Accuracy of a logistic regression that sees a few labels of each class.

    Features are standardised by the chosen ones, so that their scale does not
    matter; scikit-learn's settings are left at default.

    Args:
        train: (n, D) features.
        train_labels: (n,).
        test: (m, D) features.
        test_labels: (m,).
        shots: Labels per class; a class with fewer gives all it has.
        draws: How often they are chosen.
        seed: Of the choice, the same for all students.

    Returns:
        Accuracy on the test features in percent: mean and standard deviation
        over the draws.

    Raises:
        ValueError: Less than one label, or more than any class has; see also
            :func:`check_halves`.
    """
    check_halves(train, train_labels, test, test_labels)
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
        # that there are many classes for so few samples is meant
        warnings.filterwarnings('ignore', 'The number of unique classes')
        return standardized_logistic().fit(train, labels)


def standardized_logistic():
    """Logistic regression for which the scale of features does not matter."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


def best_of(model, grid: dict, train: np.ndarray, labels: np.ndarray):
    """Fit the best of several settings by five-fold cross-validation."""
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


def check_halves(
    train: np.ndarray, train_labels: np.ndarray, test: np.ndarray, test_labels: np.ndarray
) -> None:
    """Refuse halves of which no probe can say anything.

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
            'there. Keep the classes of both halves only (--classes '
            'in_both_splits).'
        )
