"""Named probe protocols, and splits that no probe can evaluate."""

import numpy as np
import pytest
from mmengine.config import Config
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC, LinearSVC

from mmkd3d.apis.config_files import config_root
from mmkd3d.evaluation.probes import (
    C_GRID,
    few_label_accuracy,
    knn_accuracy,
    linear_svm,
    logistic_accuracy,
)
from mmkd3d.evaluation.protocols import Probes
from mmkd3d.evaluation.published import METHODS, PUBLISHED
from mmkd3d.evaluation.splits import config_splits
from tests.helpers import rejects


@pytest.fixture
def splits():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    means = np.eye(8)[labels]
    return [(rng.standard_normal((60, 8)) + 2 * means, labels) for _ in range(2)]


@pytest.mark.parametrize('name', PUBLISHED)
def test_published_protocols_are_sklearn_s(splits, name):
    found = PUBLISHED[name]
    (result,) = Probes(methods=('svm',), C=found.C, pairwise=found.pairwise).fixed(*splits)
    svm = LinearSVC(C=0.075, random_state=0)
    if name.startswith(('i2p', 'point-m2ae')):
        svm = SVC(kernel='linear', C=found.C)
    expected = 100 * svm.fit(*splits[0]).score(*splits[1])
    assert result.metrics == {'accuracy': pytest.approx(expected)}
    assert result.chosen == {'C': found.C}
    assert f'C={found.C:g}' in result.protocol
    data = config_root() / f'_base_/datasets/{found.data}.py'
    both = config_splits(data)
    assert [both[h]['split'] for h in ('train', 'test')] == ['train', 'test']
    assert both['train']['pipeline'] == both['test']['pipeline']


def test_probes_do_what_they_are_told(splits):
    probes = Probes(
        methods=METHODS, C=1.0, k=5, few_labels=(1, 20), few_shot=[(2, 3)], queries=4, folds=2
    )
    rows = {r.key: r for r in probes.fixed(*splits)}
    assert rows['svm'].metrics['accuracy'] == linear_svm(*splits[0], *splits[1], C=1.0)[0]
    assert rows['knn'].metrics['accuracy'] == knn_accuracy(*splits[0], *splits[1], k=5)[0]
    assert str(rows['retrieval']).startswith('retrieval (cosine): mAP ')
    drawn = [list(probes.drawn(*splits, seed)) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert [r.key for r in drawn[0]] == ['1-label', '20-label', '2w3s']
    assert drawn[0][0].metrics['deviation'] > 0
    assert drawn[0][1].metrics['deviation'] == pytest.approx(0)  # every draw uses all samples
    assert ' %' in str(drawn[0][0]) and ' +- ' in str(drawn[0][0])
    rejects(r"\['forest'\]", Probes, methods=('forest',))
    (train, labels), test = splits
    some = np.r_[0, 1, 3:60]  # one class has only 19 samples
    few = Probes(few_labels=(19, 20)).drawn((train[some], labels[some]), test, 0)
    assert ['1 classes have fewer' in r.protocol for r in few] == [False, True]


def test_logistic_regression_is_that_of_standardised_features(splits):
    (train, labels), (test, test_labels) = splits
    mean, std = train.mean(0), train.std(0)
    probe = LogisticRegression(C=0.1, max_iter=1000).fit((train - mean) / std, labels)
    expected = probe.score((test - mean) / std, test_labels)
    found = logistic_accuracy(train, labels, test, test_labels, 0.1)
    assert found == (pytest.approx(100 * expected), 0.1)
    chosen = logistic_accuracy(train, labels, test, test_labels)[1]
    assert chosen in C_GRID
    scale = 10.0 ** np.arange(8)
    assert logistic_accuracy(train * scale, labels, test * scale, test_labels)[1] == chosen
    assert logistic_accuracy(train, labels, test, test_labels[::-1])[1] == chosen


@pytest.mark.filterwarnings('ignore:invalid value')
def test_broken_splits_are_refused(splits):
    (train, labels), (test, asked) = splits
    broken, other = train.copy(), asked.copy()
    broken[3, 2], other[7] = np.nan, 12
    few_label = lambda *splits: few_label_accuracy(*splits, 1)
    for probe in (linear_svm, logistic_accuracy, knn_accuracy, few_label):
        for given, message in (
            ((train, 0 * labels, test, asked), 'at least two classes, got 1'),
            ((train[:2], labels[:2], test, asked), 'each of the 3 classes, got 2 shapes'),
            ((train, labels, test, other), r'1 of 4 test classes .* \(labels \[12\]\)'),
            ((broken, labels, test, asked), '1 of 60 shapes are NaN'),
            ((train, labels, test * np.inf, asked), '60 of 60 shapes are NaN'),
        ):
            rejects(message, probe, *given)
    for k in (0, 61):
        says = f'training shapes, 60, got {k}'
        rejects(says, knn_accuracy, train, labels, test, asked, k=k)
    four = train[:4], labels[:4], test, asked
    rejects('needs five training shapes, got 4', linear_svm, *four)
    assert linear_svm(*four, C=1.0)[1] == 1


def test_splits_of_a_config_with_a_split_value(tmp_path):
    file = tmp_path / 'data.py'
    file.write_text(
        'test_dataloader = dict(dataset=dict(type="NpzPoints", split="is_test", split_value=True))'
    )
    both = config_splits(file)
    assert [both[h]['split_value'] for h in ('train', 'test')] == [False, True]
    psb = Config.fromfile(config_root() / '_base_/datasets/psb_21.py')
    assert psb.test_dataloader.dataset.split_value is True
