"""Named evaluation protocols on frozen features."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mmkd3d.evaluation.few_shot import few_shot_accuracy
from mmkd3d.evaluation.probes import (
    few_label_accuracy,
    knn_accuracy,
    linear_svm,
    logistic_accuracy,
    retrieval_scores,
)
from mmkd3d.evaluation.published import METHODS

Split = tuple[np.ndarray, np.ndarray]  # features (n, D), labels (n,)


class Result(NamedTuple):
    """One row.

    Attributes:
        key: Short name: ``'svm'``, ``'5-label'``.
        title: Name of the protocol.
        protocol: Name with all settings.
        metrics: In percent; the first one is the main one.
        chosen: Settings that cross-validation chose or that were given.
    """

    key: str
    title: str
    protocol: str
    metrics: dict[str, float]
    chosen: dict[str, float] = {}

    def __str__(self) -> str:
        named = dict(self.metrics)
        shown = []
        if 'accuracy' in named:
            shown = [f'{named.pop("accuracy"):.2f} %']
        if 'deviation' in named:
            shown[0] += f' +- {named.pop("deviation"):.2f}'
        shown += [f'{name} {value:.2f} %' for name, value in named.items()]
        shown += [f'{name}={value:g}' for name, value in self.chosen.items()]
        return f'{self.title}: {", ".join(shown)}'


@dataclass(kw_only=True)
class Probes:
    """Probes to run on the features of a student.

    Args:
        methods: Of ``'svm'``, ``'logistic'``, ``'knn'`` and ``'retrieval'``.
        C: Of the SVM; None: by cross-validation.
        pairwise: See :func:`linear_svm`.
        k: Of k-NN; None: by cross-validation.
        few_labels: Numbers of labels per class.
        few_shot: Pairs of way and shot.
        folds: Episodes of each pair.
        queries: Test shapes per class in an episode.

    Raises:
        ValueError: An unknown method.
    """

    methods: Sequence[str] = ('svm', 'knn')
    C: float | None = None
    pairwise: bool = False
    k: int | None = None
    few_labels: Sequence[int] = ()
    few_shot: Sequence[tuple[int, int]] = ()
    folds: int = 10
    queries: int = 20

    def __post_init__(self):
        unknown = set(self.methods) - set(METHODS)
        if unknown:
            raise ValueError(f'Unknown methods {sorted(unknown)}, there are {METHODS}.')

    def __bool__(self) -> bool:
        """Whether there is any probe."""
        return bool(self.methods or self.few_labels or self.few_shot)

    def fixed(self, train: Split, test: Split) -> Iterator[Result]:
        """Results that need no random choice."""
        for name in METHODS:
            if name in self.methods:
                yield getattr(self, f'_{name}')(train, test)

    def drawn(self, train: Split, test: Split, seed: int) -> Iterator[Result]:
        """Results that depend on randomly chosen labels."""
        for shots in self.few_labels:
            mean, std = few_label_accuracy(*train, *test, shots, seed=seed)
            counts = np.unique(train[1], return_counts=True)[1]
            fewer = int((counts < shots).sum())
            note = f', {fewer} classes have fewer' if fewer else ''
            title = f'{shots} label(s) per class'
            yield Result(
                f'{shots}-label',
                title,
                f'{title}{note}, logistic regression, 10 draws',
                dict(accuracy=mean, deviation=std),
            )
        for way, shot in self.few_shot:
            mean, std = few_shot_accuracy(
                *train, *test, way, shot, folds=self.folds, queries=self.queries, seed=seed
            )
            title = f'{way} way {shot} shot'
            yield Result(
                f'{way}w{shot}s',
                title,
                f'{title}, logistic regression, {self.folds} folds, '
                f'{self.queries} test shapes per class',
                dict(accuracy=mean, deviation=std),
            )

    def _svm(self, train: Split, test: Split) -> Result:
        value, C = linear_svm(*train, *test, C=self.C, pairwise=self.pairwise)
        pairs = ', one against one' if self.pairwise else ''
        return Result(
            'svm',
            'linear SVM',
            f'linear SVM, {setting("C", self.C)}{pairs}',
            dict(accuracy=value),
            dict(C=C),
        )

    def _logistic(self, train: Split, test: Split) -> Result:
        value, C = logistic_accuracy(*train, *test)
        title = 'logistic regression'
        return Result(
            'logistic', title, f'{title}, {setting("C", None)}', dict(accuracy=value), dict(C=C)
        )

    def _knn(self, train: Split, test: Split) -> Result:
        value, k = knn_accuracy(*train, *test, k=self.k)
        title = 'k-NN (cosine)'
        return Result(
            'knn', title, f'{title}, {setting("k", self.k)}', dict(accuracy=value), dict(k=k)
        )

    def _retrieval(self, train: Split, test: Split) -> Result:
        ranks = [k for k in (1, 5, 10) if k < len(test[1])]
        title = 'retrieval (cosine)'
        return Result(
            'retrieval', title, f'{title} among test shapes', retrieval_scores(*test, ranks)
        )


def setting(name: str, value: float | None) -> str:
    """Text for a given or cross-validated value."""
    if value is None:
        return f'{name} by cross-validation'
    return f'{name}={value:g}'
