"""Transformer layers of 3DETR, pre-norm, with position embeddings in queries and keys only."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mmkd3d.ops.attention import dropout_attention

from .box_coding import normalize


def attend(
    attention: nn.MultiheadAttention,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    allowed: Tensor | None = None,
) -> Tensor:
    """Run torch's attention with one mask for all heads.

    Its own forward would need a float copy of the mask for every head.

    Args:
        attention: With biases.
        query: (B, Q, C).
        key: (B, T, C).
        value: (B, T, C).
        allowed: (B, Q, T) bool, True where a query may attend to a key; at least one key per
            query. None: all.

    Returns:
        (B, Q, C).
    """
    heads = [
        F.linear(x, weight, bias).unflatten(2, (attention.num_heads, -1)).transpose(1, 2)
        for x, weight, bias in zip(
            (query, key, value), attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3)
        )
    ]  # 3 x (B, H, Q or T, C / H)
    out = dropout_attention(
        *heads,
        allowed=None if allowed is None else allowed[:, None],
        dropout=attention.dropout if attention.training else 0.0,
    )
    return attention.out_proj(out.transpose(1, 2).flatten(2))


class EncoderLayer(nn.TransformerEncoderLayer):
    """Layer of 3DETR's encoder (detection, section 1.2).

    Args:
        embed_dims: Width, C.
        num_heads: Attention heads.
        ffn_dims: Width of the feed-forward network.
        dropout: Rate for attention weights and outputs of the branches.
    """

    def __init__(self, embed_dims: int, num_heads: int, ffn_dims: int, dropout: float):
        super().__init__(
            embed_dims, num_heads, ffn_dims, dropout, batch_first=True, norm_first=True
        )

    def forward(
        self, x: Tensor, pos: Tensor | None = None, allowed: Tensor | None = None
    ) -> Tensor:
        """Run on tokens (B, T, C).

        Args:
            x: The tokens.
            pos: (B, T, C), added to queries and keys; None as published.
            allowed: (B, T, T) bool, see :func:`attend`.
        """
        value = self.norm1(x)
        key = value if pos is None else value + pos
        x = x + self.dropout1(attend(self.self_attn, key, key, value, allowed))
        y = self.dropout(F.relu(self.linear1(self.norm2(x))))
        return x + self.dropout2(self.linear2(y))


class DecoderLayer(nn.TransformerDecoderLayer):
    """Layer of 3DETR's decoder (detection, section 1.5).

    Args:
        embed_dims, num_heads, ffn_dims, dropout: See :class:`EncoderLayer`.
    """

    def __init__(self, embed_dims: int, num_heads: int, ffn_dims: int, dropout: float):
        super().__init__(
            embed_dims, num_heads, ffn_dims, dropout, batch_first=True, norm_first=True
        )

    def forward(self, x: Tensor, query_pos: Tensor, key: Tensor, memory: Tensor) -> Tensor:
        """Run on queries (B, Q, C).

        Args:
            x: The queries.
            query_pos: (B, Q, C), added to queries and keys.
            key: (B, T, C), the memory with its position embedding.
            memory: (B, T, C), not normed.
        """
        value = self.norm1(x)
        own = value + query_pos
        x = x + self.dropout1(attend(self.self_attn, own, own, value))
        query = self.norm2(x) + query_pos
        x = x + self.dropout2(attend(self.multihead_attn, query, key, memory))
        y = self.dropout(F.relu(self.linear1(self.norm3(x))))
        return x + self.dropout3(self.linear2(y))


def xavier_init(layers: nn.Module) -> None:
    """Initialise every matrix by Xavier uniform (detection, section 1.9)."""
    with torch.no_grad():
        for parameter in layers.parameters():
            if parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter)


class FourierPositions(nn.Module):
    """Sine and cosine of random projections of a position (detection, 1.4).

    The projections are a buffer in checkpoints.

    Args:
        embed_dims: Width, C, even.
    """

    def __init__(self, embed_dims: int):
        super().__init__()
        self.register_buffer('gauss_B', torch.randn(3, embed_dims // 2))

    @torch.no_grad()
    def forward(self, points: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """Embed points, always in float32.

        Args:
            points: (B, N, 3).
            low, high: (B, 3) extrema of the scene.

        Returns:
            (B, N, C), all sines before all cosines.
        """
        with torch.autocast(points.device.type, enabled=False):
            positions = normalize(points.float(), low, high)
            angles = 2 * math.pi * positions @ self.gauss_B.float()
            return torch.cat([angles.sin(), angles.cos()], dim=-1)


class ThreeDETRDecoder(nn.Module):
    """Pre-norm decoder; all layers share the final norm (1.5).

    Args:
        embed_dims: Width, C.
        depth: Number of layers, L.
        num_heads, ffn_dims, dropout: See :class:`EncoderLayer`.
    """

    def __init__(self, embed_dims: int, depth: int, **kwargs):
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(embed_dims, **kwargs) for _ in range(depth))
        self.norm = nn.LayerNorm(embed_dims)
        xavier_init(self.layers)

    def forward(self, memory: Tensor, memory_pos: Tensor, query_pos: Tensor) -> Tensor:
        """Update queries, initially 0, from the memory.

        Args:
            memory: (B, T, C).
            memory_pos: (B, T, C).
            query_pos: (B, Q, C).

        Returns:
            (L, B, Q, C), normed outputs of all layers.
        """
        key = memory + memory_pos
        x, outputs = torch.zeros_like(query_pos), []
        for layer in self.layers:
            x = layer(x, query_pos, key, memory)
            outputs.append(x)
        return self.norm(torch.stack(outputs))
