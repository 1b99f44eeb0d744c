"""Linear SVM on frozen features."""
import numpy as np


def linear_svm(train: np.ndarray,
               train_labels: np.ndarray,
               test: np.ndarray,
               test_labels: np.ndarray,
               C: float = 0.01) -> float:
    """Accuracy, in percent, of a linear SVM (one against the rest).

    scikit-learn's ``LinearSVC`` with its other settings left at default and
    features used as they are: the published protocol (ReCon: C=0.075, I2P-MAE:
    C=0.01).

    Args:
        train: (n, D) features.
        train_labels: (n,).
        test: (m, D) features.
        test_labels: (m,).
        C: Inverse strength of the regularisation.
    """
    from sklearn.svm import LinearSVC
    model = LinearSVC(C=C).fit(train, train_labels)
    return 100 * float(model.score(test, test_labels))
