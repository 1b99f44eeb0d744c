"""Folding decoder: from the feature of a patch to its points."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor


class FoldingDecoder(nn.Module):
    """Coarse points from an MLP; each is unfolded to a 2 x 2 grid (PCN, ACT).

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
                f'group_size must be a multiple of 4, got {group_size}: each coarse point is '
                'unfolded to 4 fine ones.'
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

    def forward(self, feats: Tensor) -> tuple[Tensor, Tensor]:
        """Decode patches.

        Args:
            feats: (B, G, C).

        Returns:
            Coarse points (B, G, K / 4, 3) and fine points (B, G, K, 3), relative to the centre of
            their patch. Fine points 4m to 4m + 3 belong to coarse point m.
        """
        B, G, C = feats.shape
        coarse = self.coarse(feats).view(B, G, -1, 1, 3)  # (B, G, K/4, 1, 3)
        M = coarse.shape[2]
        start = coarse.expand(-1, -1, -1, 4, -1)
        local = torch.cat([self.grid.expand(B, G, M, 4, 2), start], dim=-1)
        # The first layer reads [feature, grid, point]; the feature is the same for all points of
        # a patch, and its part is computed once.
        layer = self.fold[0]
        weight_feature, weight_local = layer.weight.split([C, 5], dim=1)
        x = F.linear(local.view(B, G, 4 * M, 5), weight_local)
        x += F.linear(feats, weight_feature, layer.bias)[:, :, None]
        x = self.fold[1:](x.flatten(0, 2)).view(B, G, 4 * M, 3)
        return coarse.squeeze(3), x + start.flatten(2, 3)
