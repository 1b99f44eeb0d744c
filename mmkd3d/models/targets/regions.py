"""Parts of pictures that a teacher finds alike: K-means on its tokens."""
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Regions(NamedTuple):
    """Means (P, K, D) of clusters, and which exist, (P, K) bool."""
    feats: Tensor
    found: Tensor


def find_regions(tokens: Tensor,
                 saliency: Tensor,
                 foreground: Tensor,
                 num_regions: int,
                 num_iters: int = 5) -> Regions:
    """K-means of the foreground of pictures, the same in every run.

    Begins with the most salient token, then the farthest from those chosen.

    Args:
        tokens: (P, L, D).
        saliency: (P, L).
        foreground: (P, L) bool.
        num_regions: K.
        num_iters: How often clusters are formed anew.

    Returns:
        Regions: Fewer than K exist where there are fewer different tokens in
        the foreground.
    """
    tokens = tokens.float()
    centers = _starts(tokens, saliency, foreground, num_regions)
    for _ in range(num_iters):
        nearest = torch.cdist(
            centers, tokens,
            compute_mode='donot_use_mm_for_euclid_dist').argmin(1)  # (P, L)
        members = F.one_hot(nearest, num_regions)
        members = (members * foreground[..., None]).float()  # (P, L, K)
        count = members.sum(1)  # (P, K)
        means = members.mT @ tokens / count.clamp(min=1)[..., None]
        centers = means.where(count[..., None] > 0, centers)
    return Regions(means, count > 0)


def _starts(tokens: Tensor, saliency: Tensor, foreground: Tensor,
            num: int) -> Tensor:
    """First centres (P, num, D)."""
    index = saliency.masked_fill(~foreground, -torch.inf).argmax(1)
    far = torch.full_like(saliency, torch.inf)
    centers = []
    for _ in range(num):
        center = tokens.take_along_dim(index[:, None, None], 1)
        centers.append(center)
        far = far.minimum((tokens - center).square().sum(-1))
        index = far.masked_fill(~foreground, -1.).argmax(1)
    return torch.cat(centers, 1)
