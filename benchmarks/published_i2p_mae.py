"""I2P-MAE as implemented in its published code, with the same weights. See :mod:`.published`."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mmkd3d.models.backbones.point_m2ae import PointM2AE
from mmkd3d.models.layers.m2ae_decoder import FeaturePropagation, M2AEDecoder, ResidualMLP
from mmkd3d.models.layers.patches import Patches
from mmkd3d.models.layers.transformer import LocalBlock, split_by_mask
from mmkd3d.models.pretrainers.i2p_mae import I2PMAE
from mmkd3d.ops import gather

from .ops import naive_interpolate
from .published import PublishedBatchNorm, PublishedPatchEmbed, PublishedPatchGroup, convolve
from .published_views import VIEW_FORMS


class Padded(NamedTuple):
    """Visible tokens of a level, padded with zeros per cloud.

    Attributes:
        tokens: (B, L, C).
        valid: (B, L) bool, True = token, False = padding.
        mask: (B, G) bool, mask of the level, True = masked.
    """

    tokens: Tensor
    valid: Tensor
    mask: Tensor


class PublishedPointM2AE(PointM2AE):
    """Loops over clouds and builds a dense attention mask.

    Token 0 of the first cloud is always visible below the top level, as with
    ``index_zero_visible``. Embeds all patches.
    """

    def encode(self, patches, mask):
        masks = propagate_by_id(mask, patches)
        x, levels = None, []
        for i, (level, hidden) in enumerate(zip(patches, masks)):
            source = level.points
            if i:
                source = x.flatten(0, 1)[flat_ids(level, x.shape[1])]
            x = self.embeds[i](source)
            tokens, centers, blocked = pad(x, level.centers, ~hidden)
            tokens, _ = self.blocks[i](tokens, self.pos_embeds[i](centers), blocked=blocked)
            valid = blocked[:, :, 0] == 0
            x[~hidden] = tokens[valid]
            levels.append(Padded(tokens, valid, hidden))
        levels = [
            level._replace(tokens=self.norm(i, level.tokens)) for i, level in enumerate(levels)
        ]
        return dict(levels=levels, masks=masks)


def flat_ids(level: Patches, num_below: int) -> Tensor:
    """Patch indices (B, G, K) into the flattened rows of all clouds."""
    start = torch.arange(len(level.centers), device=level.centers.device)
    return level.point_idx + start[:, None, None] * num_below


def propagate_by_id(mask: Tensor, pyramid: Sequence[Patches]) -> list[Tensor]:
    """Masks of all levels; tokens in masked patches get the id 0."""
    masks = [mask]
    for below, level in zip(pyramid[-2::-1], pyramid[:0:-1]):
        B, G, _ = below.centers.shape
        ids = flat_ids(level, G) * ~masks[0][..., None]
        hidden = torch.ones(B * G, dtype=torch.bool, device=mask.device)
        masks.insert(0, hidden.scatter(0, ids.flatten(), False).view(B, G))
    return masks


def pad(x: Tensor, centers: Tensor, visible: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Pad visible tokens and their centres to the longest cloud.

    Args:
        x: (B, G, C).
        centers: (B, G, 3).
        visible: (B, G) bool.

    Returns:
        Tokens (B, L, C), centres (B, L, 3) and an attention mask (B, L, L):
        0 where both are tokens, else 1.
    """
    lengths = visible.sum(1).tolist()
    B, L = len(x), max(lengths)
    tokens, places = x.new_zeros(B, L, x.shape[2]), x.new_zeros(B, L, 3)
    blocked = x.new_ones(B, L, L)
    for i, length in enumerate(lengths):
        tokens[i, :length] = x[i][visible[i]]
        places[i, :length] = centers[i][visible[i]]
        blocked[i, :length, :length] = 0
    return tokens, places, blocked


class PublishedLocalBlock(LocalBlock):
    """Explicit softmax; masked logits are lowered by 100,000."""

    def forward(self, x, blocked):
        attn = self.attn
        qkv = attn.qkv(self.norm1(x)).unflatten(2, (3, attn.num_heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        logits = q @ k.transpose(-2, -1) * attn.scale
        weight = (logits + blocked[:, None] * -100000.0).softmax(-1)
        read = (weight @ v).transpose(1, 2).flatten(2)
        x = x + self.drop_path1(attn.proj(read))
        return x + self.drop_path2(self.mlp(self.norm2(x)))


class PublishedM2AEDecoder(M2AEDecoder):
    """Puts visible tokens before masked ones at the top level."""

    def forward(self, levels, centers, mask):
        top, places = levels[-1].tokens, torch.cat(split_by_mask(centers[-1], mask), dim=1)
        B, V, _ = top.shape
        masked = self.mask_token.expand(B, mask.shape[1] - V, -1)
        x = torch.cat([top, masked], dim=1)
        x, _ = self.stages[0](x, self.pos_embeds[0](places))
        for s, propagate in enumerate(self.propagations, start=1):
            seen, fine = levels[-s - 1], centers[-s - 1]
            skip = x.new_zeros(*fine.shape[:2], seen.tokens.shape[2])
            skip[~seen.mask] = seen.tokens[seen.valid]
            x = propagate(fine, places, skip, x)
            x, _ = self.stages[s](x, self.pos_embeds[s](fine))
            places = fine
        return self.norm(x)


class PublishedResidualMLP(ResidualMLP):
    """Uses convolutions over (B, C, G)."""

    def forward(self, x):
        hidden = F.gelu(convolve(self.first, x))
        return F.gelu(convolve(self.second, hidden) + x)


class PublishedFeaturePropagation(FeaturePropagation):
    """Finds neighbours by sorting full tables, and uses convolutions."""

    def forward(self, fine_centers, coarse_centers, fine, coarse):
        up = naive_interpolate(fine_centers, coarse_centers, coarse)
        x = torch.cat([fine, up], dim=2).transpose(1, 2)
        x = F.gelu(convolve(self.fuse, x))
        return self.extraction(x).transpose(1, 2)


class PublishedI2PMAE(I2PMAE):
    """Computes point features of all patches, although only some are used."""

    def forward_semantic(self, points, patches, masked, maps):
        source = patches[self.level - 1].centers if self.level else points
        positions = gather(source, patches[self.level].point_idx)
        feats = self.target.features_at(maps, positions.flatten(1, 2))
        return feats.unflatten(1, positions.shape[1:3])[~masked]


FORMS = (
    PublishedPatchGroup,
    PublishedBatchNorm,
    PublishedPatchEmbed,
    PublishedPointM2AE,
    PublishedLocalBlock,
    PublishedM2AEDecoder,
    PublishedResidualMLP,
    PublishedFeaturePropagation,
    PublishedI2PMAE,
    *VIEW_FORMS,
)
