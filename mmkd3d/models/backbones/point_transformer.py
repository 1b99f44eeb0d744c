"""The plain point transformer, student of Point-MAE and ACT."""

from collections.abc import Callable, Sequence

import torch
import torch.nn as nn
from timm.models.vision_transformer import Block
from torch import Tensor

from mmkd3d.registry import MODELS

from ..layers.patches import PatchEmbed, Patches, PatchGroup
from ..layers.transformer import PointBlocks, PositionEmbed, init_transformer, split_by_mask
from .base import BasePointBackbone, find_layer


@MODELS.register_module()
class PointTransformer(BasePointBackbone):
    """ViT over patches of a cloud (Point-BERT; ACT, section 3).

    Args:
        embed_dims: Width of the tokens, C.
        in_channels: Channels of a point: 3, coordinates, as published, or 6 with colours (see
            :class:`PatchEmbed`). Use ``allow_missing=['patch_embed.features.']`` to load a
            student with 3 into one with 6.
        depth: Number of blocks.
        num_heads: Attention heads.
        num_groups: Patches per cloud, G.
        group_size: Points per patch, K.
        patch_dims: Widths of the first MLP of :class:`PatchEmbed`.
        drop_path_rate: Stochastic depth of the last block.
        with_cls_token: Whether there is a class token.
        out_indices: Blocks, from 0, whose normed patch tokens are returned as ``levels`` (for
            segmentation and detection).
        fps_rule, radius: See :class:`PatchGroup`.
        pos_scale: ``'metric'``, ``'scene'`` or None, see :class:`PositionEmbed`.
        group_scale: Factor on the coordinates of points relative to the centre of their patch. It
            does not change the targets of a pretraining.
        block: See :class:`PointBlocks`.
        init_cfg: ``dict(type='Pretrained', checkpoint=...)`` or None.
    """

    def __init__(
        self,
        *,
        embed_dims: int = 384,
        in_channels: int = 3,
        depth: int = 12,
        num_heads: int = 6,
        num_groups: int = 64,
        group_size: int = 32,
        patch_dims: Sequence[int] = (128, 256),
        drop_path_rate: float = 0.1,
        with_cls_token: bool = True,
        out_indices: Sequence[int] = (),
        fps_rule: str = 'pointnet2',
        radius: float | None = None,
        pos_scale: str | None = 'metric',
        group_scale: float = 1.0,
        block: Callable[..., nn.Module] = Block,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        self.embed_dims = embed_dims
        self.in_channels = in_channels
        self.out_indices = tuple(out_indices)
        self.group = PatchGroup(num_groups, group_size, fps_rule=fps_rule, radius=radius)
        self.patch_embed = PatchEmbed(
            embed_dims, feature_channels=in_channels - 3, local_dims=patch_dims, scale=group_scale
        )
        self.pos_embed = PositionEmbed(embed_dims, scale=pos_scale)
        self.blocks = PointBlocks(
            embed_dims, depth, num_heads=num_heads, drop_path=drop_path_rate, block=block
        )
        self.norm = nn.LayerNorm(embed_dims)
        self.cls_token = self.cls_pos = None
        if with_cls_token:
            self.cls_token = nn.Parameter(torch.zeros(1, 1, embed_dims))
            self.cls_pos = nn.Parameter(torch.zeros(1, 1, embed_dims))
        self.random_init()

    def random_init(self) -> None:
        """Truncated normal, std 0.02; biases 0 (ACT, 5.4; ReCon, 3)."""
        init_transformer(self)
        self.patch_embed.reset_features()
        for parameter in self.parameters():
            if parameter.ndim == 3:  # tokens and their positions
                nn.init.trunc_normal_(parameter, std=0.02)

    def encode(
        self, patches: Patches, mask: Tensor | None = None, raw_indices: Sequence[int] = ()
    ) -> dict:
        """Embed all patches and run the blocks on the visible ones.

        Args:
            patches: From ``group``.
            mask: (B, G) bool, True = masked, equally many in every cloud, V = G - M; None: V = G.
            raw_indices: Blocks, from 0, in ascending order, whose patch tokens are returned as
                ``raw``.

        Returns:
            dict: ``tokens`` (B, V, C), ``cls_token`` (B, C) or None and
            ``levels``, a list of (B, V, C), after the final norm; ``raw``, a list of (B, V, C),
            before it.
        """
        tokens, pos = self.embed(patches, mask)
        first = 0
        if self.cls_token is not None:
            B, first = len(tokens), 1
            tokens = torch.cat([self.cls_token.expand(B, -1, -1), tokens], 1)
            pos = torch.cat([self.cls_pos.expand(B, -1, -1), pos], dim=1)
        x, levels = self.blocks(tokens, pos, {*self.out_indices, *raw_indices})
        x = self.norm(x)
        return dict(
            tokens=x[:, first:],
            cls_token=x[:, 0] if first else None,
            levels=[self.norm(levels[i])[:, first:] for i in self.out_indices],
            raw=[levels[i][:, first:] for i in raw_indices],
        )

    def embed(self, patches: Patches, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Tokens (B, V, C) of the visible patches, and their position embedding."""
        tokens = self.patch_embed(patches.points, mask)
        positions = self.pos_embed.place(patches.centers)
        if mask is not None:
            positions, _ = split_by_mask(positions, mask)
        return tokens, self.pos_embed(positions)

    def truncate(self, layer: int) -> None:
        """Remove the blocks after ``layer``, see :class:`BasePointBackbone`."""
        del self.blocks[find_layer(layer, len(self.blocks), 'blocks') + 1 :]
        self.out_indices = ()
