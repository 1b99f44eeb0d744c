"""Folding: from the feature of a patch to its points."""

from typing import NamedTuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor


class Folded(NamedTuple):
    """Points relative to the centre of their patch.

    Attributes:
        coarse: (B, G, K / 4, 3).
        fine: (B, G, K, 3); points 4m to 4m + 3 belong to coarse point m.
    """

    coarse: Tensor
    fine: Tensor


class FoldingDecoder(nn.Module):
    """Coarse points from an MLP; each unfolds to a 2 x 2 grid (PCN, ACT).

    Args:
        embed_dims: Width of the feature of a patch, C.
        group_size: Fine points per patch, K; a multiple of 4.
        hidden_dims: Width of the folding MLP.
        coarse_dims: Width of the MLP of the coarse points.
        grid_size: Half the edge of the grid, in units of the cloud.
    """

    def __init__(
        self,
        embed_dims: int,
        group_size: int,
        *,
        hidden_dims: int = 512,
        coarse_dims: int = 1024,
        grid_size: float = 0.05,
    ):
        super().__init__()
        if group_size % 4:
            raise ValueError(
                'Folding makes 4 fine points of a coarse one: '
                f'group_size={group_size} is no multiple of 4.'
            )
        self.coarse = nn.Sequential(
            nn.Linear(embed_dims, coarse_dims),
            nn.ReLU(inplace=True),
            nn.Linear(coarse_dims, coarse_dims),
            nn.ReLU(inplace=True),
            nn.Linear(coarse_dims, 3 * group_size // 4),
        )
        self.fold = nn.Sequential(
            nn.Linear(embed_dims + 5, hidden_dims),
            nn.BatchNorm1d(hidden_dims),
            nn.ReLU(inplace=True),
            nn.Linear(hidden_dims, hidden_dims),
            nn.BatchNorm1d(hidden_dims),
            nn.ReLU(inplace=True),
            nn.Linear(hidden_dims, 3),
        )
        side = torch.tensor([-grid_size, grid_size])
        grid = torch.cartesian_prod(side, side).flip(1)  # first varies first
        self.register_buffer('grid', grid, persistent=False)

    def forward(self, feats: Tensor) -> Folded:
        """Decode ``feats`` (B, G, C)."""
        B, G, C = feats.shape
        coarse = self.coarse(feats).view(B, G, -1, 1, 3)  # (B, G, K/4, 1, 3)
        M = coarse.shape[2]
        start = coarse.expand(-1, -1, -1, 4, -1)
        local = torch.cat([self.grid.expand(B, G, M, 4, 2), start], dim=-1)
        # The first layer over [feature, grid, point], with the part of the
        # feature, the same for all points of a patch, computed once.
        layer = self.fold[0]
        of_feature, of_local = layer.weight.split([C, 5], dim=1)
        x = F.linear(local.view(B, G, 4 * M, 5), of_local)
        x += F.linear(feats, of_feature, layer.bias)[:, :, None]
        x = self.fold[1:](x.flatten(0, 2)).view(B, G, 4 * M, 3)
        return Folded(coarse.squeeze(3), x + start.flatten(2, 3))
