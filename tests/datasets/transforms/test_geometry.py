import itertools
from collections import Counter

import numpy as np
import pytest

from mmkd3d.registry import TRANSFORMS
from tests.helpers import rejects

rng = np.random.default_rng(0)


def item(n=40, channels=6):
    points = rng.normal(3, 2, (n, channels)).astype(np.float32)
    return dict(points=points, gt_parts=np.arange(n), sample_id='it')


def run(results, **cfg):
    return TRANSFORMS.build(cfg)(results)


@pytest.mark.parametrize('method', ['random', 'fps', 'first'])
@pytest.mark.parametrize('num_points', [1, 16, 40, 100])
def test_sampling_keeps_points_and_parts_together(method, num_points):
    before = item()
    after = run(dict(before), type='SamplePoints', num_points=num_points, method=method)
    assert after['points'].shape == (num_points, 6)
    assert (after['points'] == before['points'][after['gt_parts']]).all()
    distinct = len(np.unique(after['gt_parts']))
    assert distinct == min(num_points, 40)


def test_first_and_fps_are_deterministic_and_fps_matches_a_loop():
    before = item()
    for method in ('first', 'fps'):
        cfg = dict(type='SamplePoints', num_points=9, method=method)
        one, two = (run(dict(before), **cfg)['gt_parts'] for _ in range(2))
        assert (one == two).all() and one[0] == 0
    xyz, chosen = before['points'][:, :3], [0]
    for _ in range(8):
        dist = ((xyz[:, None] - xyz[chosen]) ** 2).sum(-1).min(1)
        chosen.append(int(dist.argmax()))
    assert one.tolist() == chosen
    after = run(item(1000), type='SamplePoints', num_points=1000, replace=True)
    assert len(np.unique(after['gt_parts'])) < 800


def draws(times, n, **cfg):
    """Indices (times, num_points) of points drawn from n, method 'random'."""
    np.random.seed(0)
    sample = TRANSFORMS.build(dict(type='SamplePoints', **cfg))
    cloud = dict(points=np.zeros((n, 3), np.float32), gt_parts=np.arange(n))
    return np.stack([sample(dict(cloud))['gt_parts'] for _ in range(times)])


@pytest.mark.parametrize(
    'n, num_points, replace, expected',
    [
        (5, 3, False, itertools.permutations(range(5), 3)),
        (4, 3, True, itertools.product(range(4), repeat=3)),
        (3, 3, True, itertools.product(range(3), repeat=3)),
        (2, 4, True, itertools.product(range(2), repeat=4)),
        # all of the cloud, then any
        (4, 4, False, [(0, 1, 2, 3)]),
        (3, 5, False, ((0, 1, 2, *more) for more in itertools.product(range(3), repeat=2))),
    ],
)
def test_random_draws_are_equally_likely(n, num_points, replace, expected):
    expected = set(expected)
    found = draws(100 * len(expected), n, num_points=num_points, replace=replace)
    counts = Counter(map(tuple, found.tolist()))
    assert counts.keys() <= expected
    # Pearson's test, whose mean is the number of degrees of freedom
    chi2 = sum((counts[drawn] - 100) ** 2 / 100 for drawn in expected)
    freedom = len(expected) - 1
    assert abs(chi2 - freedom) <= 4 * np.sqrt(2 * freedom)


@pytest.mark.parametrize('num_points', [100, 1000])  # numpy has a method for few, one for many
def test_random_draws_from_a_large_cloud_are_even_and_in_random_order(num_points):
    n, times = 20000, 400
    found = draws(times, n, num_points=num_points)
    chosen = np.zeros((times, n), bool)
    np.put_along_axis(chosen, found, True, axis=1)
    assert (chosen.sum(1) == num_points).all()
    share = num_points / n
    # variances of the counts per point and per place, as fractions of what chance gives
    assert abs(chosen.sum(0).var() / (times * share * (1 - share)) - 1) < 0.05
    assert abs((found.mean(0) - (n - 1) / 2).var() / (n**2 / 12 / times) - 1) < 0.5
    for step in (1, 7, n // 2):  # points drawn together
        together = np.count_nonzero(chosen & np.roll(chosen, step, 1))
        mean = times * num_points * (num_points - 1) / (n - 1)
        assert abs(together - mean) < 5 * np.sqrt(2 * mean)
    # no order of neighbours
    rising = np.count_nonzero(found[:, 1:] > found[:, :-1]) / found[:, 1:].size
    assert abs(rising - 0.5) < 0.02


def test_normalised_clouds_match_a_loop():
    before = item()
    xyz = before['points'][:, :3].astype(float)
    mean = sum(xyz) / len(xyz)
    largest = max(np.sqrt(((p - mean) ** 2).sum()) for p in xyz)
    after = run(dict(before), type='NormalizePoints')['points']
    expected = [(p - mean) / largest for p in xyz]
    np.testing.assert_allclose(after[:, :3], expected, atol=1e-6)
    assert (after[:, 3:] == before['points'][:, 3:]).all()
    assert after.dtype == np.float32
    xyz = run(dict(before), type='NormalizePoints', mode='unit_cube')['points'][:, :3]
    np.testing.assert_allclose(xyz.min(0), -xyz.max(0), atol=1e-6)
    np.testing.assert_allclose(xyz.max(), 1, atol=1e-6)
    after = run(dict(before), type='NormalizePoints', mode='center')['points']
    np.testing.assert_allclose(after[:, :3].mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(after.std(0), before['points'].std(0), 1e-5)


def test_shuffle_permutes():
    before = item()
    after = run(dict(before), type='ShufflePoints')
    assert sorted(after['gt_parts']) == list(range(40))
    assert (after['gt_parts'] != np.arange(40)).any()
    assert (after['points'] == before['points'][after['gt_parts']]).all()


def test_wrong_settings_and_input_are_explained():
    flat = dict(points=np.ones((4, 3), np.float32), sample_id='shape_7')
    rejects("'random', 'fps' or 'first'", run, {}, type='SamplePoints', num_points=1, method='grid')
    rejects("'unit_sphere'", run, flat, type='NormalizePoints', mode='box')
    rejects('LoadPoints', run, dict(path='a.npy'), type='NormalizePoints')
    rejects('shape_7: all points coincide', run, flat, type='NormalizePoints')
