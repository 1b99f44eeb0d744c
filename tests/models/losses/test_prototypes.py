"""Prototype loss against a loop."""

import math

import pytest
import torch

from mmkd3d.models.losses.prototypes import PrototypeKLLoss
from mmkd3d.registry import MODELS

from .test_concept_losses import cos, feats, sets


def kinds(n=300, D=8, K=4, noise=0.1, seed=0):
    """Features around K directions, with different norms."""
    directions = torch.linalg.qr(feats(D, D, seed=7)).Q[:K]
    generator = torch.Generator().manual_seed(seed)
    kind = torch.randint(K, (n,), generator=generator)
    length = 1 + 9 * torch.rand(n, 1, generator=generator)
    around = directions[kind] + noise * torch.randn(n, D, generator=generator)
    return length * around, directions, kind


def prototypes(P=4, **kwargs):
    loss = MODELS.build(dict(type='mmkd3d.PrototypeKLLoss', dims=8, num_prototypes=P, **kwargs))
    loss.fit(kinds()[0])
    return loss


def test_prototypes_are_the_directions_of_the_targets():
    loss = prototypes()
    _, directions, _ = kinds()
    torch.testing.assert_close(loss.prototypes.norm(dim=1), torch.ones(4))
    cosine = loss.prototypes @ directions.T
    assert cosine.max(1).values.min() > 0.99
    assert cosine.argmax(1).sort().values.tolist() == [0, 1, 2, 3]
    torch.manual_seed(5)
    assert torch.equal(prototypes().prototypes, loss.prototypes)


def test_prototype_loss_is_that_of_the_loop():
    loss = prototypes(P=6, temperature=0.3, loss_weight=0.7)
    pred, target = feats(5, 8, seed=1), feats(5, 8, seed=2)

    def assign(x):
        weights = [math.exp(cos(x, p) / 0.3) for p in loss.prototypes]
        return [w / sum(weights) for w in weights]

    total = 0
    for p, t in zip(pred, target):
        total += sum(b * math.log(b / a) for a, b in zip(assign(p), assign(t)))
    expected = 0.7 * total / 5
    assert loss(pred, target).item() == pytest.approx(expected, rel=1e-4)
    torch.testing.assert_close(loss(pred[None], target[None]), loss(pred, target))


def test_prototype_loss_has_its_anchors():
    loss, (target, directions, _) = prototypes(), kinds(20, seed=3)
    assert loss(3 * target, target).item() == pytest.approx(0, abs=1e-6)
    assert loss(-target, target) > loss(feats(20, 8), target) > 0.1
    # Components orthogonal to all prototypes have no effect.
    loss.prototypes.copy_(directions)
    beside = torch.linalg.qr(feats(8, 8, seed=7)).Q[4]
    target = target - (target @ beside)[:, None] * beside
    torch.testing.assert_close(loss(target + 3 * beside, target), loss(target - 3 * beside, target))
    pred = feats(20, 8).requires_grad_()
    loss(pred, target).backward()
    assert pred.grad.norm(dim=1).min() > 0


def test_checkpoints_have_the_prototypes():
    loss = prototypes()
    other = PrototypeKLLoss(8, 4)
    pred, target = feats(5, 8, seed=1), feats(5, 8, seed=2)
    with pytest.raises(RuntimeError, match='PrototypeKLLoss is not fitted'):
        other(pred, target)
    other.load_state_dict(loss.state_dict(), strict=True)
    assert torch.equal(other(pred, target), loss(pred, target))


def test_pairs_are_compared_by_prototypes():
    pred, target = sets()
    of_pair = dict(type='mmkd3d.PrototypeKLLoss', dims=8, num_prototypes=4)
    loss = MODELS.build(dict(type='mmkd3d.MatchedConceptLoss', loss=of_pair))
    loss.loss.fit(kinds()[0])
    out = loss(pred, target)
    batch = torch.arange(3)[:, None]
    expected = prototypes()(pred[batch, out.concept], target[batch, out.slot])
    torch.testing.assert_close(out.loss, expected)


def test_bad_prototypes_are_refused():
    with pytest.raises(ValueError, match='temperature must be positive, got 0'):
        PrototypeKLLoss(8, temperature=0)
    for bad, said in (
        (feats(3, 8), 'at least 4 features, got 3'),
        (feats(9, 7), r'\(n, 8\), got \(9, 7\)'),
        (torch.full((9, 8), math.nan), '9 of 9 .* NaN'),
    ):
        with pytest.raises(ValueError, match=said):
            PrototypeKLLoss(8, 4).fit(bad)
