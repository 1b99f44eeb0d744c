"""The ReCon-block: global queries look at the local tokens, not back."""

from collections.abc import Callable

import torch
import torch.nn as nn
import torch.nn.functional as F
from timm.layers import DropPath, Mlp
from timm.models.vision_transformer import Attention
from torch import Tensor


class CrossAttention(nn.Module):
    """Multi-head attention of queries to other tokens.

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
        """Read ``tokens`` (B, L, C) by ``queries`` (B, n, C) -> (B, n, C)."""
        q = self._split_heads(self.q(queries))
        k, v = map(self._split_heads, self.kv(tokens).chunk(2, dim=-1))
        x = F.scaled_dot_product_attention(q, k, v)
        return self.proj(x.transpose(1, 2).flatten(2))

    def _split_heads(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.num_heads, -1)).transpose(1, 2)


class ReConBlock(nn.Module):
    """Two streams that share a depth and nothing else (ReCon, section 3.2).

    The local stream is a transformer of its own. The global queries, which
    stand before it in the sequence, attend to the local tokens as they enter
    the block and neither to each other nor are they seen. As published, the
    residual branch of both is the *normalised* stream.

    Args:
        dim: Width, C.
        num_heads: Attention heads of both streams.
        mlp_ratio: Width of the MLPs over C.
        drop_path: Rate of the stochastic depth of each of the four branches.
        norm_layer: Builds a norm of width C.
        num_globals: Global queries, n; with 0 there is only the local stream.
        stop_gradient: Whether the queries' losses end at the local tokens.
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
        """The stream of the queries (B, n, C), by normed tokens (B, L, C)."""
        if self.stop_gradient:
            tokens = tokens.detach()
        queries = self.norm1_contrast(queries)
        queries = queries + self.drop_path(self.attn_contrast(queries, tokens))
        queries = self.norm2_contrast(queries)
        return queries + self.drop_path(self.mlp_contrast(queries))
