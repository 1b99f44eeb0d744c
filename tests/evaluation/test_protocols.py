"""Named protocols, and splits of which no probe can say anything."""

import numpy as np
import pytest
from mmengine.config import Config
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC, LinearSVC

from mmkd3d.apis.load import config_root
from mmkd3d.evaluation.probes import (
    C_GRID,
    few_label_accuracy,
    knn_accuracy,
    linear_svm,
    logistic_accuracy,
)
from mmkd3d.evaluation.protocols import METHODS, PUBLISHED, Probes
from mmkd3d.evaluation.splits import config_splits


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
    svm = (
        SVC(kernel='linear', C=found.C)
        if name.startswith(('i2p', 'point-m2ae'))
        else LinearSVC(C=0.075, random_state=0)
    )
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
    assert drawn[0][1].metrics['deviation'] == pytest.approx(0)  # all of them
    assert ' %' in str(drawn[0][0]) and ' +- ' in str(drawn[0][0])
    with pytest.raises(ValueError, match=r"\['forest'\]"):
        Probes(methods=('forest',))


def test_a_protocol_says_which_classes_have_fewer_labels(splits):
    (train, labels), test = splits
    some = np.r_[0, 1, 3:60]  # one class has 19
    few = Probes(few_labels=(19, 20)).drawn((train[some], labels[some]), test, 0)
    assert ['1 classes have fewer' in r.protocol for r in few] == [False, True]


def test_logistic_regression_is_that_of_standardised_features(splits):
    (train, labels), (test, test_labels) = splits
    mean, std = train.mean(0), train.std(0)
    expected = (
        LogisticRegression(C=0.1, max_iter=1000)
        .fit((train - mean) / std, labels)
        .score((test - mean) / std, test_labels)
    )
    found = logistic_accuracy(train, labels, test, test_labels, 0.1)
    assert found == (pytest.approx(100 * expected), 0.1)
    chosen = logistic_accuracy(train, labels, test, test_labels)[1]
    assert chosen in C_GRID
    scale = 10.0 ** np.arange(8)
    assert logistic_accuracy(train * scale, labels, test * scale, test_labels)[1] == chosen
    assert logistic_accuracy(train, labels, test, test_labels[::-1])[1] == chosen


def one_class(train, labels, test, test_labels):
    return train, 0 * labels, test, test_labels


def few_samples(train, labels, test, test_labels):
    return train[:2], labels[:2], test, test_labels


def unknown_class(train, labels, test, test_labels):
    test_labels = test_labels.copy()
    test_labels[7] = 12
    return train, labels, test, test_labels


def broken_train(train, labels, test, test_labels):
    train = train.copy()
    train[3, 2] = np.nan
    return train, labels, test, test_labels


def broken_test(train, labels, test, test_labels):
    return train, labels, test * np.inf, test_labels


def few_label(*splits):
    return few_label_accuracy(*splits, 1)


@pytest.mark.parametrize('probe', [linear_svm, logistic_accuracy, knn_accuracy, few_label])
@pytest.mark.parametrize(
    'change, message',
    [
        (one_class, 'at least two classes, got 1'),
        (few_samples, 'each of the 3 classes, got 2 shapes'),
        (unknown_class, r'1 of 4 test classes .* \(labels \[12\]\)'),
        (broken_train, '1 of 60 shapes are NaN'),
        (broken_test, '60 of 60 shapes are NaN'),
    ],
)
@pytest.mark.filterwarnings('ignore:invalid value')
def test_broken_splits_are_refused(splits, probe, change, message):
    with pytest.raises(ValueError, match=message):
        probe(*change(*splits[0], *splits[1]))


@pytest.mark.parametrize('k', [0, 61])
def test_neighbours_that_are_not_there_are_refused(splits, k):
    with pytest.raises(ValueError, match=f'training shapes, 60, got {k}'):
        knn_accuracy(*splits[0], *splits[1], k=k)


def test_cross_validation_needs_five_shapes(splits):
    four = [part[:4] for part in splits[0]]
    with pytest.raises(ValueError, match='needs five training shapes, got 4'):
        linear_svm(*four, *splits[1])
    assert linear_svm(*four, *splits[1], C=1.0)[1] == 1


def test_splits_of_a_config_with_a_split_value(tmp_path):
    file = tmp_path / 'data.py'
    file.write_text(
        'test_dataloader = dict(dataset=dict(type="NpzPoints", split="is_test", split_value=True))'
    )
    both = config_splits(file)
    assert [both[h]['split_value'] for h in ('train', 'test')] == [False, True]
    psb = Config.fromfile(config_root() / '_base_/datasets/psb_21.py')
    assert psb.test_dataloader.dataset.split_value is True
