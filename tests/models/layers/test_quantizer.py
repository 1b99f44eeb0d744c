"""Gumbel quantizer: codes, KL loss and usage counts."""

import math

import pytest
import torch
import torch.nn.functional as F

from mmkd3d.models.layers.quantizer import GumbelQuantizer, gumbel_noise, perplexity, uniform_kl


def quantizer(num_codes=12, **kwargs):
    torch.manual_seed(0)
    return GumbelQuantizer(num_codes, 5, **kwargs)


def logits(num_codes=12, scale=2.0):
    generator = torch.Generator().manual_seed(1)
    return scale * torch.randn(2, 6, num_codes, generator=generator)


def test_noise_has_the_gumbel_distribution_and_is_float32():
    torch.manual_seed(0)
    noise = gumbel_noise(torch.empty(400_000))
    assert abs(noise.mean() - 0.577216) < 0.01
    assert abs(noise.var() - math.pi**2 / 6) < 0.02
    for x in (-1.0, 0.0, 1.0, 4.0):  # P(g < x) = exp(-exp(-x))
        share = (noise < x).float().mean()
        assert abs(share - math.exp(-math.exp(-x))) < 0.004
    noise = gumbel_noise(torch.empty(1000, dtype=torch.bfloat16))
    assert noise.dtype == torch.float32 and len(noise.unique()) > 990
    assert torch.isfinite(noise).all()


def test_a_code_is_chosen_as_often_as_it_is_probable():
    """Purpose of the noise: argmax(logits + g) samples from the softmax."""
    torch.manual_seed(0)
    net, one = quantizer(4), torch.tensor([0.0, 1.0, 2.0, -1.0])
    with torch.no_grad():
        drawn = net(one.expand(1, 40_000, 4), hard=True)[0]
    for code, share in zip(net.codebook.detach(), one.softmax(0)):
        assert abs((drawn == code).all(1).float().mean() - share) < 0.01


@pytest.mark.parametrize('grad', [False, True])
def test_a_hard_choice_is_one_code(grad):
    net, x, noise = quantizer(), logits(), torch.randn(2, 6, 12)
    with torch.set_grad_enabled(grad):
        out = net(x, hard=True, noise=noise).detach()
    torch.testing.assert_close(out, net.codebook.detach()[(x + noise).argmax(-1)])
    assert len((x + noise).argmax(-1).unique()) > 3
    gaps = []  # lower temperatures approach the hard choice
    for net.temperature in (1.0, 0.1, 0.001):
        gaps.append((net(x, noise=noise) - out).abs().max().item())
    assert gaps[0] > gaps[1] > gaps[2] and gaps[2] < 1e-4
    zeros = torch.zeros(1).expand_as(x)
    with torch.no_grad():
        assert torch.equal(net(x, hard=True, noise=zeros), net.codebook[x.argmax(-1)])


@pytest.mark.parametrize('temperature', [1.0, 0.1])
def test_a_hard_choice_has_the_gradients_of_the_straight_through_estimator(temperature):
    """Spec: torch's function at temperature 1, whatever the temperature of the mixture."""
    net, noise = quantizer(temperature=temperature).double(), torch.randn(2, 6, 12).double()
    x = logits().double().requires_grad_()
    weight = torch.randn(2, 6, 5)
    soft = (x.float() + noise.float()).softmax(-1)
    chosen = F.one_hot(soft.argmax(-1), 12)
    straight = (chosen - soft.detach() + soft).double() @ net.codebook
    outs = net(x, hard=True, noise=noise), straight
    grads = (torch.autograd.grad((out * weight).sum(), (x, net.codebook)) for out in outs)
    for a, b in zip(*grads):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
        assert a.abs().sum() > 0


