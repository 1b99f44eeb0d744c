"""Contrastive and matched-concept losses against loops."""

import math

import pytest
import torch
import torch.nn.functional as F

from mmkd3d.models.losses.align import ContrastiveAlignLoss
from mmkd3d.models.losses.matched import cosines
from mmkd3d.models.losses.prototypes import PrototypeKLLoss
from mmkd3d.ops.matching import match
from mmkd3d.registry import MODELS


def feats(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def cos(a, b):
    return float(a @ b / a.norm() / b.norm())


# Contrastive loss.


def contrast_of(z, g, scale, soft=None):
    """Contrastive loss by definition, sample by sample; ``soft``: temperature of soft labels."""
    total, B = 0, len(z)
    for i in range(B):
        truth = [float(i == j) for j in range(B)]
        if soft is not None:
            truth = [math.exp(cos(g[i], g[j]) / soft) for j in range(B)]
            truth = [t / sum(truth) for t in truth]
        for a, b in ((z, g), (g, z)):
            logits = [scale * cos(a[i], b[j]) for j in range(B)]
            norm = math.log(sum(map(math.exp, logits)))
            total += sum(t * (norm - x) for t, x in zip(truth, logits))
    return total / B / 2


@pytest.mark.parametrize('batch_size, soft', [(1, None), (7, None), (2, 0.05), (7, 0.7)])
def test_contrast_is_that_of_the_loop(batch_size, soft):
    z, g = 3 * feats(batch_size, 8), feats(batch_size, 8, seed=1)
    loss = ContrastiveAlignLoss(
        'hard' if soft is None else 'soft',
        init_temperature=0.2,
        soft_temperature=soft or 1.0,
        loss_weight=0.3,
    )
    expected = 0.3 * contrast_of(z.double(), g.double(), 5.0, soft)
    assert loss(z, g).item() == pytest.approx(expected, rel=1e-5, abs=1e-7)


def test_contrast_of_orthogonal_features_has_a_closed_form():
    """T7: log(e + B - 1) - 1 at scale 1."""
    loss = ContrastiveAlignLoss(init_temperature=1.0)
    for B in (1, 4, 9):
        z = torch.linalg.qr(feats(12, 12)).Q[:B]
        expected = math.log(math.e + B - 1) - 1
        assert loss(7 * z, z).item() == pytest.approx(expected, abs=1e-6)


def test_defaults_are_those_of_the_spec_and_a_fixed_scale_stays():
    loss = MODELS.build(dict(type='mmkd3d.ContrastiveAlignLoss'))
    assert loss.scale.item() == pytest.approx(1 / 0.07)
    assert loss.mode == 'hard' and loss.gather
    assert list(loss.state_dict()) == ['log_scale']
    loss = ContrastiveAlignLoss(init_temperature=0.1, learn_scale=False)
    loss(feats(4, 8).requires_grad_(), feats(4, 8, seed=1)).backward()
    assert loss.log_scale.grad is None and not loss.log_scale.requires_grad
    assert loss.scale.item() == pytest.approx(10.0)


def test_the_scale_learns_and_keeps_to_its_limit():
    same = torch.eye(4)  # A larger scale always lowers the loss.
    loss = ContrastiveAlignLoss(init_temperature=0.5, max_scale=3.0)
    sgd = torch.optim.SGD(loss.parameters(), lr=10.0)
    for _ in range(3):
        sgd.zero_grad()
        loss(same, same).backward()
        sgd.step()
    assert loss.scale.item() == pytest.approx(3.0)
    at_limit = contrast_of(same, same, 3.0)
    assert loss(same, same).item() == pytest.approx(at_limit, rel=1e-5)
    # It can leave the limit: here a smaller scale lowers the loss.
    loss.log_scale.data.fill_(10.0)
    sgd.zero_grad()
    loss(same, same.roll(1, 0)).backward()
    sgd.step()
    assert loss.scale.item() < 2.9


def test_soft_labels_are_labels():
    z, g = feats(5, 8), feats(5, 8, seed=1).requires_grad_()
    loss = ContrastiveAlignLoss('soft', init_temperature=0.2)
    loss(z, g).backward()
    unit = F.normalize(g, dim=-1)
    truth = (unit @ unit.T / 0.05).softmax(1).detach()
    logits = 5 * F.normalize(z, dim=-1) @ unit.T
    expected = sum(-(truth * x.log_softmax(1)).sum(1).mean() for x in (logits, logits.T)) / 2
    (grad,) = torch.autograd.grad(expected, g)
    torch.testing.assert_close(g.grad, grad)


@pytest.mark.parametrize(
    'cfg',
    [
        dict(type='ContrastiveAlignLoss'),
        dict(type='ContrastiveAlignLoss', mode='soft'),
        dict(type='PrototypeKLLoss', dims=8, num_prototypes=4),
    ],
)
def test_losses_are_not_computed_in_half_precision(cfg):
    loss = MODELS.build(dict(cfg, type=f'mmkd3d.{cfg["type"]}'))
    if isinstance(loss, PrototypeKLLoss):
        loss.fit(feats(50, 8, seed=5))
    z, g = (feats(6, 8, seed=s).bfloat16() for s in (0, 1))
    expected = loss(z.float(), g.float())
    with torch.autocast('cpu', torch.bfloat16):
        got = loss(z, g)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, expected)
    assert loss(z.double(), g.double()).dtype == torch.float64


