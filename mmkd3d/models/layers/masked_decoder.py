"""The decoder of masked pretraining: visible tokens in, masked ones out."""

import torch
import torch.nn as nn
from torch import Tensor

from mmkd3d.registry import MODELS

from .masking import split_by_mask
from .transformer import PointBlocks, init_transformer, position_mlp


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
