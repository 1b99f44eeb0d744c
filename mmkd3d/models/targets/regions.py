"""Parts of pictures that a teacher finds alike: K-means on its tokens."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Regions(NamedTuple):
    """Clusters of tokens.

    Attributes:
        feats: (P, K, D) float32, their means; 0 where there is none.
        found: (P, K) bool, which of them have members.
    """

    feats: Tensor
    found: Tensor


@torch.no_grad()
def find_regions(
    tokens: Tensor, saliency: Tensor, foreground: Tensor, num_regions: int, num_iters: int = 5
) -> Regions:
    """K-means of the foreground of P pictures, each on its own (DC-5).

    Nothing is drawn: centres begin at the most salient token, then at the
    farthest from those chosen; of equal ones, the first. A cluster that loses
    its members keeps its centre. Never computed in half precision.

    Args:
        tokens: (P, L, D).
        saliency: (P, L), finite.
        foreground: (P, L) bool.
        num_regions: K.
        num_iters: How often tokens choose the nearest centre, at least once.

    Returns:
        Regions: None exist in a picture without foreground, and not more than
        it has different tokens there.
    """
    # Empty places may be anything, but 0 * inf is not 0.
    tokens = tokens.float().masked_fill(~foreground[..., None], 0.0)
    centers = _starts(tokens, saliency, foreground, num_regions)
    with torch.autocast(tokens.device.type, enabled=False):
        for _ in range(num_iters):
            nearest = torch.cdist(
                centers, tokens, compute_mode='donot_use_mm_for_euclid_dist'
            ).argmin(1)
            members = F.one_hot(nearest, num_regions)  # (P, L, K)
            members = (members * foreground[..., None]).float()
            count = members.sum(1)  # (P, K)
            means = members.mT @ tokens / count.clamp(min=1)[..., None]
            centers = means.where(count[..., None] > 0, centers)
    return Regions(means, count > 0)


def _starts(tokens: Tensor, saliency: Tensor, foreground: Tensor, num: int) -> Tensor:
    """First centres (P, num, D), as :func:`find_regions` chooses them."""
    index = saliency.masked_fill(~foreground, -torch.inf).argmax(1)
    far = torch.full_like(saliency, torch.inf)
    centers = []
    for _ in range(num):
        center = tokens.take_along_dim(index[:, None, None], 1)
        centers.append(center)
        far = far.minimum((tokens - center).square().sum(-1))
        index = far.masked_fill(~foreground, -1.0).argmax(1)
    return torch.cat(centers, 1)