def test_bad_contrasts_are_refused():
    for bad, said in (
        (dict(mode='softer'), "hard.*soft.*'softer'"),
        (dict(init_temperature=0.0), 'init_temperature=0.0'),
        (dict(soft_temperature=-1.0), 'must be positive.*soft_temperature=-1.0'),
        (dict(max_scale=0), 'max_scale=0'),
    ):
        with pytest.raises(ValueError, match=said):
            ContrastiveAlignLoss(**bad)
    for z, g in (
        (feats(4, 8), feats(3, 8)),
        (feats(4, 8), feats(4, 6)),
        (feats(2, 3, 8), feats(2, 3, 8)),
    ):
        with pytest.raises(ValueError, match=r'must be \(B, D\)'):
            ContrastiveAlignLoss()(z, g)


def run_contrast(z, g, mode, **options):
    """Loss and its gradients."""
    z, g = (x.requires_grad_() for x in (z, g))
    loss = ContrastiveAlignLoss(mode, init_temperature=0.3, **options)
    value = loss(z, g)
    value.backward()
    return value.detach(), z.grad, g.grad, loss.log_scale.grad


def contrast_of_a_rank(rank, mode, sizes=(3, 3), gather=True):
    first = sum(sizes[:rank])
    z, g = (feats(6, 8, seed=s)[first : first + sizes[rank]] for s in (1, 2))
    return run_contrast(z, g, mode, gather=gather)


@pytest.mark.slow
@pytest.mark.xdist_group('ranks')
@pytest.mark.parametrize('mode', ['hard', 'soft'])
def test_contrast_of_two_ranks_is_that_of_the_joined_batch(ranks, mode):
    """T8."""
    values, z, g, scale = zip(*ranks(contrast_of_a_rank, mode))
    expected = run_contrast(*(feats(6, 8, seed=s) for s in (1, 2)), mode)
    # Each rank sums the gradients of all losses; DDP averages over ranks.
    found = sum(values) / 2, torch.cat(z) / 2, torch.cat(g) / 2, sum(scale) / 2
    torch.testing.assert_close(found, expected)


def refused(rank):
    with pytest.raises(ValueError, match=r'same batch size, got \[2, 4\]: set drop_last=True'):
        contrast_of_a_rank(rank, 'hard', sizes=(2, 4))


@pytest.mark.slow
@pytest.mark.xdist_group('ranks')
def test_ranks_can_contrast_on_their_own_but_not_with_batches_of_two_sizes(ranks):
    for rank, out in enumerate(ranks(contrast_of_a_rank, 'hard', (3, 3), False)):
        z, g = (feats(6, 8, seed=s)[3 * rank :][:3] for s in (1, 2))
        assert out[0].item() == pytest.approx(contrast_of(z, g, 1 / 0.3), rel=1e-5)
    ranks(refused)


# Matched-concept loss.


def sets(M=4, S=6, B=3, D=8):
    return feats(B, M, D, seed=3), feats(B, S, D, seed=4)


def matched(*args, **kwargs):
    return MODELS.build(dict(type='mmkd3d.MatchedConceptLoss', **kwargs))(*args)


