"""Features of coarse tokens, carried to finer ones and mixed with theirs."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mmkd3d.ops import three_interpolate

from .row_norm import RowBatchNorm


def linear_norm(in_dims: int, out_dims: int) -> nn.Sequential:
    """A layer with its norm, over rows of tokens."""
    return nn.Sequential(nn.Linear(in_dims, out_dims), RowBatchNorm(out_dims))


class ResidualMLP(nn.Module):
    """Two layers with norms around a shortcut, over rows (L, C)."""

    def __init__(self, dims: int):
        super().__init__()
        self.first = linear_norm(dims, dims)
        self.second = linear_norm(dims, dims)

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(self.second(F.gelu(self.first(x))) + x)


class FeaturePropagation(nn.Module):
    """Token propagation of Point-M2AE's decoder (section 3.3).

    Args:
        fine_dims: Width of the finer tokens and of the result, C.
        coarse_dims: Width of the coarser tokens, D.
        depth: Residual MLPs after the two were fused.
    """

    def __init__(self, fine_dims: int, coarse_dims: int, depth: int = 1):
        super().__init__()
        self.fuse = linear_norm(fine_dims + coarse_dims, fine_dims)
        self.extraction = nn.Sequential(*(ResidualMLP(fine_dims) for _ in range(depth)))

    def forward(
        self, fine_centers: Tensor, coarse_centers: Tensor, fine: Tensor, coarse: Tensor
    ) -> Tensor:
        """Bring ``coarse`` to the finer centres and mix it in.

        Args:
            fine_centers: (B, n, 3).
            coarse_centers: (B, m, 3).
            fine: (B, n, C).
            coarse: (B, m, D).

        Returns:
            (B, n, C).
        """
        up = three_interpolate(fine_centers, coarse_centers, coarse, squared=True)
        x = torch.cat([fine, up], dim=2).flatten(0, 1)
        return self.extraction(F.gelu(self.fuse(x))).view(fine.shape)
