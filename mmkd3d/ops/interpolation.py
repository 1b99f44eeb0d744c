"""Interpolate features from the three nearest points."""

import torch
from torch import Tensor
from torch.nn import functional as F

from .gather import gather
from .neighbors import Neighbors, knn


def three_nn(target: Tensor, source: Tensor) -> Neighbors:
    """Find the three nearest source points of each target.

    Args:
        target: (B, n, 3) coordinates.
        source: (B, m, 3) coordinates.

    Returns:
        dist: (B, n, 3) distances, **not** squared, ascending; infinite for
            missing neighbours (m < 3).
        idx: (B, n, 3) indices into m; ties by lower index, 0 where infinite.
    """
    dist, idx = _three_nn_squared(target, source)
    return Neighbors(dist.sqrt(), idx)


def _three_nn_squared(target: Tensor, source: Tensor) -> Neighbors:
    found = min(3, source.shape[1])
    dist, idx = knn(target, source, found)
    return Neighbors(F.pad(dist, (0, 3 - found), value=torch.inf), F.pad(idx, (0, 3 - found)))


def three_interpolate(
    target: Tensor, source: Tensor, feats: Tensor, *, squared: bool = False
) -> Tensor:
    """Interpolate features of source points at target points.

    The weights are inverse distances (mmdet3d, PointNet++), or inverse
    squared distances (ACT, Point-MAE, I2P-MAE segmentation), normalised.

    Args:
        target: (B, n, 3) coordinates.
        source: (B, m, 3) coordinates.
        feats: (B, m, C) features of the source points; the only differentiable
            input.
        squared: Weights ``1 / (d**2 + 1e-8)`` instead of ``1 / (d + 1e-8)``.

    Returns:
        (B, n, C) in float32, or float64 if ``feats`` are.

    Raises:
        ValueError: Mismatched shapes.
    """
    if feats.ndim != 3 or feats.shape[:2] != source.shape[:2]:
        raise ValueError(
            'feats must have shape (B, m, C) for source (B, m, 3), got '
            f'{tuple(feats.shape)} for {tuple(source.shape)}'
        )
    dist, idx = _three_nn_squared(target, source)
    weight = 1 / ((dist if squared else dist.sqrt()) + 1e-8)
    weight = weight / weight.sum(-1, keepdim=True)
    if feats.dtype != torch.float64:
        feats = feats.float()
    # one neighbour at a time: (B, n, 3, C) would take three times the memory
    out = gather(feats, idx[..., 0]) * weight[..., :1]
    for i in (1, 2):
        out = torch.addcmul(out, gather(feats, idx[..., i]), weight[..., i : i + 1])
    return out
