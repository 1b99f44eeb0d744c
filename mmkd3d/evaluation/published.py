"""Settings of probes that have a name."""

from typing import NamedTuple

METHODS = ('svm', 'logistic', 'knn', 'retrieval')
POOLINGS = ('global', 'max', 'mean', 'max-mean')


class Published(NamedTuple):
    """The linear SVM of a paper; features are pooled as its student does.

    Attributes:
        data: Name of the config of the data in ``configs/_base_/datasets``.
        C: Of the SVM.
        pairwise: One class against another, not against the rest.
    """

    data: str
    C: float
    pairwise: bool


# ReCon, section 7: max of the global tokens beside max + mean of the local
# ones. I2P-MAE and Point-M2AE, section 11: max of the top level.
PUBLISHED = {
    'recon-modelnet40': Published('modelnet40', 0.075, False),
    'i2p-mae-modelnet40': Published('modelnet40_svm', 0.0093, True),
    'i2p-mae-scanobjectnn': Published('scanobjectnn_svm', 0.018, True),
    'point-m2ae-modelnet40': Published('modelnet40_svm', 0.012, True),
    'point-m2ae-scanobjectnn': Published('scanobjectnn_svm', 0.042, True),
}
