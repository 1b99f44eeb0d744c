"""Shape distributions: features without training, the floor of every probe."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mmkd3d.registry import MODELS

PAIRS = 4096  # of random points of a shape
BINS = 32


@MODELS.register_module()
class ShapeDistributions(nn.Module):
    """Histograms of distances and angles between random points of a cloud; nothing is trained.

    D1, distances from the centre; D2, distances of two points; A3, cosines of angles between
    three points (Osada et al., Shape Distributions, TOG 2002); and the heights, which know the axis
    that points up. A student that was pretrained must give better features than these.

    Attributes:
        embed_dims: Length of a feature, 4 x 32.
    """

    embed_dims = 4 * BINS
    in_channels = 3

    def extract_feat(self, points: Tensor, level: str = 'global', at: Tensor | None = None):
        """Histograms (B, 128) of clouds (B, N, 3+F), y up, each with sum 1.

        Raises:
            ValueError: Another level than 'global'.
        """
        if level != 'global':
            raise ValueError(
                f"Shape distributions describe whole clouds: level='global', got {level!r}."
            )
        draws = torch.Generator().manual_seed(0)  # the same for all shapes
        idx = torch.randint(points.shape[1], (3, PAIRS), generator=draws).to(points.device)
        cloud = points[..., :3] - points[..., :3].mean(1, keepdim=True)
        cloud = cloud / cloud.norm(dim=2).amax(1)[:, None, None]
        a, b, c = cloud[:, idx].unbind(1)
        values = (
            cloud.norm(dim=2),
            (b - a).norm(dim=2) / 2,
            (F.cosine_similarity(b - a, c - a, dim=2) + 1) / 2,
            (cloud[..., 1] + 1) / 2,
        )
        return torch.cat([histogram(v) for v in values], dim=1)


def histogram(values: Tensor) -> Tensor:
    """Histograms (B, BINS) of values (B, M) in [0, 1], each with sum 1."""
    bins = (values * BINS).long().clamp(0, BINS - 1)
    counts = values.new_zeros(len(values), BINS)
    return counts.scatter_add_(1, bins, torch.ones_like(values)) / values.shape[1]
