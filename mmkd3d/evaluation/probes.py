"""Simple classifiers on the features of a frozen student."""
from typing import Optional

import numpy as np
import torch
import torch.nn as nn
from mmengine.dataset import pseudo_collate
from mmengine.utils import track_iter_progress
from torch.utils.data import DataLoader, Dataset

C_GRID = (1e-3, 1e-2, 1e-1, 1., 10., 100.)
K_GRID = (1, 5, 10, 20)


def linear_svm(train: np.ndarray,
               train_labels: np.ndarray,
               test: np.ndarray,
               test_labels: np.ndarray,
               C: Optional[float] = None,
               *,
               pairwise: bool = False) -> tuple[float, float]:
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
    """
    from sklearn.svm import SVC, LinearSVC
    grid = C_GRID if C is None else (C, )
    svm = SVC(kernel='linear') if pairwise else LinearSVC()
    model = best_of(svm, dict(C=grid), train, train_labels)
    return 100 * float(model.score(test, test_labels)), model.C


def knn_accuracy(train: np.ndarray,
                 train_labels: np.ndarray,
                 test: np.ndarray,
                 test_labels: np.ndarray,
                 k: Optional[int] = None) -> tuple[float, int]:
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
    """
    from sklearn.neighbors import KNeighborsClassifier
    # A fold leaves four fifths of the training features to vote.
    most = len(train) * 4 // 5
    grid = [n for n in K_GRID if n <= most] if k is None else (k, )
    model = best_of(
        KNeighborsClassifier(metric='cosine'), dict(n_neighbors=grid), train,
        train_labels)
    return 100 * float(model.score(test, test_labels)), model.n_neighbors


def few_label_accuracy(train: np.ndarray,
                       train_labels: np.ndarray,
                       test: np.ndarray,
                       test_labels: np.ndarray,
                       shots: int,
                       *,
                       draws: int = 10,
                       seed: int = 0) -> tuple[float, float]:
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
        ValueError: Less than one label or two classes.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    classes = np.unique(train_labels)
    if shots < 1 or len(classes) < 2:
        raise ValueError('A few-label probe needs at least one label of two '
                         f'classes, got {shots} of {len(classes)}.')
    rng = np.random.default_rng(seed)
    scores = []
    for _ in range(draws):
        chosen = np.concatenate([
            rng.permutation(np.flatnonzero(train_labels == c))[:shots]
            for c in classes
        ])
        probe = make_pipeline(
            StandardScaler(), LogisticRegression(max_iter=1000))
        probe.fit(train[chosen], train_labels[chosen])
        scores.append(100 * probe.score(test, test_labels))
    return float(np.mean(scores)), float(np.std(scores))


def best_of(model, grid: dict, train: np.ndarray, labels: np.ndarray):
    """Fit the best of several settings by five-fold cross-validation."""
    from sklearn.model_selection import GridSearchCV, KFold
    if len(np.unique(labels)) < 2:
        raise ValueError('A probe needs at least two classes, got '
                         f'{len(np.unique(labels))}.')
    (name, values), = grid.items()
    if len(values) == 1:
        return model.set_params(**{name: values[0]}).fit(train, labels)
    folds = KFold(5, shuffle=True, random_state=0)
    search = GridSearchCV(model, grid, cv=folds).fit(train, labels)
    return search.best_estimator_


@torch.no_grad()
def extract_features(model: nn.Module,
                     dataset: Dataset,
                     *,
                     batch_size: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Global features of a labelled data set, with progress.

    Args:
        model: A pretrainer; its student is put in eval mode.
        dataset: Yields packed samples with ``gt_label``.
        batch_size: Clouds at a time.

    Returns:
        features (n, D) and labels (n,).
    """
    model.eval()
    loader = DataLoader(dataset, batch_size, collate_fn=pseudo_collate)
    features, labels = [], []
    for batch in track_iter_progress((loader, len(loader))):
        data = model.data_preprocessor(batch, training=False)
        features.append(model(**data, mode='tensor').float().cpu())
        labels += [int(s.gt_label) for s in data['data_samples']]
    return torch.cat(features).numpy(), np.array(labels)
