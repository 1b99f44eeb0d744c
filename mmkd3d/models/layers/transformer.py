"""Transformer over patch tokens: position embedding, blocks, and the decoder of masked patches."""

from collections.abc import Callable, Collection, Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from timm.models.vision_transformer import Block
from torch import Tensor

from mmkd3d.registry import MODELS


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


POS_SCALES = ('scene', 'metric', None)


class PositionEmbed(nn.Sequential):
    """MLP over the centres of patches, which says how it reads them.

    Objects lie in the unit sphere; the centres of a room range over several
    metres, which the MLP of a student of objects has never seen. The choices
    for scenes, in the order in which to try them (detection, section 8.3):

    1. ``'scene'``: centres are shifted to the middle of the scene and divided
       by half its largest extent: the range of the pretraining.
    2. ``'metric'``: centres as they are, as published for objects. In scenes,
       give the MLP a larger learning rate than the rest of the student
       (``paramwise_cfg=dict(custom_keys={'backbone.pos_embed': ...})``).
    3. None: no position and no parameters, as in 3DETR's encoder. A student
       that had one is loaded with ``allow_unexpected=['pos_embed']``.

    This is about where patches are. How large their points look to the
    student is another question, that of ``group_scale``: a group of 32 of
    40,000 points has the extent in metres that one of an object has in units
    of the sphere, so that factor stays 1 where this is ``'scene'``.

    Args:
        embed_dims: Width of the tokens, C.
        hidden_dims: Width of the hidden layer.
        scale: One of the above.

    Raises:
        ValueError: Another ``scale``.
    """

    def __init__(self, embed_dims: int, hidden_dims: int = 128, *, scale: str | None = 'metric'):
        if scale not in POS_SCALES:
            raise ValueError(f'pos_scale is one of {POS_SCALES}, got {scale!r}.')
        super().__init__(*(position_mlp(embed_dims, hidden_dims) if scale else ()))
        self.embed_dims = embed_dims
        self.scale = scale

    def place(self, centers: Tensor, cloud: Tensor | None = None) -> Tensor:
        """What is read of centres (B, G, 3) of a cloud: (B, G, 3).

        Args:
            centers: In the coordinates of the input.
            cloud: (B, N, 3), by which a scene is measured; default the
                centres.
        """
        return to_unit_cube(centers, cloud) if self.scale == 'scene' else centers

    def forward(self, places: Tensor) -> Tensor:
        """Embed what ``place`` gave, (B, G, 3) -> (B, G, C)."""
        if self.scale is None:
            return places.new_zeros(*places.shape[:2], self.embed_dims)
        return super().forward(places)

    def extra_repr(self) -> str:
        return f'scale={self.scale!r}'


def to_unit_cube(centers: Tensor, cloud: Tensor | None = None) -> Tensor:
    """Centres (B, G, 3) as seen from the middle of a cloud (B, N, 3).

    The cloud, by default the centres themselves, lies within [-1, 1].
    """
    cloud = centers if cloud is None else cloud
    low = cloud.amin(dim=1, keepdim=True)
    high = cloud.amax(dim=1, keepdim=True)
    half = (high - low).amax(dim=2, keepdim=True).clamp(min=1e-6) / 2
    return (centers - (low + high) / 2) / half


@MODELS.register_module()
class MaskedDecoder(nn.Module):
    """Transformer that predicts the tokens of the masked patches (MAE).

    A learned mask token stands for every masked patch; its position
    embedding, which is not shared with the encoder, says which one it is.

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
            first: Tokens (B, L, C) that are put before all others, and their
                position embedding (1 or B, L, C).

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
