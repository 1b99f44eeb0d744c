"""The last layer of groups and its maximum, against torch in double precision."""

import copy

import pytest
import torch
from torch import nn

from mmkd3d.ops import pooled_norm
from mmkd3d.ops.pooled_norm import linear_norm_max

from .clouds import FORMS, choose_form


def ours(x, linear, norm):
    return linear_norm_max(x, linear.weight, linear.bias, norm)


def exact(x, linear, norm):
    return norm(linear(x).flatten(0, 1)).relu().unflatten(0, x.shape[:2]).amax(1)


def run(x, linear, norm, forward):
    """Output, all gradients and running statistics."""
    x = x.clone().requires_grad_()
    out = forward(x, linear, norm)
    out.backward(torch.arange(out.numel()).view_as(out).sin().to(out))
    parameters = [linear.weight, *norm.parameters()]  # the gradient of the bias is 0
    return [out.detach(), x.grad, *(p.grad for p in parameters), *norm.buffers()]


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('bias', [False, True])
@pytest.mark.parametrize('N, K, momentum', [(1, 4, 0.1), (150, 7, None)])
def test_a_layer_and_its_gradients_are_exact(form, bias, N, K, momentum, monkeypatch):
    choose_form(monkeypatch, form)
    monkeypatch.setattr(pooled_norm, 'ENTRIES_AT_A_TIME', 2000)  # several parts, the last short
    torch.manual_seed(0)
    layers = nn.Linear(16, 24, bias=bias), nn.BatchNorm1d(24, momentum=momentum)
    nn.init.uniform_(layers[1].weight, -1, 2)
    nn.init.normal_(layers[1].bias)
    double = [copy.deepcopy(layer).double() for layer in layers]
    x = torch.randn(N, K, 16) + 1
    found, expected = run(x, *layers, ours), run(x.double(), *double, exact)
    for got, want in zip(found, expected, strict=True):
        assert (got - want).abs().max() <= 2e-5 * want.abs().max().clamp(min=1)


def test_the_output_of_the_layer_is_not_kept():
    saved = []
    x = torch.randn(50, 8, 4, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t.numel()) or t, id):
        linear_norm_max(x, torch.randn(32, 4), None, nn.BatchNorm1d(32))
    assert max(saved) < 50 * 8 * 32
