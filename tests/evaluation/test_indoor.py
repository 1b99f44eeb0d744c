"""AP of indoor detection, including classes without objects."""

import importlib

import numpy as np
import pytest
import torch

from mmkd3d.registry import METRICS
from tests.helpers import rejects

evaluation = pytest.importorskip('mmdet3d.evaluation')
old_numpy = pytest.mark.skipif(
    np.lib.NumpyVersion(np.__version__) >= '2.4.0',
    reason='indoor_eval of mmdet3d 1.4 fails with numpy 2.4',
)


def rooms_with(classes_of_detections):
    """Two rooms with a detected chair (2) and sofa (3), plus extra detections."""
    from mmdet3d.structures import DepthInstance3DBoxes

    box = torch.tensor([[0.0, 0, 0, 1, 1, 1, 0], [3, 0, 0, 2, 2, 2, 0]])
    results = []
    for room in range(2):
        labels = [2, 3] + list(classes_of_detections)
        boxes = torch.cat([box, box[:1].repeat(len(labels) - 2, 1)])
        truth = dict(gt_bboxes_3d=DepthInstance3DBoxes(box), gt_labels_3d=[2, 3])
        scores = torch.linspace(0.9 - room / 10, 0.3, len(labels))
        found = dict(scores_3d=scores, labels_3d=torch.tensor(labels))
        results.append((truth, dict(found, bboxes_3d=DepthInstance3DBoxes(boxes))))
    return results


def scores(metric, extra):
    metric.dataset_meta = dict(classes=tuple('abcdef'))
    return metric.compute_metrics(rooms_with(extra))


def ours(**kwargs):
    return METRICS.build(dict(type='mmkd3d.IndoorMetric', **kwargs))


@old_numpy
def test_where_all_classes_have_objects_it_is_the_stock_metric():
    for extra in ([], [2, 2], [3]):
        expected = scores(evaluation.IndoorMetric(), extra)
        for absent in ('skip', 'zero'):
            assert scores(ours(absent=absent), extra) == expected
    assert np.isnan(scores(evaluation.IndoorMetric(), [5])['mAP_0.25'])  # an absent class


def test_classes_without_objects_are_skipped_or_count_zero():
    skipped, zero = (scores(ours(absent=x), [5]) for x in ('skip', 'zero'))
    assert skipped['mAP_0.25'] == skipped['mAR_0.50'] == 1
    assert not any(name.startswith('f_') for name in skipped)
    assert zero['f_AP_0.25'] == zero['f_rec_0.50'] == 0
    assert zero['mAP_0.25'] == pytest.approx(2 / 3)
    assert zero['mAR_0.50'] == pytest.approx(2 / 3)
    rejects('skip, zero, got .nan.', ours, absent='nan')
    metric = ours()
    metric.dataset_meta = dict(classes=tuple('abcdef'))
    empty = [  # rooms without any object
        (dict(gt_bboxes_3d=truth['gt_bboxes_3d'][:0], gt_labels_3d=[]), found)
        for truth, found in rooms_with([5])
    ]
    assert metric.compute_metrics(empty)['mAP_0.25'] == 0


def test_the_printed_table_has_the_same_means(monkeypatch):
    module = importlib.import_module('mmdet3d.evaluation.functional.indoor_eval')
    printed = []
    monkeypatch.setattr(module, 'print_log', lambda text, **kwargs: printed.append(text))
    scores(ours(), [5])
    rows = [line.split('|')[1:-1] for line in printed[0].split('\n') if '|' in line]
    assert [cell.strip() for cell in rows[-1]] == ['Overall'] + ['1.0000'] * 4
    assert {row[0].strip() for row in rows[1:-1]} == {'c', 'd'}


def test_metric_stands_the_floats_of_newer_numpy(monkeypatch):
    """numpy 2.4 only converts 0-dimensional arrays to float."""
    module = importlib.import_module('mmdet3d.evaluation.functional.indoor_eval')
    expected = scores(ours(), [5])

    def strict(x):
        if isinstance(x, np.ndarray) and x.ndim and (type(x).__float__ is np.ndarray.__float__):
            raise TypeError('only 0-dimensional arrays can be converted')
        return float(x)

    monkeypatch.setattr(module, 'float', strict, raising=False)
    with pytest.raises(TypeError, match='0-dimensional'):
        scores(evaluation.IndoorMetric(), [2])
    assert scores(ours(), [5]) == expected
