"""Compare a set of predictions with a set of targets."""
from typing import NamedTuple, Optional

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mmkd3d.ops.matching import MATCHERS, match
from mmkd3d.registry import MODELS


class Matched(NamedTuple):
    """What a matching of M concepts with S slots came to.

    Attributes:
        loss: Weighted.
        cosine: Mean of the P pairs, before the loss; no gradient.
        concept, slot: (B, P), who was matched with whom.
    """
    loss: Tensor
    cosine: Tensor
    concept: Tensor
    slot: Tensor


@MODELS.register_module()
class MatchedConceptLoss(nn.Module):
    """Loss of the pairs of a one-to-one matching (set regression).

    Predictions and targets are matched by their cosine, without gradient;
    ``min(M, S)`` pairs remain (as the views in ReCon++).

    Args:
        loss: Config of a loss ``(P, D), (P, D)`` of pairs; default
            :class:`CosineLoss`. A contrast has the pairs of the whole batch
            as its negatives.
        matcher: ``'exact'`` or ``'greedy'``, see :func:`mmkd3d.ops.match`.
    """

    def __init__(self, loss: Optional[dict] = None, *, matcher: str = 'exact'):
        super().__init__()
        if matcher not in MATCHERS:
            raise ValueError(f'matcher is one of {", ".join(MATCHERS)}, got '
                             f'{matcher!r}.')
        self.loss = MODELS.build(loss or dict(type='mmkd3d.CosineLoss'))
        self.matcher = matcher

    def forward(self, pred: Tensor, target: Tensor) -> Matched:
        """Compare ``pred`` (B, M, D) with ``target`` (B, S, D)."""
        cosine = cosines(pred.detach(), target)
        concept, slot = match(cosine, self.matcher)
        pred, target = (
            x.take_along_dim(i[..., None], 1).flatten(0, 1)
            for x, i in ((pred, concept), (target, slot)))
        batch = torch.arange(len(cosine), device=cosine.device)[:, None]
        return Matched(
            self.loss(pred, target), cosine[batch, concept, slot].mean(),
            concept, slot)


def cosines(pred: Tensor, target: Tensor) -> Tensor:
    """(B, M, S) in float32, also under autocast."""
    with torch.autocast(pred.device.type, enabled=False):
        a, b = (F.normalize(x.float(), dim=-1) for x in (pred, target))
        return a @ b.mT