def test_a_mixture_is_a_loop_over_codes():
    net, x, noise = quantizer(temperature=0.7), logits(), torch.randn(2, 6, 12)
    out = net(x, noise=noise)
    for b in range(2):
        for g in range(6):
            weight = [math.exp(v / 0.7) for v in (x + noise)[b, g].tolist()]
            expected = sum(w * code for w, code in zip(weight, net.codebook))
            torch.testing.assert_close(out[b, g], expected / sum(weight))
    low = x.bfloat16()
    expected = net(low.float(), noise=torch.zeros(()))
    torch.testing.assert_close(net(low, noise=torch.zeros_like(low)), expected)


@pytest.mark.parametrize('hard', [False, True])
def test_noise_is_drawn_in_eval_mode_too(hard):
    net, x = quantizer().eval(), logits(scale=0.5)
    torch.manual_seed(3)
    first = net(x, hard=hard)
    assert not torch.equal(net(x, hard=hard), first)
    torch.manual_seed(3)
    assert torch.equal(net(x, hard=hard), first)


@pytest.mark.parametrize('hard', [False, True])
def test_autocast_changes_no_choice_and_no_code(hard):
    """Two logits that are equal in bfloat16 stay distinct."""
    net = quantizer(temperature=0.01)
    x = torch.zeros(1, 1, 12)
    x[..., 3], x[..., 7] = 20.0, 20.03
    zeros = torch.zeros_like(x)
    expected = net(x, hard=hard, noise=zeros)
    with torch.autocast('cpu', torch.bfloat16):
        out = net(x, hard=hard, noise=zeros)
        kl = uniform_kl(x)
    assert out.dtype == torch.float32 == kl.dtype
    torch.testing.assert_close(out, expected)
    assert torch.equal(kl, uniform_kl(x))


def test_uniform_kl_is_that_of_torch_and_zero_where_all_codes_are_used_alike():
    x = logits().requires_grad_()
    q = x.softmax(-1).mean(1)
    expected = F.kl_div(q.log(), torch.full_like(q, 1 / 12), reduction='batchmean')
    torch.testing.assert_close(uniform_kl(x), expected)
    torch.testing.assert_close(*(torch.autograd.grad(kl, x)[0] for kl in (uniform_kl(x), expected)))
    one_each = torch.eye(12)[None]
    assert abs(uniform_kl(torch.zeros(3, 6, 12))) < 1e-6
    assert abs(uniform_kl(1e3 * one_each)) < 1e3  # log q of the other codes is -1e3, not -inf
    assert abs(uniform_kl(50 * one_each)) < 1e-5


@pytest.mark.parametrize('scale', [1e3, 1e6, 1e30])
def test_extreme_logits_give_finite_values_and_gradients(scale):
    net, x = quantizer(temperature=0.0625), logits(scale=scale)
    x.requires_grad_()
    loss = uniform_kl(x) + net(x).square().sum()
    loss = loss + net(x, hard=True).square().sum()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(g).all() for g in torch.autograd.grad(loss, (x, net.codebook)))


def test_perplexity_counts_the_codes_in_use():
    assert perplexity(torch.full((8,), 3)) == pytest.approx(8)
    assert perplexity(torch.tensor([0, 7, 0])) == pytest.approx(1)
    assert perplexity(torch.tensor([5, 5, 0, 0])) == pytest.approx(2)
    counts = torch.tensor([1, 2, 5])
    entropy = -sum(p * math.log(p) for p in (1 / 8, 2 / 8, 5 / 8))
    assert perplexity(counts) == pytest.approx(math.exp(entropy))
    assert torch.isfinite(perplexity(torch.zeros(4, dtype=torch.long)))


def test_usage_counts_the_most_likely_codes_until_it_is_reset():
    net, x = quantizer(), logits()
    counts = net.count(x)
    assert counts.tolist() == [(x.argmax(-1) == code).sum() for code in range(12)]
    net.count(x)
    assert torch.equal(net.usage, 2 * counts) and counts.sum() == 12
    assert 'usage' not in net.state_dict()
