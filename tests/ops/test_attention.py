"""Attention with dropout."""

import pytest
import torch
import torch.nn.functional as F

from mmkd3d.ops import attention
from mmkd3d.ops.attention import dropout_attention

B, H, Q, T, D = 2, 2, 37, 48, 16


def inputs(dtype=torch.float32):
    torch.manual_seed(0)
    query, key, value = (torch.randn(B, H, n, D) for n in (Q, T, T))
    return [x.to(dtype).requires_grad_() for x in (query, key, value)]


def dropped(query, key, **options):
    """Weights (B, H, Q, T) after dropout, with the same random number."""
    torch.manual_seed(1)
    eye = torch.eye(T, dtype=query.dtype).expand(B, H, T, T).contiguous()
    return dropout_attention(query, key, eye, **options).detach()


@pytest.mark.parametrize('with_mask', [False, True])
@pytest.mark.parametrize('block', [1, 7 * T, 2**19])
def test_outputs_and_gradients_are_those_of_weights_set_to_zero(with_mask, block, monkeypatch):
    monkeypatch.setattr(attention, 'BLOCK', block)
    query, key, value = inputs()
    allowed = None
    if with_mask:
        allowed = torch.rand(B, 1, Q, T) < 0.5
        allowed[..., 0] = True
    options = dict(allowed=allowed, dropout=0.25)
    kept = dropped(query, key, **options) != 0
    torch.manual_seed(1)
    found = dropout_attention(query, key, value, **options)
    logits = query @ key.mT / D**0.5
    if with_mask:
        logits = logits.masked_fill(~allowed, -torch.inf)
    expected = (logits.softmax(-1) * kept / 0.75) @ value
    torch.testing.assert_close(found, expected)
    grad = torch.randn_like(found)
    for pair in zip(
        *(torch.autograd.grad(x, (query, key, value), grad) for x in (found, expected))
    ):
        torch.testing.assert_close(*pair)


def test_each_weight_is_dropped_with_the_same_probability_independently_of_others():
    torch.manual_seed(0)
    shape, rate = (2, 4, 300, 512), 0.1
    query, key = torch.zeros(*shape[:3], 512), torch.zeros(2, 4, 512, 512)
    value = torch.eye(512).expand(2, 4, -1, -1).contiguous()
    lost = [dropout_attention(query, key, value, dropout=rate) == 0 for _ in range(2)]
    first, second = (x.double() for x in lost)
    size = first.numel()
    assert abs(first.mean() - rate) < 5 * (rate * 0.9 / size) ** 0.5
    # in rows, columns and heads the numbers of lost weights spread as binomials do
    for dims in ((3,), (0, 1, 2), (2, 3)):
        sums = first.sum(dims)
        spread = sums.var() / (size / sums.numel() * rate * 0.9)
        assert abs(spread - 1) < 6 * (2 / sums.numel()) ** 0.5
    for other in (second, *(first.roll(1, dim) for dim in range(4))):
        correlation = ((first - rate) * (other - rate)).mean() / (rate * 0.9)
        assert abs(correlation) < 5 / size**0.5


def test_the_seed_of_torch_decides_and_without_dropout_nothing_is_drawn():
    query, key, value = inputs()
    outs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        outs.append(dropout_attention(query, key, value, dropout=0.5))
    assert torch.equal(outs[0], outs[1]) and not torch.equal(outs[0], outs[2])
    state = torch.get_rng_state()
    found = dropout_attention(query, key, value)
    assert torch.equal(found, F.scaled_dot_product_attention(query, key, value))
    assert torch.equal(torch.get_rng_state(), state)


def test_half_precision_agrees_with_float32():
    query, key, value = inputs(torch.bfloat16)
    torch.manual_seed(1)
    found = dropout_attention(query, key, value, dropout=0.2)
    torch.manual_seed(1)
    expected = dropout_attention(query.float(), key.float(), value.float(), dropout=0.2)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), expected, rtol=0.03, atol=0.03)
    found.sum().backward()
    assert query.grad.dtype == torch.bfloat16 and query.grad.isfinite().all()
