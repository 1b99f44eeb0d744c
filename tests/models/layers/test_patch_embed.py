"""Patch embedding of visible patches only."""

import copy

import pytest
import torch
import torch.nn as nn

from mmkd3d.models.layers.patches import PatchEmbed, RowBatchNorm
from mmkd3d.models.layers.transformer import split_by_mask

MASK = torch.tensor([[0, 1, 1, 0, 1], [1, 0, 1, 1, 0]]).bool()


def embed():
    torch.manual_seed(0)
    return PatchEmbed(6, local_dims=(4, 8)).double()


def patches():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, 5, 7, 3, generator=generator).double()


def visible_of_all(net, x):
    return split_by_mask(net(x), MASK)[0]


def visible(net, x):
    return net(x, MASK)


@pytest.mark.parametrize('training', [False, True])
def test_masked_patches_count_in_the_statistics_only(training):
    """Values, gradients and running statistics equal those of embedding all patches."""
    nets = [embed().train(training)]
    nets.append(copy.deepcopy(nets[0]))
    tokens = []
    for net, run in zip(nets, (visible_of_all, visible)):
        x = patches().requires_grad_()
        out = run(net, x)
        (out * torch.arange(out.numel()).view_as(out)).sum().backward()
        tokens += [(out.detach(), x.grad)]
    assert tokens[0][0].shape == (2, 2, 6)
    torch.testing.assert_close(*tokens)
    for one, other in zip(nets[0].parameters(), nets[1].parameters()):
        torch.testing.assert_close(one.grad, other.grad)
    for one, other in zip(nets[0].buffers(), nets[1].buffers()):
        torch.testing.assert_close(one, other)


def test_the_embedding_is_two_mlps_with_a_maximum_each():
    net, x = embed().eval(), patches()
    with torch.no_grad():
        for points, token in zip(x.flatten(0, 1), net(x).flatten(0, 1)):
            local = net.first(points)
            pooled = local.max(dim=0).values.expand_as(local)
            points = net.second(torch.cat([pooled, local], dim=1))
            torch.testing.assert_close(points.max(dim=0).values, token)


def rows(N, C=16):
    generator = torch.Generator().manual_seed(0)
    scale, shift = torch.rand(2, C, generator=generator)
    return torch.randn(N, C, generator=generator) * (scale + 1) + 3 * shift


def norm(C=16):
    layer = RowBatchNorm(C)
    with torch.no_grad():
        layer.weight.uniform_(0.5, 2)
        layer.bias.normal_()
    return layer


def run(layer, x):
    """Output and all gradients."""
    x = x.clone().requires_grad_()
    y = layer(x)
    y.backward(x.detach().sin() * 0.1 + 1)
    return [y.detach(), x.grad, layer.weight.grad, layer.bias.grad]


@pytest.mark.parametrize('N', [5, 50_000])
def test_row_norm_is_batch_norm_in_double_precision(N):
    layer, x = norm(), rows(N)
    exact = nn.BatchNorm1d(16)
    exact.load_state_dict(layer.state_dict())
    expected = run(exact.double(), x.double())
    for got, want in zip(run(layer, x), expected):
        size = max(want.abs().max(), 1)
        assert (got - want).abs().max() < 2e-5 * size
    for name in ('running_mean', 'running_var', 'num_batches_tracked'):
        found = getattr(layer, name)
        torch.testing.assert_close(found, getattr(exact, name).to(found.dtype))
    plain = nn.BatchNorm1d(16).eval()
    plain.load_state_dict(layer.state_dict())
    assert torch.equal(layer.eval()(x), plain(x))
