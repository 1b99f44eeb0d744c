"""Reconstruction metrics of ACT's autoencoder against loops over points."""

import numpy as np
import pytest
import torch
from mmengine.structures import BaseDataElement

from mmkd3d.evaluation.reconstruction import Reconstruction, f_score


def nearest(a, b):
    """Distance from each point of ``a`` (N, 3) to its nearest neighbour in ``b``."""
    return [min(float((p - q).norm()) for q in b) for p in a]


def loop_f_score(pred, target, threshold):
    precision, recall = (
        sum(d < threshold for d in nearest(a, b)) / len(a)
        for a, b in ((pred, target), (target, pred))
    )
    if precision + recall == 0:
        return 0.0
    return 2 * precision * recall / (precision + recall)


def loop_distances(pred, target):
    forth, back = np.array(nearest(pred, target)), nearest(target, pred)
    back = np.array(back)
    return dict(
        cdl1=1000 * (forth.mean() + back.mean()) / 2,
        cdl2=1000 * ((forth**2).mean() + (back**2).mean()),
    )


def clouds(seed, N=30, M=20):
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(N, 3, generator=generator), torch.rand(M, 3, generator=generator))


@pytest.mark.parametrize('threshold', [0.05, 0.2, 0.3, 2.0])
def test_f_score_is_a_loop_over_points(threshold):
    batch = [clouds(seed) for seed in range(3)]
    got = f_score(*(torch.stack(c) for c in zip(*batch)), threshold)
    assert got.tolist() == pytest.approx([loop_f_score(*pair, threshold) for pair in batch])


def test_f_score_and_metrics_of_the_same_and_of_a_far_cloud():
    target, _ = clouds(0)
    cloud = target[None]
    assert f_score(cloud, cloud.flip(1)) == 1
    assert f_score(cloud, cloud + 5) == 0
    assert f_score(cloud[:, :15], cloud) == pytest.approx(2 / 3)
    # the threshold is exclusive
    a, b = torch.zeros(1, 1, 3), torch.tensor([[[0.25, 0.0, 0.0]]])
    assert f_score(a, b, 0.25) == 0 and f_score(a, b, 0.2501) == 1
    got = evaluate([('chair', target, target.flip(0), target)])
    assert got['cdl1'] == got['cdl2'] == got['cdl1_coarse'] == 0
    assert got['f_score'] == 1


def evaluate(rows, coarse=True, **kwargs):
    """Metrics of rows (category, target, pred, coarse), in batches of two."""
    metric = Reconstruction(**kwargs)
    for start in range(0, len(rows), 2):
        samples, outputs = [], []
        for category, target, pred, rough in rows[start : start + 2]:
            meta = {} if category is None else dict(category=category)
            samples.append(BaseDataElement(metainfo=meta))
            outputs.append(dict(input=target, pred=pred, **(dict(coarse=rough) if coarse else {})))
        metric.process(dict(data_samples=samples), outputs)
    return metric.compute_metrics(metric.results)


def shapes(categories):
    rows = []
    for i, category in enumerate(categories):
        target, pred = clouds(i)
        rows.append((category, target, pred, pred[:7] + 0.1 * i))
    return rows


def test_means_are_over_the_shapes_of_a_category_then_over_categories():
    rows = shapes(['chair', 'lamp', 'chair', 'chair', 'sofa'])
    got = evaluate(rows, threshold=0.2)
    single = [
        dict(loop_distances(pred, target), f_score=loop_f_score(pred, target, 0.2))
        for _, target, pred, _ in rows
    ]
    for name in ('cdl1', 'cdl2', 'f_score'):
        values = [row[name] for row in single]
        of = [np.mean([values[i] for i in members]) for members in ([0, 2, 3], [1], [4])]
        assert got[name] == pytest.approx(np.mean(of), rel=1e-4)
        assert got[f'{name}_all'] == pytest.approx(np.mean(values), rel=1e-4)
        assert abs(got[name] - got[f'{name}_all']) > 1e-3
    for name in ('cdl1', 'cdl2'):
        coarse = [loop_distances(c, target)[name] for _, target, _, c in rows]
        assert got[f'{name}_coarse'] == pytest.approx(np.mean(coarse), rel=1e-4)
    names = 'cdl1 cdl2 f_score cdl1_all cdl2_all f_score_all cdl1_coarse cdl2_coarse'
    assert set(got) == set(names.split())
    assert got == pytest.approx(evaluate(rows[::-1], threshold=0.2))


@pytest.mark.parametrize('category', ['chair', None, 3])
def test_one_or_no_category_is_the_mean_over_all(category):
    got = evaluate(shapes([category] * 3), coarse=False)
    assert got['cdl1'] == pytest.approx(got['cdl1_all'])
    assert not [name for name in got if name.endswith('coarse')]
