"""Rows of the visible and of the masked patches."""

import torch
from torch import Tensor


def num_visible(mask: Tensor) -> int:
    """V, the number of visible patches of each cloud.

    A masker writes it to its masks, since a GPU has to be waited for to read it from their values.

    Args:
        mask: (B, G) bool, True = masked, equally many in every row.
    """
    if not hasattr(mask, 'num_visible'):
        mask.num_visible = int((~mask[0]).sum())
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
