"""Chamfer distance and its gradients against the full distance matrix."""

import pytest
import torch

from mmkd3d.ops import chamfer_distance, pairwise
from tests.helpers import rejects

from .clouds import random_cloud, sampled, tied_cloud

SIZES = [(1, 1, 1), (1, 1, 5), (2, 7, 7), (3, 20, 33), (2, 150, 140)]


def naive_chamfer(pred, target, norm):
    """Chamfer distance per cloud from the (B, N, M) matrix."""
    table = (pred[:, :, None] - target[:, None]).square().sum(-1)
    forth, back = table.amin(2), table.amin(1)
    if norm == 'l1':
        return (forth.sqrt().mean(1) + back.sqrt().mean(1)) / 2
    return forth.mean(1) + back.mean(1)


@pytest.mark.parametrize('size, norm, block_size', sampled(10, SIZES, ['l1', 'l2'], [10, 2**19]))
def test_chamfer_and_its_gradients_equal_the_matrix(monkeypatch, block_size, norm, size):
    B, N, M = size
    monkeypatch.setattr(pairwise, 'MAX_ENTRIES_CPU', block_size)
    values, grads = [], []
    for function in (
        lambda a, b: naive_chamfer(a, b, norm),
        lambda a, b: chamfer_distance(a, b, norm=norm, reduction='none'),
    ):
        pred = random_cloud(B, N, seed=1).requires_grad_()
        target = random_cloud(B, M, seed=2).requires_grad_()
        value = function(pred, target)
        values.append(value)
        grads.append(torch.autograd.grad(value.sum(), (pred, target)))
    torch.testing.assert_close(values[1], values[0])
    torch.testing.assert_close(grads[1], grads[0])


@pytest.mark.parametrize('norm', ['l1', 'l2'])
def test_the_mean_is_symmetric_and_equal_clouds_have_distance_0_and_gradient_0(norm):
    pred, target = random_cloud(4, 10), random_cloud(4, 13, seed=1)
    value = chamfer_distance(pred, target, norm=norm)
    torch.testing.assert_close(value, naive_chamfer(pred, target, norm).mean())
    torch.testing.assert_close(chamfer_distance(target.flip(1), pred, norm=norm), value)
    cloud = tied_cloud(2, 50).requires_grad_()
    value = chamfer_distance(cloud, cloud.detach().flip(1), norm=norm)
    value.backward()
    assert value == 0 and not cloud.grad.any()


@pytest.mark.parametrize('norm', ['l1', 'l2'])
def test_chamfer_passes_gradcheck_in_double(norm):
    pred = random_cloud(2, 6).double().requires_grad_()
    target = random_cloud(2, 5, seed=1).double().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda a, b: chamfer_distance(a, b, norm=norm, reduction='none'), (pred, target)
    )


def test_nothing_of_matrix_size_is_kept_for_the_backward_pass():
    sizes = []

    def note(tensor):
        sizes.append(tensor.numel())
        return tensor

    pred = random_cloud(1, 500).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
        chamfer_distance(pred, random_cloud(1, 400, seed=1))
    assert sizes and max(sizes) <= 500 * 3


def test_chamfer_is_the_same_under_autocast_and_keeps_a_nan():
    pred, target = random_cloud(2, 143), random_cloud(2, 143, seed=1)
    expected = chamfer_distance(pred, target)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert torch.equal(chamfer_distance(pred, target), expected)
    pred[1, 7] = float('nan')
    loss = chamfer_distance(pred, target, reduction='none')
    assert loss[0].isfinite() and loss[1].isnan()
    for options in (dict(norm='L1'), dict(reduction='sum')):
        rejects("norm must be 'l1' or 'l2'", chamfer_distance, pred, target, **options)
    rejects('pred and target must share', chamfer_distance, pred, target[:1])
