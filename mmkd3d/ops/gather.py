"""Gather points and features by index."""

import torch
from torch import Tensor

from .exporting import is_exporting


def gather(x: Tensor, idx: Tensor) -> Tensor:
    """Gather rows of each sample.

    Args:
        x: (B, N, C) features or coordinates; differentiable.
        idx: (B, ...) int32 or int64, indices into N. The range is checked on
            the CPU only, and not while a model is exported; on a GPU the check
            would synchronize.

    Returns:
        (B, ..., C).

    Raises:
        ValueError: If the batch sizes differ or an index is out of range.
    """
    if x.ndim != 3 or idx.ndim < 1 or x.shape[0] != idx.shape[0]:
        raise ValueError(
            'gather needs x (B, N, C) and idx (B, ...), got '
            f'{tuple(x.shape)} and {tuple(idx.shape)}'
        )
    B, N, C = x.shape
    if idx.numel() and not idx.is_cuda and not is_exporting():
        low, high = (bound.item() for bound in idx.aminmax())
        if low < 0 or high >= N:
            raise ValueError(f'gather got indices from {low} to {high} for N={N} rows per sample')
    # whole rows of one flat table: twice as fast as torch.gather
    start = torch.arange(B, device=idx.device) * N
    rows = idx.reshape(B, -1) + start[:, None]
    return x.reshape(B * N, C).index_select(0, rows.flatten()).view(*idx.shape, C)


def group(points: Tensor, centers: Tensor, idx: Tensor) -> Tensor:
    """Gather patches of clouds, in coordinates relative to their centres.

    Args:
        points: (B, N, 3) coordinates.
        centers: (B, G, 3) coordinates.
        idx: (B, G, K), indices into N, as ``knn`` returns them.

    Returns:
        patches (B, G, K, 3), not rescaled.
    """
    if idx.ndim != 3 or centers.shape[:2] != idx.shape[:2]:
        raise ValueError(
            'group needs centers (B, G, 3) and idx (B, G, K), '
            f'got {tuple(centers.shape)} and {tuple(idx.shape)}'
        )
    return gather(points, idx) - centers[:, :, None]
