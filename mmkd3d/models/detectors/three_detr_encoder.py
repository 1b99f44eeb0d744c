"""Encoder of 3DETR, and student of MaskPoint."""

from collections.abc import Sequence

import torch
import torch.nn as nn
from torch import Tensor

from mmkd3d.registry import MODELS

from ..backbones.base import BasePointBackbone, find_layer
from ..layers.patches import Patches, PatchGroup, maximum
from ..layers.point_mlp import run_mlp, shared_mlp
from ..layers.transformer import PositionEmbed, split_by_mask
from .detr_layers import EncoderLayer, xavier_init


class PatchPointNet(nn.Module):
    """Shared MLP over the points of a patch, then their maximum (PointNet++).

    With :class:`PatchGroup` this is a set abstraction.

    Args:
        dims: Widths of the MLP; the last is that of the token, C.
        radius: Of the ball query; coordinates are divided by it.
        feature_channels: Features of a point, F, after its coordinates.
    """

    def __init__(self, dims: Sequence[int], *, radius: float, feature_channels: int = 0):
        super().__init__()
        unit = torch.tensor([radius] * 3 + [1.0] * feature_channels)
        self.register_buffer('unit', unit, persistent=False)
        self.mlp = nn.Sequential(*shared_mlp(len(unit), *dims, bias=False))
        self.random_init()

    def random_init(self) -> None:
        """Initialise by Kaiming normal (detection, section 1.9)."""
        for layer in self.mlp[::3]:
            nn.init.kaiming_normal_(layer.weight)

    def forward(self, patches: Tensor) -> Tensor:
        """Embed patches (B, G, K, 3+F), relative to their centres.

        Returns:
            (B, G, C).
        """
        B, G, K, channels = patches.shape
        if channels != len(self.unit):
            raise ValueError(
                f'PatchPointNet reads {len(self.unit)} channels, got patches of '
                f'{channels}. Pretraining uses coordinates only: set in_channels=3 '
                'in its backbone.'
            )
        x = run_mlp(self.mlp, (patches / self.unit).flatten(0, 2))  # (BGK, C)
        return maximum(x.view(B * G, K, -1)).view(B, G, -1)


