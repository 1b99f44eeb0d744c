"""Transformer blocks over tokens that have a position in space."""

from collections.abc import Callable, Collection, Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from timm.models.vision_transformer import Block
from torch import Tensor


def position_mlp(embed_dims: int, hidden_dims: int = 128) -> nn.Sequential:
    """Position embedding of patch centres, (..., 3) -> (..., C)."""
    return nn.Sequential(nn.Linear(3, hidden_dims), nn.GELU(), nn.Linear(hidden_dims, embed_dims))


class LocalBlock(Block):
    """timm's block, in which tokens may attend to some others only.

    As :class:`PointBlocks` builds it: without layer scales, and without norms
    of queries and keys.
    """

    def forward(self, x: Tensor, allowed: Tensor | None = None) -> Tensor:
        """Run on tokens (B, L, C).

        Args:
            x: The tokens.
            allowed: (B, 1, 1 or L, L) bool, which keys (last axis) a query
                may see; at least one each. None: all.
        """
        if allowed is None:
            return super().forward(x)
        attn = self.attn
        qkv = attn.qkv(self.norm1(x)).unflatten(2, (3, attn.num_heads, -1))
        read = F.scaled_dot_product_attention(*qkv.permute(2, 0, 3, 1, 4), attn_mask=allowed)
        x = x + self.drop_path1(attn.proj(read.transpose(1, 2).flatten(2)))
        return x + self.drop_path2(self.mlp(self.norm2(x)))


class PointBlocks(nn.ModuleList):
    """A stack of pre-norm ViT blocks that all see the position embedding.

    The position is added to the stream before *every* block, so that it also
    accumulates along the residual path, as in Point-BERT and what descends
    from it. The blocks are timm's, with LayerNorm eps 1e-5 and no qkv bias.

    Args:
        embed_dims: Width, C.
        depth: Number of blocks.
        num_heads: Attention heads.
        drop_path: Stochastic depth: its rate in the last block, rising
            linearly from 0, or one rate for each block.
        mlp_ratio: Width of the MLP over C.
        block: Builds a block from the same arguments as timm's.
    """

    def __init__(
        self,
        embed_dims: int,
        depth: int,
        *,
        num_heads: int,
        drop_path: float | Sequence[float] = 0.0,
        mlp_ratio: float = 4.0,
        block: Callable[..., nn.Module] = Block,
    ):
        if isinstance(drop_path, (int, float)):
            drop_path = torch.linspace(0, drop_path, depth).tolist()
        super().__init__(
            block(embed_dims, num_heads, mlp_ratio, drop_path=rate, norm_layer=nn.LayerNorm)
            for rate in drop_path
        )

    def forward(
        self, x: Tensor, pos: Tensor, out_indices: Collection[int] = (), **kwargs
    ) -> tuple[Tensor, dict]:
        """Run the blocks.

        Args:
            x: (B, L, C) tokens.
            pos: (B, L, C) position embedding of the tokens.
            out_indices: Blocks whose output is wanted too, counted from 0.
            kwargs: Given to every block.

        Returns:
            The output of the last block, and index to output of those asked
            for.
        """
        wanted = {}
        for index, block in enumerate(self):
            x = block(x + pos, **kwargs)
            if index in out_indices:
                wanted[index] = x
        return x, wanted


def block_stacks(
    dims: Sequence[int], depths: Sequence[int], *, drop_path_rate: float, **kwargs
) -> nn.ModuleList:
    """A stack of blocks for each of several levels.

    Args:
        dims: Widths.
        depths: Numbers of blocks.
        drop_path_rate: Stochastic depth of the last block of all, rising
            linearly from 0 in the first.
        kwargs: Of :class:`PointBlocks`.
    """
    rates = torch.linspace(0, drop_path_rate, sum(depths)).split(list(depths))
    return nn.ModuleList(
        PointBlocks(width, depth, drop_path=rate.tolist(), **kwargs)
        for width, depth, rate in zip(dims, depths, rates)
    )


def init_transformer(module: nn.Module, weight_init: Callable | None = None) -> None:
    """Initialise every Linear of ``module``; biases become 0.

    Args:
        module: What is initialised, in place.
        weight_init: Of the weights; default truncated normal, std 0.02.
    """
    for m in module.modules():
        if isinstance(m, nn.Linear):
            if weight_init is None:
                nn.init.trunc_normal_(m.weight, std=0.02)
            else:
                weight_init(m.weight)
            if m.bias is not None:
                nn.init.zeros_(m.bias)
