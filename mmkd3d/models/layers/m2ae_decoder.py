"""Decoder of Point-M2AE, from coarse to fine."""

from collections.abc import Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mmkd3d.ops import three_interpolate
from mmkd3d.registry import MODELS

from .patches import RowBatchNorm
from .transformer import block_stacks, init_transformer, position_mlp


def linear_norm(in_dims: int, out_dims: int) -> nn.Sequential:
    """Linear layer and norm over rows of tokens."""
    return nn.Sequential(nn.Linear(in_dims, out_dims), RowBatchNorm(out_dims))


class ResidualMLP(nn.Module):
    """Two linear layers with norms and a shortcut, over rows (L, C)."""

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
        depth: Number of residual MLPs after the fusion.
    """

    def __init__(self, fine_dims: int, coarse_dims: int, depth: int = 1):
        super().__init__()
        self.fuse = linear_norm(fine_dims + coarse_dims, fine_dims)
        self.extraction = nn.Sequential(*(ResidualMLP(fine_dims) for _ in range(depth)))

    def forward(
        self, fine_centers: Tensor, coarse_centers: Tensor, fine: Tensor, coarse: Tensor
    ) -> Tensor:
        """Interpolate coarse tokens at the finer centres and fuse them with the fine ones.

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


@MODELS.register_module()
class M2AEDecoder(nn.Module):
    """Fill in the masked tokens, level by level (Point-M2AE, section 3.3).

    At the top level, masked tokens are replaced by a learned token. On each finer level, the
    decoded tokens of the coarser level are interpolated at its centres and fused with the tokens
    of the student. Arguments with a value per stage start with the coarsest.

    Args:
        stage_dims: Widths of the stages: those of the student's levels from the top down, as many
            as are decoded.
        depths: Number of blocks of each stage.
        num_heads: Attention heads of all stages.
        propagation_depths: Number of residual MLPs between two stages.
        drop_path_rate: Stochastic depth of the last block of the last stage.
    """

    def __init__(
        self,
        *,
        stage_dims: Sequence[int] = (384, 192),
        depths: Sequence[int] = (1, 1),
        num_heads: int = 6,
        propagation_depths: Sequence[int] = (1,),
        drop_path_rate: float = 0.1,
    ):
        super().__init__()
        if not (len(stage_dims) == len(depths) == len(propagation_depths) + 1):
            raise ValueError(
                'stage_dims and depths must have one value for each stage, propagation_depths one '
                f'less, got {tuple(stage_dims)}, {tuple(depths)} and {tuple(propagation_depths)}.'
            )
        self.stage_dims = tuple(stage_dims)
        self.embed_dims = stage_dims[-1]
        self.mask_token = nn.Parameter(torch.zeros(1, stage_dims[0]))
        self.pos_embeds = nn.ModuleList(position_mlp(dims, dims) for dims in stage_dims)
        self.stages = block_stacks(
            stage_dims, depths, num_heads=num_heads, drop_path_rate=drop_path_rate
        )
        self.propagations = nn.ModuleList(
            FeaturePropagation(fine, coarse, depth)
            for coarse, fine, depth in zip(stage_dims, stage_dims[1:], propagation_depths)
        )
        self.norm = nn.LayerNorm(self.embed_dims)
        self.init_weights()

    def init_weights(self) -> None:
        """Initialise the blocks by Xavier; the rest has torch's defaults."""
        init_transformer(self.stages, nn.init.xavier_uniform_)
        nn.init.trunc_normal_(self.mask_token, std=0.02)

    def forward(self, levels: Sequence[Tensor], centers: Sequence[Tensor], mask: Tensor) -> Tensor:
        """Predict all tokens of the level of the last stage.

        Args:
            levels: For each level of the student, finest first, its tokens
                (B, G_i, C_i), 0 where masked.
            centers: Of each level, (B, G_i, 3).
            mask: (B, G) bool of the top level, True = masked.

        Returns:
            (B, G_i, C_i) of level ``len(levels) - number of stages``.
        """
        x = levels[-1].where(~mask[..., None], self.mask_token)
        x, _ = self.stages[0](x, self.pos_embeds[0](centers[-1]))
        for s, propagate in enumerate(self.propagations, start=1):
            x = propagate(centers[-s - 1], centers[-s], levels[-s - 1], x)
            x, _ = self.stages[s](x, self.pos_embeds[s](centers[-s - 1]))
        return self.norm(x)
