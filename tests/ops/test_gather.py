"""Gathering and grouping."""

import pytest
import torch

from mmkd3d.ops import farthest_point_sample, gather, group, knn
from tests.helpers import rejects

from .clouds import random_cloud


@pytest.mark.parametrize('shape', [(1,), (7,), (2, 3), (2, 1, 3), (), (0,)])
def test_gather_equals_a_loop(shape):
    x = torch.rand(2, 5, 3)
    for dtype in (torch.int32, torch.int64):
        idx = torch.randint(5, (2, *shape), dtype=dtype)
        expected = torch.stack([sample[i.long()] for sample, i in zip(x, idx)])
        assert torch.equal(gather(x, idx), expected)


def test_gather_adds_gradients_of_repeated_rows():
    x = torch.rand(2, 4, 3, requires_grad=True)
    gather(x, torch.tensor([[0, 0, 1], [3, 3, 3]])).sum().backward()
    expected = torch.tensor([[2.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 3.0]])
    assert torch.equal(x.grad, expected[..., None].expand(-1, -1, 3))


def test_group_cuts_patches_relative_to_their_centres():
    points = random_cloud(2, 60)
    centers = gather(points, farthest_point_sample(points, 5))
    idx = knn(centers, points, 8).idx
    patches = group(points, centers, idx)
    assert patches.shape == (2, 5, 8, 3)
    assert not patches[:, :, 0].any()  # a centre is its own nearest neighbour
    for place in torch.cartesian_prod(torch.arange(2), torch.arange(5), torch.arange(8)).tolist():
        b, g, k = place
        expected = points[b, idx[b, g, k]] - centers[b, g]
        assert torch.equal(patches[b, g, k], expected)


def test_wrong_indices_are_errors():
    x, idx = torch.rand(2, 4, 3), torch.zeros(2, 2, dtype=torch.long)
    for bad in (-1, 4):  # must not read from another sample
        rejects(f'{bad}.* N=4', gather, x, torch.tensor([[0, 1], [2, bad]]))
    rejects(r'x \(B, N, C\)', gather, x, idx[:1])
    rejects('centers', group, x, x, idx[:, None].expand(-1, 5, -1))
