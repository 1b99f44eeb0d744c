"""Split tensors by a mask that hides the same number in every row."""

from torch import Tensor


def split_by_mask(x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Visible and masked rows of ``x``, each in its order.

    Args:
        x: (B, G, ...).
        mask: (B, G) bool, True = masked, equally many in every row.

    Returns:
        visible (B, V, ...) and masked (B, M, ...).
    """
    B, tail = len(x), x.shape[2:]
    return (x[~mask].view(B, -1, *tail), x[mask].view(B, -1, *tail))
