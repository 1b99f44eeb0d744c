"""Three-nearest-neighbour search and interpolation against loops."""

import numpy as np
import pytest
import torch

from mmkd3d.ops import three_interpolate, three_nn
from tests.helpers import rejects

from .clouds import CLOUDS, random_cloud, sampled, squared_distance


def naive_three(target, source):
    """Squared distances and indices for one pair of clouds."""
    dist = np.full((len(target), 3), np.inf, dtype=np.float32)
    idx = np.zeros((len(target), 3), dtype=int)
    for row, point in enumerate(target.numpy()):
        near = sorted(
            (squared_distance(point, other), i) for i, other in enumerate(source.numpy())
        )[:3]
        for slot, (value, i) in enumerate(near):
            dist[row, slot], idx[row, slot] = value, i
    return dist, idx


SIZES = [(1, 1, 1), (2, 4, 2), (1, 5, 3), (3, 20, 17), (2, 3, 200)]


@pytest.mark.parametrize('size, kind, squared', sampled(10, SIZES, CLOUDS, [False, True]))
def test_three_nn_and_three_interpolate_equal_a_loop(squared, kind, size):
    B, n, m = size
    target, source = CLOUDS[kind](B, n, seed=1), CLOUDS[kind](B, m, seed=2)
    feats = torch.randn(B, m, 5)
    near = three_nn(target, source)
    found = three_interpolate(target, source, feats, squared=squared)
    for b in range(B):
        dist, idx = naive_three(target[b], source[b])
        np.testing.assert_array_equal(near.idx[b], idx)
        np.testing.assert_allclose(near.dist[b], np.sqrt(dist), rtol=1e-6)
        weight = 1 / ((dist if squared else np.sqrt(dist)) + 1e-8)
        weight /= weight.sum(1, keepdims=True)
        expected = (feats[b].numpy()[idx] * weight[..., None]).sum(1)
        np.testing.assert_allclose(found[b], expected, rtol=1e-5, atol=1e-6)
    found = three_interpolate(source, source, feats, squared=squared)
    if kind == 'random':  # source points keep their features
        torch.testing.assert_close(found, feats, rtol=0, atol=1e-4)


@pytest.mark.parametrize('squared', [False, True])
def test_three_interpolate_has_the_right_gradient(squared):
    target, source = random_cloud(2, 6), random_cloud(2, 4, seed=1)
    feats = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda x: three_interpolate(target, source, x, squared=squared), feats
    )


def test_three_interpolate_is_float32_under_autocast():
    target, source = random_cloud(2, 40), random_cloud(2, 9, seed=1)
    feats = torch.randn(2, 9, 4).bfloat16()
    expected = three_interpolate(target, source, feats.float())
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = three_interpolate(target, source, feats)
    assert found.dtype == torch.float32 and torch.equal(found, expected)
    says = r'feats must have shape \(B, m, C\)'
    rejects(says, three_interpolate, target, source, torch.rand(2, 5, 2))
