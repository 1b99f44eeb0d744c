"""Maximum over the points of groups."""

import pytest
import torch

from mmkd3d.ops.pooling import maximum

from .clouds import FORMS, choose_form


@pytest.mark.parametrize('form', FORMS)
def test_the_gradient_goes_to_the_first_of_equal_points(form, monkeypatch):
    choose_form(monkeypatch, form)
    torch.manual_seed(0)
    x = torch.randint(3, (7, 5, 9)).float().requires_grad_()
    grad = torch.rand(7, 9)
    out = maximum(x)
    out.backward(grad)
    expected = torch.zeros_like(x)
    for n in range(7):
        for c in range(9):
            column = x[n, :, c].tolist()
            assert out[n, c] == max(column)
            expected[n, column.index(max(column)), c] = grad[n, c]
    assert torch.equal(x.grad, expected)
    with torch.no_grad():
        assert torch.equal(maximum(x), out)


def test_nan_and_half_precision_are_kept():
    x = torch.randn(4, 6, 3)
    x[1, 2, 0] = x[1, 4, 0] = x[2, 0, 1] = float('nan')
    x.requires_grad_()
    out = maximum(x)
    assert torch.equal(out.isnan(), x.isnan().any(1))
    out.sum().backward()
    assert x.grad[1, 2, 0] == 1 and x.grad[2, 0, 1] == 1
    assert maximum(x.bfloat16()).dtype == torch.bfloat16


def test_a_group_without_points_is_an_error():
    with pytest.raises(IndexError, match='dim 1'):
        maximum(torch.rand(3, 0, 4))
    assert maximum(torch.rand(3, 2, 0)).shape == (3, 0)
