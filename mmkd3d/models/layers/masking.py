"""Rows of the visible and of the masked patches."""

import torch
from torch import Tensor


def num_visible(mask: Tensor) -> int:
    """V, the number of visible patches of each cloud.

    A masker writes it to its masks, since a GPU has to be waited for to read it from their values.

    Args:
        mask: (B, G) bool, True = masked, equally many in every row.

    Raises:
        RuntimeError: The rows differ, or the mask was changed after it was drawn.
    """
    if not hasattr(mask, 'num_visible'):
        mask.num_visible = int((~mask[0]).sum())
    torch._assert_async(  # does not wait for a GPU
        ((~mask).sum(1) == mask.num_visible).all(),
        f'Every row of a mask needs the same number of visible patches, {mask.num_visible} here: '
        'draw equally many in each, and copy a mask (mask.clone()) before you change it.',
    )
    return mask.num_visible


def sort_by_mask(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Indices of the visible patches (B, V) and the masked ones (B, M), in B * G rows of patches.

    Args:
        mask: (B, G) bool, True = masked, equally many in every row.
    """
    B, G = mask.shape
    rank = torch.arange(G, device=mask.device)
    order = (mask * G + rank).argsort(dim=1)
    order = order + G * torch.arange(B, device=mask.device)[:, None]
    return order.tensor_split((num_visible(mask),), dim=1)
