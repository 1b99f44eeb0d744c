"""The decoder of 3DETR: where queries stand, and what they read."""

import math

import torch
import torch.nn as nn
from torch import Tensor

from .box_decoding import normalize
from .detr_layers import DecoderLayer, xavier_init


class FourierPositions(nn.Module):
    """Sine and cosine of random projections of a place (detection, 1.4).

    The projections are drawn once and belong to the weights.

    Args:
        embed_dims: Width, C, even.
    """

    def __init__(self, embed_dims: int):
        super().__init__()
        self.register_buffer('gauss_B', torch.randn(3, embed_dims // 2))

    @torch.no_grad()
    def forward(self, points: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """Embed points, in float32 also under autocast.

        Args:
            points: (B, N, 3).
            low, high: (B, 3) extrema of the scene.

        Returns:
            (B, N, C), all sines before all cosines.
        """
        with torch.autocast(points.device.type, enabled=False):
            places = normalize(points.float(), low, high)
            angles = 2 * math.pi * places @ self.gauss_B.float()
            return torch.cat([angles.sin(), angles.cos()], dim=-1)


class ThreeDETRDecoder(nn.Module):
    """Pre-norm decoder whose layers share the norm at their end (1.5).

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
        """Let queries, which are 0 at first, read the memory.

        Args:
            memory: (B, T, C).
            memory_pos: (B, T, C).
            query_pos: (B, Q, C).

        Returns:
            (L, B, Q, C), what each layer gives, normed.
        """
        key = memory + memory_pos
        x, outputs = torch.zeros_like(query_pos), []
        for layer in self.layers:
            x = layer(x, query_pos, key, memory)
            outputs.append(x)
        return self.norm(torch.stack(outputs))
