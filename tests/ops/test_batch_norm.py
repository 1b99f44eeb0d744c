"""Linear layers with norms over rows, against torch in double precision."""

import copy

import pytest
import torch
from torch import nn

from mmkd3d.ops.batch_norm import batch_norm, linear_norm

from .clouds import FORMS, choose_form


def make(C=16, D=24, momentum=0.1):
    torch.manual_seed(0)
    linear, norm = nn.Linear(C, D), nn.BatchNorm1d(D, momentum=momentum)
    nn.init.uniform_(norm.weight, -1, 2)
    nn.init.normal_(norm.bias)
    return linear, norm


def run(x, linear, norm, relu, forward):
    """Output, all gradients and running statistics."""
    x = x.clone().requires_grad_()
    out = forward(x, linear, norm, relu)
    out.backward(x.detach().sin().sum(1, keepdim=True) + 1 + 0 * out.detach())
    parameters = [linear.weight, *norm.parameters()]  # the gradient of the bias is 0
    return [out.detach(), x.grad, *(p.grad for p in parameters), *norm.buffers()]


def ours(x, linear, norm, relu):
    return linear_norm(x, linear.weight, linear.bias, norm, relu=relu)


def exact(x, linear, norm, relu):
    x = norm(linear(x))
    return x.relu() if relu else x


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('relu', [False, True])
@pytest.mark.parametrize('N, momentum', [(2, 0.1), (3000, None)])
def test_a_layer_and_its_gradients_are_exact(form, relu, N, momentum, monkeypatch):
    choose_form(monkeypatch, form)
    layers = make(momentum=momentum)
    x = torch.randn(N, 16) + 3
    double = [copy.deepcopy(layer).double() for layer in layers]
    found, expected = run(x, *layers, relu, ours), run(x.double(), *double, relu, exact)
    for got, want in zip(found, expected):
        error = (got - want).abs().max()
        assert error <= (1e-3 if N == 2 else 2e-5) * want.abs().max().clamp(min=1)


def test_in_evaluation_the_norm_is_part_of_the_weights_without_changing_them():
    linear, norm = make()
    x = torch.randn(500, 16)
    linear_norm(x, linear.weight, linear.bias, norm, relu=True)  # running statistics
    norm.eval()
    before = copy.deepcopy([linear.state_dict(), norm.state_dict()])
    for bias in (linear.bias, None):
        expected = norm(nn.functional.linear(x, linear.weight, bias)).relu()
        with torch.no_grad():
            found = linear_norm(x, linear.weight, bias, norm, relu=True)
        torch.testing.assert_close(found, expected)
        with_grad = linear_norm(x, linear.weight, bias, norm, relu=True)
        torch.testing.assert_close(with_grad, expected, rtol=0, atol=0)
    for old, new in zip(before, (linear.state_dict(), norm.state_dict())):
        assert all(torch.equal(old[key], new[key]) for key in old)


@pytest.mark.parametrize('kind', [nn.BatchNorm1d, nn.BatchNorm2d])
def test_half_precision_rows_keep_their_type_but_not_their_sums(kind):
    norm = kind(24)
    exact = nn.BatchNorm1d(24)
    x = (torch.randn(20_000, 24) + 5).bfloat16().requires_grad_()
    expected = exact(x.float())
    found = batch_norm(x, norm)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found, expected.bfloat16())
    found.sum().backward()
    assert x.grad.dtype == torch.bfloat16
    torch.testing.assert_close(norm.running_mean, x.detach().float().mean(0) * 0.1)


def test_one_row_is_an_error_in_training():
    _, norm = make()
    with pytest.raises(ValueError, match='more than 1 value per channel'):
        batch_norm(torch.randn(1, 24), norm)


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float64])
def test_a_norm_of_images_takes_rows(dtype):
    """Those of mmcv's 1x1 convolutions."""
    norm, x = nn.BatchNorm2d(24), torch.randn(50, 24).to(dtype)
    expected = copy.deepcopy(norm)(x.float()[..., None, None]).flatten(1)
    found = batch_norm(x, norm.double() if dtype == torch.float64 else norm)
    assert found.dtype == dtype
    rounding = 2**-7 if dtype == torch.bfloat16 else 1e-6
    assert (
        (found.float() - expected).abs() <= rounding * expected.abs() + 1e-5 + rounding**2
    ).all()


@pytest.mark.parametrize('affine', [True, False])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64, torch.bfloat16])
def test_norms_of_any_kind_in_evaluation(affine, dtype):
    torch.manual_seed(0)
    norm = nn.BatchNorm1d(6, affine=affine).eval()
    norm.running_var.uniform_(0.5, 2)
    x, weight = torch.randn(9, 4, dtype=dtype), torch.randn(6, 4, dtype=dtype)
    norm = norm.double() if dtype == torch.float64 else norm
    with torch.no_grad():
        found = linear_norm(x, weight, None, norm, relu=False)
        expected = norm(x @ weight.T)
    assert found.dtype == dtype
    tolerance = 0.05 if dtype == torch.bfloat16 else 1e-5
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def test_functional_gradients_are_those_of_autograd():
    _, norm = make(D=5)
    norm.track_running_stats = False
    x = torch.randn(8, 5, requires_grad=True)

    def loss(x):
        return (batch_norm(x, norm, relu=True) * x.sin()).sum()

    expected = torch.autograd.grad(loss(x), x)[0]
    torch.testing.assert_close(torch.func.grad(loss)(x.detach()), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('frozen', [False, True])
def test_gradients_of_gradients_are_those_of_torch(frozen):
    _, norm = make(D=5)
    norm.bias.requires_grad_(not frozen)
    x, slope = torch.randn(8, 5), torch.randn(8, 5)
    found = []
    for forward in (lambda x: batch_norm(x, norm, relu=True), lambda x: norm(x).relu()):
        x = x.detach().requires_grad_()
        (grad,) = torch.autograd.grad((forward(x) * slope).sum(), x, create_graph=True)
        found.append(torch.autograd.grad((grad * x.sin()).sum(), [x, norm.weight]))
    for got, want in zip(*found):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)
