"""Pre-norm layers whose attention sees positions in queries and keys only."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor


def attend(
    attention: nn.MultiheadAttention,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    allowed: Tensor | None = None,
) -> Tensor:
    """Run torch's attention with one mask for all its heads.

    Its own forward wants a copy of the mask for every head, in numbers.

    Args:
        attention: With biases, dropout on the weights.
        query: (B, Q, C).
        key: (B, T, C).
        value: (B, T, C).
        allowed: (B, Q, T) bool, True where a query may see a key; at least
            one each. None: all.

    Returns:
        (B, Q, C).
    """
    heads = [
        F.linear(x, weight, bias).unflatten(2, (attention.num_heads, -1)).transpose(1, 2)
        for x, weight, bias in zip(
            (query, key, value), attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3)
        )
    ]  # 3 x (B, H, Q or T, C / H)
    read = F.scaled_dot_product_attention(
        *heads,
        attn_mask=None if allowed is None else allowed[:, None],
        dropout_p=attention.dropout if attention.training else 0.0,
    )
    return attention.out_proj(read.transpose(1, 2).flatten(2))


class EncoderLayer(nn.TransformerEncoderLayer):
    """Layer of 3DETR's encoder (detection, section 1.2).

    Args:
        embed_dims: Width, C.
        num_heads: Attention heads.
        ffn_dims: Width of the feed-forward network.
        dropout: Of attention weights, and of what the branches give.
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
            query_pos: (B, Q, C), added wherever they ask or are asked.
            key: (B, T, C), the memory with its positions.
            memory: (B, T, C), which is not normed.
        """
        value = self.norm1(x)
        own = value + query_pos
        x = x + self.dropout1(attend(self.self_attn, own, own, value))
        query = self.norm2(x) + query_pos
        x = x + self.dropout2(attend(self.multihead_attn, query, key, memory))
        y = self.dropout(F.relu(self.linear1(self.norm3(x))))
        return x + self.dropout3(self.linear2(y))


def xavier_init(layers: nn.Module) -> None:
    """Xavier uniform for every matrix (detection, section 1.9)."""
    with torch.no_grad():
        for parameter in layers.parameters():
            if parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter)
