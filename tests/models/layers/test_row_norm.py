"""Batch normalisation of rows."""

import copy

import pytest
import torch
import torch.nn as nn

from mmkd3d.models.layers.patches import RowBatchNorm


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


@pytest.mark.parametrize('N', [5, 70, 1000, 200_000])
def test_row_norm_is_batch_norm_in_double_precision(N):
    layer, x = norm(), rows(N)
    exact = nn.BatchNorm1d(16)
    exact.load_state_dict(layer.state_dict())
    expected = run(exact.double(), x.double())
    for got, want in zip(run(layer, x), expected):
        size = max(want.abs().max(), 1)
        assert (got - want).abs().max() < 2e-5 * size
    for name in ('running_mean', 'running_var', 'num_batches_tracked'):
        torch.testing.assert_close(
            getattr(layer, name), getattr(exact, name).to(getattr(layer, name).dtype)
        )


def test_blocks_of_rows_do_not_change_the_norm(monkeypatch):
    layer, x = norm(), rows(1000)
    whole = run(copy.deepcopy(layer), x)
    monkeypatch.setattr('mmkd3d.models.layers.patches.BLOCK', 333)
    for got, want in zip(run(layer, x), whole):
        torch.testing.assert_close(got, want)


def test_row_norm_in_eval_mode_is_torch_s():
    layer, x = norm(), rows(50)
    layer(x)
    layer.eval()
    plain = nn.BatchNorm1d(16).eval()
    plain.load_state_dict(layer.state_dict())
    assert torch.equal(layer(x), plain(x))


def test_one_row_has_no_statistics():
    with pytest.raises(ValueError, match='more than one row, got'):
        norm()(rows(1))
