"""Chamfer distances between clouds."""

import torch
from torch import Tensor

from .gather import gather
from .neighbors import knn
from .pairwise import check_pair


def chamfer_distance(
    pred: Tensor, target: Tensor, *, norm: str = 'l1', reduction: str = 'mean'
) -> Tensor:
    """Chamfer distance, differentiable in both clouds.

    With ``d1`` the squared distance of each predicted point to the nearest
    target and ``d2`` the reverse: ``(mean sqrt d1 + mean sqrt d2) / 2`` for
    'l1' and ``mean d1 + mean d2`` for 'l2', as ACT, Point-MAE, I2P-MAE and
    ReCon define them. Gradients flow through the nearest pairs only; the
    square root has gradient 0 at distance 0. No N x M matrix is stored.

    Args:
        pred: (B, N, 3) coordinates.
        target: (B, M, 3) coordinates.
        norm: 'l1' or 'l2'.
        reduction: 'mean' over batch and points, or 'none' for one value per
            cloud.

    Returns:
        Scalar or (B,), float32. Float64 input keeps its precision, but the
        nearest points are searched in float32.

    Raises:
        ValueError: Mismatched clouds or an unknown option.
    """
    check_pair('pred', pred, 'target', target)
    if norm not in ('l1', 'l2') or reduction not in ('mean', 'none'):
        raise ValueError(
            "norm must be 'l1' or 'l2' and reduction 'mean' or "
            f"'none', got {norm!r} and {reduction!r}"
        )
    if pred.dtype != torch.float64:
        pred, target = pred.float(), target.float()
    forth, back = _to_nearest(pred, target), _to_nearest(target, pred)
    if norm == 'l1':
        loss = (_sqrt(forth).mean(1) + _sqrt(back).mean(1)) / 2
    else:
        loss = forth.mean(1) + back.mean(1)
    return loss.mean() if reduction == 'mean' else loss


def _to_nearest(query: Tensor, points: Tensor) -> Tensor:
    """Squared distances (B, M) to the nearest point, differentiable."""
    nearest = knn(query, points, 1).idx.squeeze(-1)
    x, y, z = (query - gather(points, nearest)).square().unbind(-1)
    return (x + y) + z


def _sqrt(x: Tensor) -> Tensor:
    """Square root with gradient 0 at 0, where ``torch.sqrt`` has infinity."""
    zero = x == 0
    return x.masked_fill(zero, 1).sqrt().masked_fill(zero, 0)
