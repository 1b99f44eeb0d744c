"""The student of ReCon, with local and global tokens."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn as nn
import torch.nn.functional as F
from timm.layers import DropPath, Mlp
from timm.models.vision_transformer import Attention, Block
from torch import Tensor

from mmkd3d.registry import MODELS

from ..layers.patches import Patches
from .point_transformer import PointTransformer


class CrossAttention(nn.Module):
    """Multi-head cross-attention.

    Args:
        dim: Width of both, C.
        num_heads: Attention heads.
    """

    def __init__(self, dim: int, num_heads: int):
        super().__init__()
        self.num_heads = num_heads
        self.q = nn.Linear(dim, dim, bias=False)
        self.kv = nn.Linear(dim, 2 * dim, bias=False)
        self.proj = nn.Linear(dim, dim)

    def forward(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """Attend from ``queries`` (B, n, C) to ``tokens`` (B, L, C) -> (B, n, C)."""
        q = self._split_heads(self.q(queries))
        k, v = map(self._split_heads, self.kv(tokens).chunk(2, dim=-1))
        x = F.scaled_dot_product_attention(q, k, v)
        return self.proj(x.transpose(1, 2).flatten(2))

    def _split_heads(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.num_heads, -1)).transpose(1, 2)


class ReConBlock(nn.Module):
    """Block with a local and a global stream (ReCon, section 3.2).

    The local stream is a ViT block. The global queries, which are first in the sequence, attend
    to the normed local tokens at the input of the block, not to each other, and no token attends
    to them. As published, the residual branch of both streams is the *normalised* input.

    Args:
        dim: Width, C.
        num_heads: Attention heads of both streams.
        mlp_ratio: Width of the MLPs over C.
        drop_path: Rate of the stochastic depth of each of the four branches.
        norm_layer: Builds a norm of width C.
        num_globals: Number of global queries, n; with 0 there is only the local stream.
        stop_gradient: Stop the gradient of the queries at the local tokens.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        mlp_ratio: float = 4.0,
        *,
        drop_path: float = 0.0,
        norm_layer: Callable[[int], nn.Module] = nn.LayerNorm,
        num_globals: int = 3,
        stop_gradient: bool = False,
    ):
        super().__init__()
        self.num_globals = num_globals
        self.stop_gradient = stop_gradient
        hidden = int(dim * mlp_ratio)
        self.drop_path = DropPath(drop_path)
        self.norm1 = norm_layer(dim)
        self.attn = Attention(dim, num_heads)
        self.norm2 = norm_layer(dim)
        self.mlp = Mlp(dim, hidden)
        if num_globals:
            self.norm1_contrast = norm_layer(dim)
            self.attn_contrast = CrossAttention(dim, num_heads)
            self.norm2_contrast = norm_layer(dim)
            self.mlp_contrast = Mlp(dim, hidden)

    def forward(self, x: Tensor) -> Tensor:
        """Run the block on (B, n + L, C), global queries first."""
        queries, tokens = x[:, : self.num_globals], x[:, self.num_globals :]
        tokens = self.norm1(tokens)
        if self.num_globals:
            queries = self.read(queries, tokens)
        tokens = tokens + self.drop_path(self.attn(tokens))
        tokens = self.norm2(tokens)
        tokens = tokens + self.drop_path(self.mlp(tokens))
        return torch.cat([queries, tokens], dim=1)

    def read(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """Update queries (B, n, C) from normed tokens (B, L, C)."""
        if self.stop_gradient:
            tokens = tokens.detach()
        queries = self.norm1_contrast(queries)
        queries = queries + self.drop_path(self.attn_contrast(queries, tokens))
        queries = self.norm2_contrast(queries)
        return queries + self.drop_path(self.mlp_contrast(queries))


@MODELS.register_module()
class ReConTransformer(PointTransformer):
    """Point transformer with global tokens, one for each teacher (ReCon).

    Args:
        global_tokens: Their names, in the order of the sequence. ``'cls'`` is the class token.
        stop_gradient: Stop the gradient of the global tokens at the local ones, as in the
            published pretraining; False for finetuning.
        plain_blocks: Use ViT blocks with attention between all tokens instead of
            :class:`ReConBlock`, for the contrastive tower of :class:`TwoTower`.
        kwargs: Of :class:`PointTransformer`, except for ``with_cls_token``.
    """

    def __init__(
        self,
        *,
        global_tokens: Sequence[str] = ('cls', 'img', 'text'),
        stop_gradient: bool = False,
        plain_blocks: bool = False,
        embed_dims: int = 384,
        **kwargs,
    ):
        names = tuple(global_tokens)
        if len(set(names)) < len(names):
            raise ValueError(f'Global tokens must have different names, got {names}.')
        if plain_blocks and stop_gradient:
            raise ValueError('Plain blocks have no gradient to stop: set stop_gradient=False.')
        block = (
            Block
            if plain_blocks
            else partial(ReConBlock, num_globals=len(names), stop_gradient=stop_gradient)
        )
        super().__init__(embed_dims=embed_dims, with_cls_token=False, block=block, **kwargs)
        # Built from pairs, since torch sorts the keys of a dict.
        self.global_token, self.global_pos = (
            nn.ParameterDict((name, nn.Parameter(torch.empty(1, 1, embed_dims))) for name in names)
            for _ in range(2)
        )
        self.random_init()

    @property
    def global_names(self) -> tuple:
        """Names of the global tokens, in the order of the sequence."""
        return tuple(self.global_token)

    def encode(
        self, patches: Patches, mask: Tensor | None = None, raw_indices: Sequence[int] = ()
    ) -> dict:
        """Embed all patches and run the blocks on the visible ones.

        Args:
            patches: From ``group``.
            mask: See :meth:`PointTransformer.encode`.
            raw_indices: See :meth:`PointTransformer.encode`.

        Returns:
            dict: As :class:`PointTransformer`; also ``global_tokens``, a dict of (B, C) by name,
            after the final norm, and ``raw_global_tokens``, before it.
        """
        tokens, pos = self.embed(patches, mask)
        B, names = len(tokens), self.global_names
        first = len(names)
        if first:
            tokens, pos = (
                torch.cat([torch.cat([*g.values()], 1).expand(B, -1, -1), x], dim=1)
                for g, x in ((self.global_token, tokens), (self.global_pos, pos))
            )
        x, levels = self.blocks(tokens, pos, {*self.out_indices, *raw_indices})
        normed = self.norm(x)
        global_tokens = dict(zip(names, normed[:, :first].unbind(1)))
        return dict(
            tokens=normed[:, first:],
            cls_token=global_tokens.get('cls'),
            global_tokens=global_tokens,
            raw_global_tokens=dict(zip(names, x[:, :first].unbind(1))),
            levels=[self.norm(levels[i])[:, first:] for i in self.out_indices],
            raw=[levels[i][:, first:] for i in raw_indices],
        )

    def extract_feat(
        self, points: Tensor, level: str = 'global', at: Tensor | None = None
    ) -> Tensor:
        """Features for probes, see :class:`BasePointBackbone`.

        ``'global'``: (B, 2C), maximum over the global tokens, and maximum plus mean over the
        local ones (ReCon, section 5).
        """
        if level != 'global' or not self.global_token:
            return super().extract_feat(points, level, at)
        out = self(points)
        tokens = out['tokens']
        top = torch.stack([*out['global_tokens'].values()]).amax(dim=0)
        return torch.cat([top, tokens.amax(dim=1) + tokens.mean(dim=1)], -1)
