"""How the image towers of open_clip are read."""

import torch
import torch.nn as nn
from torch import Tensor

from .open_clip_models import import_open_clip
from .saliency import activation_energy, class_attention, query_attention, to_map
from .token_transformer import TokenTransformer


class ViTTower:
    """A vision transformer with a class token.

    Args:
        net: open_clip's ``VisionTransformer``.
        projection: Take outputs into the space shared with language.

    Attributes:
        embed_dims: Width of the tokens, D.
        global_dims: Width of ``global``, Dg.
        dense_dims: Width of the maps, D'.
        no_attention: Why there is no attention to read; None if there is.
    """

    no_attention = None

    def __init__(self, net: nn.Module, projection: bool):
        self.net, self.projection = net, projection
        self.embed_dims = net.transformer.width
        self.global_dims = self.dense_dims = net.output_dim if projection else self.embed_dims
        blocks = net.transformer.resblocks
        # Under autocast its own attention copies its weights for every image.
        self.transformer = TokenTransformer(blocks, net.ln_post, self.embed_dims, pre=net.ln_pre)

    def embed(self, pixels: Tensor) -> Tensor:
        """Class token and patches with their positions, (B, 1 + L, D)."""
        x = self.net.conv1(pixels).flatten(2).transpose(1, 2)
        first = self.net.class_embedding.to(x.dtype).expand(len(x), 1, -1)
        x = torch.cat([first, x], dim=1)
        return x + self.net.positional_embedding.to(x.dtype)

    def forward(self, pixels: Tensor) -> dict:
        """``global``, ``tokens`` and ``grid_size`` of a teacher."""
        x = self.transformer(self.embed(pixels))
        return {
            'global': self.project(x[:, 0]),
            'tokens': x[:, 1:],
            'grid_size': self.net.grid_size,
        }

    def forward_dense(self, pixels: Tensor, attention: bool) -> dict:
        """``feats``, ``saliency`` and ``global`` of a teacher.

        Args:
            pixels: (B, 3, H, W).
            attention: Of the class token in the last block. Else the energy
                of what the last norm gets; behind it, places differ little.
        """
        x = self.transformer.pre(self.embed(pixels))
        last = len(self.transformer.blocks) - 1
        for index in range(last):
            x = self.transformer.run_block(index, x)
        if attention:
            saliency = class_attention(self.transformer.blocks[last], x)
            saliency = saliency[:, 1:].unflatten(1, self.net.grid_size)
        x = self.transformer.run_block(last, x)
        if not attention:
            saliency = activation_energy(to_map(x[:, 1:], self.net.grid_size))
        x = self.project(self.transformer.norm(x))
        return {
            'feats': to_map(x[:, 1:], self.net.grid_size).float(),
            'saliency': saliency,
            'global': x[:, 0],
        }

    def project(self, feats: Tensor) -> Tensor:
        return feats @ self.net.proj if self.projection else feats


class ResNetTower:
    """A ResNet whose map is pooled by attention.

    ``global`` is the output of the pool, in the space shared with language.
    With ``projection``, the pixels of a map go there too, each through the
    value and the output projection of the pool, as in MaskCLIP (Zhou et al.,
    ECCV 2022), without positions.

    Args:
        net: open_clip's ``ModifiedResNet``.
        projection: Take the maps into the space shared with language.

    Attributes: see :class:`ViTTower`.
    """

    no_attention = None

    def __init__(self, net: nn.Module, projection: bool):
        self.net, self.projection = net, projection
        self.embed_dims = net.attnpool.v_proj.in_features
        self.global_dims = net.output_dim
        self.dense_dims = net.output_dim if projection else self.embed_dims

    def forward(self, pixels: Tensor) -> dict:
        """``global``, ``tokens`` and ``grid_size`` of a teacher."""
        last_map = self.last_map(pixels)
        return {
            'global': self.net.attnpool(last_map),
            'tokens': last_map.flatten(2).transpose(1, 2),
            'grid_size': tuple(last_map.shape[2:]),
        }

    def forward_dense(self, pixels: Tensor, attention: bool) -> dict:
        """``feats``, ``saliency`` and ``global`` of a teacher.

        Args:
            pixels: (B, 3, H, W).
            attention: Of the pool; else the energy of the last map.
        """
        last_map = self.last_map(pixels)
        read = self.pool_attention if attention else activation_energy
        feats = self.project(last_map) if self.projection else last_map
        return {
            'feats': feats.float(),
            'saliency': read(last_map),
            'global': self.net.attnpool(last_map),
        }

    def last_map(self, pixels: Tensor) -> Tensor:
        out = self.net.forward_intermediates(pixels, indices=1, intermediates_only=True)
        return out['image_intermediates'][0]

    def project(self, feature_map: Tensor) -> Tensor:
        """The map (B, D, h, w) in the joint space, (B, Dg, h, w)."""
        pool = self.net.attnpool
        feats = pool.c_proj(pool.v_proj(feature_map.movedim(1, 3)))
        return feats.movedim(3, 1)

    def pool_attention(self, feature_map: Tensor) -> Tensor:
        """What the pool, whose query is the mean, attends to, (B, h, w).

        Averaged over the heads, without the part of the mean itself.
        """
        pool, heads = self.net.attnpool, (self.net.attnpool.num_heads, -1)
        tokens = feature_map.flatten(2).transpose(1, 2)
        tokens = torch.cat([tokens.mean(1, keepdim=True), tokens], dim=1)
        tokens = tokens + pool.positional_embedding.to(tokens.dtype)
        q = pool.q_proj(tokens[:, :1]).unflatten(2, heads).transpose(1, 2)
        k = pool.k_proj(tokens).unflatten(2, heads).transpose(1, 2)
        attention = query_attention(q, k)[:, 1:]
        return attention.unflatten(1, feature_map.shape[2:])


def find_tower(net: nn.Module, model_name: str, projection: bool) -> ViTTower | ResNetTower:
    """How to read an image tower; ``ValueError`` if that is not known."""
    open_clip = import_open_clip()
    if isinstance(net, open_clip.modified_resnet.ModifiedResNet):
        return ResNetTower(net, projection)
    plain = (
        isinstance(net, open_clip.transformer.VisionTransformer)
        and net.attn_pool is None
        and net.pool_type == 'tok'
    )
    if not plain:
        raise ValueError(
            f'The image tower of {model_name}, {type(net).__name__}, is '
            'neither a ViT with a class token, such as ViT-B-16-quickgelu, '
            'nor a ResNet, such as RN50-quickgelu. For a tower that open_clip '
            'takes from timm use TimmTeacher.'
        )
    return ViTTower(net, projection)
