"""Compare a set of predictions with a set of targets."""

from typing import NamedTuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mmkd3d.ops.matching import MATCHERS, match
from mmkd3d.registry import MODELS


class Matched(NamedTuple):
    """What a matching of M concepts with S slots came to.

    Attributes:
        loss: Of the pairs, weighted.
        cosine: Mean of that of the pairs; no gradient.
        concept: (B, P) long, P = min(M, S).
        slot: (B, P) long, with which of the S each of them was matched.
    """

    loss: Tensor
    cosine: Tensor
    concept: Tensor
    slot: Tensor


@MODELS.register_module()
class MatchedConceptLoss(nn.Module):
    """Loss of the pairs of a one-to-one matching: set regression (DC-8).

    In every cloud M predictions and S targets are matched by their cosine,
    without gradient; ``min(M, S)`` pairs remain (as the views in ReCon++).

    Args:
        loss: Config of a loss ``(n, D), (n, D) -> scalar`` of all pairs of
            the batch; default :class:`CosineLoss`. Others are
            :class:`SmoothL1Loss`, :class:`L2Loss`, :class:`PrototypeKLLoss`
            and, with the other pairs of the batch as negatives,
            :class:`ContrastiveAlignLoss`.
        matcher: ``'exact'`` or ``'greedy'``, see
            :func:`mmkd3d.ops.matching.match`.

    Raises:
        ValueError: An unknown matcher.
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
            ValueError: Other shapes, or cosines that are not finite.
        """
        if pred.ndim != 3 or pred.shape[::2] != target.shape[::2]:
            raise ValueError(
                'Matched are predictions (B, M, D) with targets (B, S, D), '
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
    """Of ``pred`` (B, M, D) with ``target`` (B, S, D): (B, M, S) float32.

    Never computed in half precision.
    """
    with torch.autocast(pred.device.type, enabled=False):
        a, b = (F.normalize(x.float(), dim=-1) for x in (pred, target))
        return a @ b.mT
