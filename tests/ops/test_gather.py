"""Gathering and grouping."""

import pytest
import torch

from mmkd3d.ops import farthest_point_sample, gather, group, knn

from .clouds import random_cloud


@pytest.mark.parametrize('dtype', [torch.int32, torch.int64])
@pytest.mark.parametrize(
    'B, N, C, shape',
    [
        (1, 1, 1, (1,)),
        (2, 5, 3, (7,)),
        (3, 4, 2, (2, 3)),
        (2, 6, 4, (2, 1, 3)),
        (2, 3, 4, ()),
        (2, 3, 4, (0,)),
    ],
)
def test_gather_equals_a_loop(dtype, B, N, C, shape):
    x = torch.rand(B, N, C)
    idx = torch.randint(N, (B, *shape), dtype=dtype)
    expected = torch.stack([sample[i.long()] for sample, i in zip(x, idx)])
    assert torch.equal(gather(x, idx), expected)


def test_gather_adds_gradients_of_repeated_rows():
    x = torch.rand(2, 4, 3, requires_grad=True)
    gather(x, torch.tensor([[0, 0, 1], [3, 3, 3]])).sum().backward()
    expected = torch.tensor([[2.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 3.0]])
    assert torch.equal(x.grad, expected[..., None].expand(-1, -1, 3))


@pytest.mark.parametrize('bad', [-1, 4])
def test_gather_never_reads_another_sample(bad):
    with pytest.raises(ValueError, match=f'{bad}.* N=4'):
        gather(torch.rand(2, 4, 3), torch.tensor([[0, 1], [2, bad]]))


def test_gather_wants_one_batch():
    with pytest.raises(ValueError, match=r'x \(B, N, C\)'):
        gather(torch.rand(2, 4, 3), torch.zeros(1, 2, dtype=torch.long))


def test_group_cuts_patches_relative_to_their_centres():
    points = random_cloud(2, 60)
    centers = gather(points, farthest_point_sample(points, 5))
    idx = knn(centers, points, 8).idx
    patches = group(points, centers, idx)
    assert patches.shape == (2, 5, 8, 3)
    assert not patches[:, :, 0].any()  # a centre is its own neighbour
    for place in torch.cartesian_prod(torch.arange(2), torch.arange(5), torch.arange(8)).tolist():
        b, g, k = place
        expected = points[b, idx[b, g, k]] - centers[b, g]
        assert torch.equal(patches[b, g, k], expected)


def test_group_wants_an_index_per_centre():
    with pytest.raises(ValueError, match='centers'):
        group(torch.rand(1, 9, 3), torch.rand(1, 4, 3), torch.zeros(1, 5, 2, dtype=torch.long))