@MODELS.register_module()
class ThreeDETREncoder(BasePointBackbone):
    """Set abstraction and transformer of 3DETR (detection, sections 1, 2).

    As published it has no position embedding and no final norm. MaskPoint (section 8.1) pretrains
    it with both, and drops them for finetuning: load such a file with
    ``allow_unexpected=['pos_embed.', 'norm.']``.

    The encoder of 3DETR-m has local attention, and continues with half of the tokens after its
    first block. It cannot be pretrained with masked patches.

    Args:
        embed_dims: Width of the tokens, C.
        in_channels: Channels of a point: 3, or 6 with colours, in 3DETR (rgb - (109.8, 97.2,
            83.8)) / 256 for ScanNet.
        depth: Number of blocks.
        num_heads: Attention heads.
        ffn_dims: Width of the feed-forward networks.
        dropout: 0.1; 0.3 in 3DETR-m.
        num_groups: Tokens per cloud, T.
        group_size: Maximum number of points of a patch.
        radius: Radius of a patch, in metres for 3DETR, in units of the unit sphere for MaskPoint.
        mask_radii: Radius of the attention of each block; empty: global attention. 3DETR-m has
            (0.16, 0.64, 1.44), which are squares but compared with distances: within 0.16 m there
            is hardly another token.
        with_pos: Add an embedding of the centres to queries and keys.
        with_norm: Whether there is a final norm.
        pos_scale: See :class:`PositionEmbed`.
        fps_rule: See :class:`PatchGroup`.
        init_cfg: ``dict(type='Pretrained', checkpoint=...)`` or None.

    Raises:
        ValueError: ``mask_radii`` has not one value for each block.
    """

    cls_token = None

    def __init__(
        self,
        *,
        embed_dims: int = 256,
        in_channels: int = 3,
        depth: int = 3,
        num_heads: int = 4,
        ffn_dims: int = 128,
        dropout: float = 0.1,
        num_groups: int = 2048,
        group_size: int = 64,
        radius: float = 0.2,
        mask_radii: Sequence[float] = (),
        with_pos: bool = False,
        with_norm: bool = False,
        pos_scale: str = 'metric',
        fps_rule: str = 'pointnet2',
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        self.embed_dims = embed_dims
        self.in_channels = in_channels
        self.mask_radii = tuple(mask_radii or ())
        if len(self.mask_radii) not in (0, depth):
            raise ValueError(
                f'mask_radii must have one value for each of depth={depth} blocks, or none, got '
                f'{self.mask_radii}.'
            )
        self.group = PatchGroup(num_groups, group_size, fps_rule=fps_rule, radius=radius)
        self.pre_encoder = PatchPointNet(
            (64, 128, embed_dims), radius=radius, feature_channels=in_channels - 3
        )
        self.regroup = self.downsample = None
        if self.mask_radii:
            self.regroup = PatchGroup(
                num_groups // 2, group_size // 2, fps_rule=fps_rule, radius=2 * radius
            )
            self.downsample = PatchPointNet(
                (embed_dims,) * 3, radius=2 * radius, feature_channels=embed_dims
            )
        self.with_pos = with_pos
        self.pos_embed = PositionEmbed(embed_dims, scale=pos_scale if with_pos else None)
        self.blocks = nn.ModuleList(
            EncoderLayer(embed_dims, num_heads, ffn_dims, dropout) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(embed_dims) if with_norm else nn.Identity()
        self.random_init()

    def random_init(self) -> None:
        """Initialise the set abstraction by Kaiming, the blocks by Xavier."""
        for pointnet in (self.pre_encoder, self.downsample):
            if pointnet is not None:
                pointnet.random_init()
        xavier_init(self.blocks)

    def encode(
        self, patches: Patches, mask: Tensor | None = None, raw_indices: Sequence[int] = ()
    ) -> dict:
        """Embed all patches and run the blocks on the visible ones.

        Args:
            patches: From ``group``.
            mask, raw_indices: See :class:`PointTransformer`.

        Returns:
            dict: ``tokens`` (B, V, C), after the final norm if there is one; ``centers`` (B, V,
            3) and ``center_idx`` (B, V), their indices in the cloud; ``cls_token`` None;
            ``levels`` empty; ``raw``, a list of outputs of blocks. V = T / 2 in 3DETR-m.

        Raises:
            ValueError: There is a mask for 3DETR-m.
        """
        x = self.pre_encoder(patches.points)  # (B, G, C)
        centers, index = patches.centers, patches.center_idx
        if mask is not None:
            if self.mask_radii:
                raise ValueError(
                    '3DETR-m cannot be pretrained with masked patches, since it samples its '
                    'tokens again: set mask_radii=().'
                )
            x, centers, index = (split_by_mask(part, mask)[0] for part in (x, centers, index))
        pos = self.positions(centers, patches.centers)
        dist, raw = None, []
        for i, block in enumerate(self.blocks):
            allowed = None
            if self.mask_radii:
                dist = distances(centers) if dist is None else dist
                allowed = dist < self.mask_radii[i]
            x = block(x, pos, allowed)
            if i in raw_indices:
                raw.append(x)
            if i == 0 and self.regroup is not None:
                kept = self.regroup(torch.cat([centers, x], dim=2))
                x, centers, dist = (self.downsample(kept.points), kept.centers, None)
                index = index.gather(1, kept.center_idx)
                pos = self.positions(centers, patches.centers)
        return dict(
            tokens=self.norm(x),
            centers=centers,
            center_idx=index,
            cls_token=None,
            levels=[],
            raw=raw,
        )

    def positions(self, centers: Tensor, cloud: Tensor) -> Tensor | None:
        """Position embedding (B, T, C) of centres (B, T, 3), or None."""
        if not self.with_pos:
            return None
        return self.pos_embed(self.pos_embed.place(centers, cloud))

    def truncate(self, layer: int) -> None:
        """Remove the blocks after ``layer``, see :class:`BasePointBackbone`."""
        last = find_layer(layer, len(self.blocks), 'blocks')
        del self.blocks[last + 1 :]
        self.mask_radii = self.mask_radii[: last + 1]
        if last == 0:
            self.regroup = self.downsample = None

    def get_layer_depth(self, name: str, prefix: str = '') -> tuple[int, int]:
        """Depth of a parameter, see :class:`BasePointBackbone`.

        The second set abstraction has the depth of the block before it.
        """
        name = name.removeprefix(prefix)
        if name.startswith('downsample.'):
            name = 'blocks.0.'
        return super().get_layer_depth(name)


def distances(centers: Tensor) -> Tensor:
    """Distances (B, T, T) between centres (B, T, 3), computed from differences."""
    centers = centers.float()
    return torch.cdist(centers, centers, compute_mode='donot_use_mm_for_euclid_dist')
