"""Transformer over patch tokens: position embedding, blocks and decoder."""

from collections.abc import Callable, Collection, Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from timm.models.vision_transformer import Block
from torch import Tensor

from mmkd3d.registry import MODELS

from .masking import sort_by_mask


def split_by_mask(x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Visible and masked rows of ``x``, each in its order.

    Args:
        x: (B, G, ...).
        mask: (B, G) bool, True = masked, equally many in every row.

    Returns:
        visible (B, V, ...) and masked (B, M, ...).
    """
    visible, masked = (
        x.flatten(0, 1).index_select(0, rows.flatten()).view(*rows.shape, *x.shape[2:])
        for rows in sort_by_mask(mask)
    )
    return visible, masked


def position_mlp(embed_dims: int, hidden_dims: int = 128) -> nn.Sequential:
    """Position embedding of patch centres, (..., 3) -> (..., C)."""
    return nn.Sequential(nn.Linear(3, hidden_dims), nn.GELU(), nn.Linear(hidden_dims, embed_dims))


class LocalBlock(Block):
    """timm's block with an attention mask.

    Layer scales and norms of queries and keys are not supported.
    """

    def forward(self, x: Tensor, allowed: Tensor | None = None) -> Tensor:
        """Run on tokens (B, L, C).

        Args:
            x: The tokens.
            allowed: (B, 1, 1 or L, L) bool, True where a query may attend to a key (last axis);
                at least one key per query. None: all.
        """
        if allowed is None:
            return super().forward(x)
        attn = self.attn
        qkv = attn.qkv(self.norm1(x)).unflatten(2, (3, attn.num_heads, -1))
        out = F.scaled_dot_product_attention(*qkv.permute(2, 0, 3, 1, 4), attn_mask=allowed)
        x = x + self.drop_path1(attn.proj(out.transpose(1, 2).flatten(2)))
        return x + self.drop_path2(self.mlp(self.norm2(x)))


class PointBlocks(nn.ModuleList):
    """A stack of pre-norm ViT blocks with a position embedding.

    The position embedding is added to the tokens before *every* block, and thus also accumulates
    along the residual path, as in Point-BERT and its successors. The blocks are timm's, with
    LayerNorm eps 1e-5 and no qkv bias.

    Args:
        embed_dims: Width, C.
        depth: Number of blocks.
        num_heads: Attention heads.
        drop_path: Stochastic depth: its rate in the last block, rising
            linearly from 0, or one rate for each block.
        mlp_ratio: Width of the MLP over C.
        block: Builds a block from the same arguments as timm's.

    Raises:
        ValueError: A drop path outside [0, 1), a negative depth, or heads that do not divide C.
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
        rates = drop_path if isinstance(drop_path, Sequence) else [drop_path]
        if not all(0 <= rate < 1 for rate in rates):
            raise ValueError(f'drop_path must be in [0, 1), got {drop_path}.')
        if not 0 <= depth <= 1000:
            raise ValueError(f'depth must be between 0 and 1000, got {depth}.')
        if num_heads < 1 or embed_dims % num_heads:
            raise ValueError(f'num_heads must divide embed_dims={embed_dims}, got {num_heads}.')
        if rates is not drop_path:
            rates = torch.linspace(0, drop_path, depth).tolist()
        super().__init__(
            block(embed_dims, num_heads, mlp_ratio, drop_path=rate, norm_layer=nn.LayerNorm)
            for rate in rates
        )

    def forward(
        self, x: Tensor, pos: Tensor, out_indices: Collection[int] = (), **kwargs
    ) -> tuple[Tensor, dict]:
        """Run the blocks.

        Args:
            x: (B, L, C) tokens.
            pos: (B, L, C) position embedding of the tokens.
            out_indices: Blocks, from 0, whose output is returned too.
            kwargs: Passed to every block.

        Returns:
            The output of the last block, and a dict of the outputs of ``out_indices``.
        """
        outputs = {}
        for index, block in enumerate(self):
            x = block(x + pos, **kwargs)
            if index in out_indices:
                outputs[index] = x
        return x, outputs


def block_stacks(
    dims: Sequence[int], depths: Sequence[int], *, drop_path_rate: float, **kwargs
) -> nn.ModuleList:
    """A stack of blocks for each level.

    Args:
        dims: Widths.
        depths: Numbers of blocks.
        drop_path_rate: Stochastic depth of the last block of the last level, rising linearly
            from 0 in the first block.
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
        module: Initialised in place.
        weight_init: Initialises a weight; default truncated normal, std 0.02.
    """
    for m in module.modules():
        if isinstance(m, nn.Linear):
            if weight_init is None:
                nn.init.trunc_normal_(m.weight, std=0.02)
            else:
                weight_init(m.weight)
            if m.bias is not None:
                nn.init.zeros_(m.bias)


POS_SCALES = ('scene', 'metric', None)


class PositionEmbed(nn.Sequential):
    """MLP over the centres of patches, with a choice of their scale.

    Objects are in the unit sphere; the centres of a room extend over several metres, which is
    outside of the range that an MLP pretrained on objects has seen. Options for scenes, in the
    order in which to try them (detection, section 8.3):

    1. ``'scene'``: centres are shifted to the middle of the scene and divided by half its largest
       extent, which gives the range of the pretraining.
    2. ``'metric'``: centres as they are, as published for objects. For scenes, use a larger
       learning rate for the MLP than for the rest of the student
       (``paramwise_cfg=dict(custom_keys={'backbone.pos_embed': ...})``).
    3. None: no position and no parameters, as in 3DETR's encoder. A student
       that had one is loaded with ``allow_unexpected=['pos_embed']``.

    The scale of the points within a patch is set by ``group_scale`` of the student. It can stay
    1: a patch of 32 of 40,000 points of a room has the same extent in metres as a patch of an
    object in units of the sphere.

    Args:
        embed_dims: Width of the tokens, C.
        hidden_dims: Width of the hidden layer.
        scale: ``'scene'``, ``'metric'`` or None.

    Raises:
        ValueError: The scale is unknown.
    """

    def __init__(self, embed_dims: int, hidden_dims: int = 128, *, scale: str | None = 'metric'):
        if scale not in POS_SCALES:
            raise ValueError(f'pos_scale is one of {POS_SCALES}, got {scale!r}.')
        super().__init__(*(position_mlp(embed_dims, hidden_dims) if scale else ()))
        self.embed_dims = embed_dims
        self.scale = scale

    def place(self, centers: Tensor, cloud: Tensor | None = None) -> Tensor:
        """Scale centres for :meth:`forward`.

        Args:
            centers: (B, G, 3), in the coordinates of the input.
            cloud: (B, N, 3), points that define the extent of the scene; default the centres.

        Returns:
            (B, G, 3).
        """
        return to_unit_cube(centers, cloud) if self.scale == 'scene' else centers

    def forward(self, positions: Tensor) -> Tensor:
        """Embed scaled centres, (B, G, 3) -> (B, G, C)."""
        if self.scale is None:
            return positions.new_zeros(*positions.shape[:2], self.embed_dims)
        return super().forward(positions)

    def extra_repr(self) -> str:
        return f'scale={self.scale!r}'


def to_unit_cube(centers: Tensor, cloud: Tensor | None = None) -> Tensor:
    """Shift and scale centres (B, G, 3) such that a cloud (B, N, 3) is within [-1, 1].

    The cloud defaults to the centres themselves.
    """
    cloud = centers if cloud is None else cloud
    low = cloud.amin(dim=1, keepdim=True)
    high = cloud.amax(dim=1, keepdim=True)
    half = (high - low).amax(dim=2, keepdim=True).clamp(min=1e-6) / 2
    return (centers - (low + high) / 2) / half


@MODELS.register_module()
class MaskedDecoder(nn.Module):
    """Transformer that predicts the tokens of the masked patches (MAE).

    Masked patches are represented by a learned mask token and their position embedding, which is
    not shared with the encoder.

    Args:
        embed_dims: Width, C; that of the encoder.
        depth: Number of blocks.
        num_heads: Attention heads.
        drop_path_rate: Stochastic depth of the last block.
    """

    def __init__(
        self,
        *,
        embed_dims: int = 384,
        depth: int = 4,
        num_heads: int = 6,
        drop_path_rate: float = 0.1,
    ):
        super().__init__()
        self.embed_dims = embed_dims
        self.mask_token = nn.Parameter(torch.zeros(1, 1, embed_dims))
        self.pos_embed = position_mlp(embed_dims)
        self.blocks = PointBlocks(embed_dims, depth, num_heads=num_heads, drop_path=drop_path_rate)
        self.norm = nn.LayerNorm(embed_dims)
        self.init_weights()

    def init_weights(self) -> None:
        """Xavier for the blocks; the position MLP keeps torch's default."""
        init_transformer(self.blocks, nn.init.xavier_uniform_)
        nn.init.trunc_normal_(self.mask_token, std=0.02)

    def forward(
        self,
        visible: Tensor,
        centers: Tensor,
        mask: Tensor,
        first: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Predict the masked tokens.

        Args:
            visible: (B, V, C) encoded tokens of the visible patches.
            centers: (B, G, 3) of all patches.
            mask: (B, G) bool, True = masked; M = G - V in every row.
            first: Additional tokens (B, L, C), first in the sequence, and their position
                embedding (1 or B, L, C).

        Returns:
            (B, M, C), the masked patches in the order of ``centers``.
        """
        B, V, _ = visible.shape
        num_masked = mask.shape[1] - V
        pos = self.pos_embed(torch.cat(split_by_mask(centers, mask), dim=1))  # (B, G, C)
        tokens = torch.cat([visible, self.mask_token.expand(B, num_masked, -1)], dim=1)
        if first is not None:
            token, token_pos = first
            tokens = torch.cat([token, tokens], dim=1)
            pos = torch.cat([token_pos.expand_as(token), pos], dim=1)
        tokens, _ = self.blocks(tokens, pos)
        return self.norm(tokens[:, tokens.shape[1] - num_masked :])
