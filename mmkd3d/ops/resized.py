"""Sample resized maps without resizing them."""

import torch
from torch import Tensor
from torch.nn import functional as F

from .projection import height_width

SHARPNESS = -0.75  # of the cubic kernel, as in torch


def sample_resized(maps: Tensor, pixels: Tensor, size: int | tuple[int, int]) -> Tensor:
    """Sample bicubically resized maps at integer pixels.

    Equals indexing ``F.interpolate(maps, size, mode='bicubic')``, but reads
    only the 4 x 4 map pixels around each point.

    Args:
        maps: (B, V, C, h, w), V maps of each sample; differentiable.
        pixels: (B, V, M, 2) long, row and column of the resized maps. The
            range is checked on the CPU only, as in ``gather``.
        size: Height and width of the resized maps, or one number for both.

    Returns:
        (B, M, V, C) float32, even under autocast.

    Raises:
        ValueError: Mismatched shapes or pixels out of range.
    """
    if (
        maps.ndim != 5
        or pixels.ndim != 4
        or pixels.shape[-1] != 2
        or maps.shape[:2] != pixels.shape[:2]
    ):
        raise ValueError(
            'sample_resized needs maps (B, V, C, h, w) and pixels '
            f'(B, V, M, 2), got {tuple(maps.shape)} and '
            f'{tuple(pixels.shape)}'
        )
    size = height_width(size)
    _check_range(pixels, size)
    B, V, C, *own_size = maps.shape
    # one table of all pixels of all maps; each result is a sum of 16 rows
    table = maps.float().permute(0, 1, 3, 4, 2).reshape(-1, C)
    row, column = pixels.transpose(1, 2).unbind(-1)  # (B, M, V)
    (row, row_weight), (column, column_weight) = (
        _taps(index, new, old) for index, new, old in zip((row, column), size, own_size)
    )
    first = torch.arange(B * V, device=maps.device).view(B, 1, V, 1)
    row = first * own_size[0] + row  # (B, M, V, 4)
    index = row[..., None] * own_size[1] + column[..., None, :]
    weight = row_weight[..., None] * column_weight[..., None, :]
    values = F.embedding_bag(
        index.reshape(-1, 16), table, per_sample_weights=weight.reshape(-1, 16), mode='sum'
    )
    return values.view(B, -1, V, C)


def _taps(index: Tensor, new: int, old: int) -> tuple[Tensor, Tensor]:
    """The 4 of ``old`` pixels that contribute to pixel ``index`` (...) of ``new``.

    Returns:
        Their indices and weights (..., 4); indices are clamped to the border.
    """
    place = (index + 0.5) * (old / new) - 0.5
    before = place.floor()
    step = torch.arange(-1, 3, device=index.device)
    source = (before.long()[..., None] + step).clamp(0, old - 1)
    return source, _cubic(((place - before)[..., None] - step).abs())


def _cubic(d: Tensor) -> Tensor:
    """Weights of pixels at the distances ``d``, up to 2 (Keys 1981)."""
    a = SHARPNESS
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return near.where(d <= 1, far)


def _check_range(pixels: Tensor, size: tuple[int, int]) -> None:
    if pixels.is_cuda or not pixels.numel():
        return
    low, high = pixels.flatten(0, 2).aminmax(dim=0)
    if low.min() < 0 or any(h >= s for h, s in zip(high.tolist(), size)):
        raise ValueError(
            f'sample_resized got pixels from {low.tolist()} to '
            f'{high.tolist()} for maps resized to {size}'
        )