@pytest.mark.parametrize(
    'M, S, matcher', [(4, 6, 'exact'), (6, 4, 'greedy'), (5, 5, 'greedy'), (1, 3, 'exact')]
)
def test_matched_loss_is_that_of_the_loop(M, S, matcher):
    pred, target = sets(M, S)
    out = matched(pred, target, matcher=matcher)
    total = []
    for b in range(3):
        similarity = torch.tensor([[cos(p, t) for t in target[b]] for p in pred[b]])
        rows, columns = match(similarity[None], matcher)
        assert torch.equal(out.concept[b], rows[0])
        assert torch.equal(out.slot[b], columns[0])
        total += [similarity[r, c] for r, c in zip(rows[0], columns[0])]
    mean = sum(total).item() / len(total)
    assert len(total) == 3 * min(M, S)
    assert out.cosine.item() == pytest.approx(mean, abs=1e-6)
    assert out.loss.item() == pytest.approx(1 - mean, abs=1e-6)


def test_matched_loss_has_its_anchors():
    """T7: 0 for perfect concepts, 2 for opposite ones, for any order and norm."""
    _, target = sets()
    order = torch.randperm(6, generator=torch.Generator().manual_seed(0))
    perfect = matched(3 * target[:, order], target)
    assert perfect.loss.item() == pytest.approx(0, abs=1e-6)
    assert perfect.cosine.item() == pytest.approx(1, abs=1e-6)
    assert torch.equal(perfect.slot, order.expand(3, -1))
    one = target[:, :1].expand(-1, 4, -1)
    assert matched(-one, one).loss.item() == pytest.approx(2, abs=1e-6)


def test_gradient_reaches_the_matched_concepts_alone():
    pred, target = sets(M=6, S=4)
    pred.requires_grad_(), target.requires_grad_()
    out = matched(pred, target)
    assert not out.cosine.requires_grad
    out.loss.backward()
    hit = torch.zeros(3, 6, dtype=torch.bool).scatter_(1, out.concept, True)
    assert torch.equal(pred.grad.abs().sum(2) > 0, hit)
    assert hit.sum() == 12


PAIRED = dict(
    CosineLoss=(dict(), lambda p, t: 1 - cos(p, t)),
    SmoothL1Loss=(dict(beta=0.5), lambda p, t: F.smooth_l1_loss(p, t, beta=0.5).item()),
    L2Loss=(dict(), lambda p, t: (p - t).square().mean().item()),
)


@pytest.mark.parametrize('kind', PAIRED)
def test_pairs_are_compared_by_any_loss(kind):
    options, of_pair = PAIRED[kind]
    pred, target = sets()
    out = matched(pred, target, loss=dict(options, type=f'mmkd3d.{kind}', loss_weight=2.0))
    values = [
        of_pair(pred[b, m], target[b, s])
        for b in range(3)
        for m, s in zip(out.concept[b], out.slot[b])
    ]
    assert out.loss.item() == pytest.approx(2 * sum(values) / 12, rel=1e-5)


@pytest.mark.parametrize('mode', ['hard', 'soft'])
def test_pairs_are_contrasted_over_the_batch(mode):
    pred, target = sets()
    out = matched(pred, target, loss=dict(type='mmkd3d.ContrastiveAlignLoss', mode=mode))
    batch = torch.arange(3)[:, None]
    z, g = (pred[batch, out.concept].flatten(0, 1), target[batch, out.slot].flatten(0, 1))
    expected = contrast_of(z.double(), g.double(), 1 / 0.07, 0.05 if mode == 'soft' else None)
    assert out.loss.item() == pytest.approx(expected, rel=1e-5)


def test_matching_is_not_done_in_half_precision():
    pred, target = sets()
    expected = matched(pred, target)
    with torch.autocast('cpu', torch.bfloat16):
        out = matched(pred, target)
        similarity = cosines(pred, target)
    assert similarity.dtype == torch.float32
    assert torch.equal(similarity, cosines(pred, target))
    torch.testing.assert_close(out.loss, expected.loss)


def test_bad_sets_are_refused():
    pred, target = sets()
    with pytest.raises(ValueError, match="exact, greedy, got 'best'"):
        matched(pred, target, matcher='best')
    for bad in (target[:2], target[..., :5], target[0]):
        with pytest.raises(ValueError, match=r'\(3, 4, 8\) and'):
            matched(pred, bad)
    pred[1, 2, 3] = float('nan')
    for matcher in ('exact', 'greedy'):
        with pytest.raises(ValueError, match=r'in samples \[1\] of a batch'):
            matched(pred, target, matcher=matcher)
