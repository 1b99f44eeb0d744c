"""Compare a set of predictions with a set of targets."""

import math
from typing import NamedTuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mmkd3d.ops.matching import MATCHERS, match
from mmkd3d.registry import MODELS


class Matched(NamedTuple):
    """Result of matching M concepts with S slots.

    Attributes:
        loss: Weighted loss of the matched pairs.
        cosine: Mean cosine of the pairs, without gradient.
        concept: (B, P) long, the matched concepts, P = min(M, S).
        slot: (B, P) long, the slot that each of them was matched with.
    """

    loss: Tensor
    cosine: Tensor
    concept: Tensor
    slot: Tensor


@MODELS.register_module()
class MatchedConceptLoss(nn.Module):
    """Loss of the pairs of a one-to-one matching: set regression (DC-8).

    In each cloud, M predictions are matched with S targets by their cosine, without gradient,
    which gives ``min(M, S)`` pairs (as the views in ReCon++).

    Args:
        loss: Config of a loss ``(n, D), (n, D) -> scalar`` of all pairs of the batch; default
            :class:`CosineLoss`. :class:`ContrastiveAlignLoss` takes the other pairs of the batch
            as negatives.
        matcher: ``'exact'`` or ``'greedy'``, see
            :func:`mmkd3d.ops.matching.match`.

    Raises:
        ValueError: The matcher is unknown.
    """

    def __init__(self, loss: dict | None = None, *, matcher: str = 'exact'):
        super().__init__()
        if matcher not in MATCHERS:
            raise ValueError(f'matcher is one of {", ".join(MATCHERS)}, got {matcher!r}.')
        self.loss = MODELS.build(loss or dict(type='mmkd3d.CosineLoss'))
        self.matcher = matcher

    def forward(self, pred: Tensor, target: Tensor) -> Matched:
        """Compare ``pred`` (B, M, D) with ``target`` (B, S, D).

        Raises:
            ValueError: The shapes do not fit, or cosines are not finite.
        """
        if pred.ndim != 3 or pred.shape[::2] != target.shape[::2]:
            raise ValueError(
                'Predictions (B, M, D) are matched with targets (B, S, D), '
                f'got {tuple(pred.shape)} and {tuple(target.shape)}.'
            )
        cosine = cosines(pred.detach(), target.detach())
        concept, slot = match(cosine, self.matcher)
        pred, target = (
            x.take_along_dim(i[..., None], 1).flatten(0, 1)
            for x, i in ((pred, concept), (target, slot))
        )
        batch = torch.arange(len(cosine), device=cosine.device)[:, None]
        return Matched(self.loss(pred, target), cosine[batch, concept, slot].mean(), concept, slot)


def cosines(pred: Tensor, target: Tensor) -> Tensor:
    """Cosines (B, M, S) of ``pred`` (B, M, D) and ``target`` (B, S, D), always in float32."""
    with torch.autocast(pred.device.type, enabled=False):
        a, b = (F.normalize(x.float(), dim=-1) for x in (pred, target))
        return a @ b.mT


@torch.no_grad()
def concept_usage(matched: Matched, num_concepts: int, num_slots: int) -> Tensor:
    """How evenly concepts are matched with the slots over a batch.

    Args:
        matched: Result of a matching of ``num_concepts`` with ``num_slots``.

    Returns:
        Entropy of the slots of a concept relative to that of an even choice, in [0, 1], averaged
        over the concepts. A concept that is never matched counts as 0.
    """
    pairs = (matched.concept * num_slots + matched.slot).flatten()
    counts = torch.bincount(pairs, minlength=num_concepts * num_slots)
    counts = counts.view(num_concepts, num_slots).float()
    share = counts / counts.sum(1, keepdim=True).clamp(min=1)
    entropy = torch.special.entr(share).sum(1)
    return entropy.mean() / math.log(max(num_slots, 2))
