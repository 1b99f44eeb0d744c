"""The hierarchical student of Point-M2AE and I2P-MAE."""

from collections.abc import Sequence

import torch
import torch.nn as nn
from torch import Tensor

from mmkd3d.ops import gather, three_interpolate
from mmkd3d.ops.exporting import is_exporting
from mmkd3d.registry import MODELS

from ..layers.patches import PatchEmbed, Patches
from ..layers.pyramid import PyramidGroup, VisibleTokens, point_indices, propagate_mask
from ..layers.transformer import LocalBlock, PositionEmbed, block_stacks, init_transformer
from . import LEVELS
from .base import BasePointBackbone, find_layer


@MODELS.register_module()
class PointM2AE(BasePointBackbone):
    """Transformer over a pyramid of patches (Point-M2AE, section 3).

    The tokens of a level are embedded patches of tokens of the level below, and go through blocks
    of their own. Arguments with a value per level start with the finest.

    Differs from the published code: attention masks are boolean, and every token can attend to at
    least itself.

    Args:
        level_dims: Widths of the tokens, C_i.
        in_channels: See :class:`PointTransformer`; ``allow_missing=['embeds.0.features.']``.
        depths: Number of blocks of each level.
        num_heads: Attention heads of all levels.
        num_groups: Number of tokens of each level, G_i.
        group_sizes: Points per patch, K_0, and tokens of the level below, K_i.
        radii: Radius of the attention of each level; 0 or None: global attention. In the published
            code they have no effect while patches are masked; here they always have.
        patch_dims: Widths of the first MLP of the finest :class:`PatchEmbed`.
        drop_path_rate: Stochastic depth of the last block of the last level.
        norm_levels: Levels with a final norm; default all. The published classifier has none (its
            head has one).
        embed_masked: Embed masked patches, too, which then count in the batch statistics, as
            published. False is faster in training, and equal in eval mode.
        fps_rule: See :class:`PatchGroup`.
        group_radii: Radius of the ball query of each level, see
            :class:`PatchGroup`; default: nearest neighbours.
        pos_scale: See :class:`PositionEmbed`; the centres of the finest level define the extent of
            a scene.
        group_scale: See :class:`PointTransformer`, for the finest level.
        index_zero_visible: See :func:`propagate_mask`; True as published.
        init_cfg: ``dict(type='Pretrained', checkpoint=...)`` or None.

    Raises:
        ValueError: Arguments differ in their number of levels, or a radius is negative.
    """

    def __init__(
        self,
        *,
        level_dims: Sequence[int] = (96, 192, 384),
        in_channels: int = 3,
        depths: Sequence[int] = (5, 5, 5),
        num_heads: int = 6,
        num_groups: Sequence[int] = (512, 256, 64),
        group_sizes: Sequence[int] = (16, 8, 8),
        radii: Sequence[float] | None = None,
        patch_dims: Sequence[int] = (128, 256),
        drop_path_rate: float = 0.1,
        norm_levels: Sequence[int] | None = None,
        embed_masked: bool = True,
        fps_rule: str = 'pointnet2',
        group_radii: Sequence[float] | None = None,
        pos_scale: str | None = 'metric',
        group_scale: float = 1.0,
        index_zero_visible: bool = False,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        given = dict(
            level_dims=level_dims, depths=depths, num_groups=num_groups, group_sizes=group_sizes
        )
        if not all(isinstance(value, Sequence) for value in given.values()):
            raise ValueError(f'Arguments must have one number for each level, got {given}.')
        self.level_dims, self.depths = tuple(level_dims), tuple(depths)
        num_levels = len(level_dims)
        self.radii = tuple(radii or [0.0] * num_levels)
        if norm_levels is None:
            norm_levels = range(num_levels)
        self._check(dict(given, radii=self.radii), norm_levels)
        self.embed_dims = level_dims[-1]
        self.in_channels = in_channels
        self.embed_masked = embed_masked
        self.index_zero_visible = index_zero_visible
        self.group = PyramidGroup(num_groups, group_sizes, radii=group_radii, fps_rule=fps_rule)
        inputs = (3, *level_dims[:-1])
        self.embeds = nn.ModuleList(
            PatchEmbed(
                dims,
                width,
                feature_channels=0 if i else in_channels - 3,
                local_dims=(width, width) if i else patch_dims,
                scale=1.0 if i else group_scale,
            )
            for i, (dims, width) in enumerate(zip(level_dims, inputs))
        )
        self.pos_embeds = nn.ModuleList(
            PositionEmbed(dims, dims, scale=pos_scale) for dims in level_dims
        )
        self.blocks = block_stacks(
            level_dims, depths, num_heads=num_heads, drop_path_rate=drop_path_rate, block=LocalBlock
        )
        self.norms = nn.ModuleDict({str(i): nn.LayerNorm(level_dims[i]) for i in norm_levels})
        # Keys that checkpoints may have in addition.
        self.skipped_keys = tuple(f'norms.{i}.' for i in range(num_levels) if i not in norm_levels)
        self.random_init()

    @property
    def num_levels(self) -> int:
        """Number of levels."""
        return len(self.depths)

    def random_init(self) -> None:
        """Truncated normal, std 0.02; biases 0 (spec, section 9)."""
        init_transformer(self)
        self.embeds[0].reset_features()

    def encode(self, patches: Sequence[Patches], mask: Tensor | None = None) -> dict:
        """Embed the patches of all levels and run the blocks.

        Args:
            patches: From ``group``.
            mask: (B, G) bool of the top level, True = masked, equally many in every cloud, V = G -
                M. In the levels below, the tokens in the patches of visible tokens are visible;
                the blocks read no others. None: nothing is masked, V = G.

        Returns:
            dict: ``tokens`` (B, V, C) of the top level; ``cls_token`` None;
            ``levels``, for each level (B, G_i, C_i), 0 where masked, after
            the norms; ``masks``, for each level (B, G_i) bool or None.
        """
        masks = [None] * len(patches)
        if mask is not None:
            masks = propagate_mask(mask, patches, self.index_zero_visible)
        x, levels = None, []
        for i, (level, hidden) in enumerate(zip(patches, masks)):
            source = gather(x, level.point_idx) if i else level.points
            x = self.embed(i, source, hidden)
            centers = level.centers
            positions = self.pos_embeds[i].place(centers, patches[0].centers)
            if hidden is None:
                x = self.run_blocks(i, x, centers, positions)
                tokens = self.norm(i, x)
                levels.append(tokens)
                continue
            visible = VisibleTokens.of(hidden)
            seen = self.run_blocks(i, *map(visible.take, (x, centers, positions)), visible.valid)
            x = visible.put(seen, x)  # masked ones stay as embedded
            tokens = self.norm(i, seen)
            levels.append(visible.put(tokens, 0.0))
        return dict(tokens=tokens, cls_token=None, levels=levels, masks=masks)

    def embed(self, level: int, patches: Tensor, mask: Tensor | None) -> Tensor:
        """Tokens (B, G, C) of patches (B, G, K, D).

        Masked ones are 0 if ``embed_masked`` is False.
        """
        embed = self.embeds[level]
        if mask is None or self.embed_masked:
            return embed(patches)
        if is_exporting():  # the number of rows must not depend on values then
            return embed(patches).masked_fill(mask[..., None], 0.0)
        rows = embed(patches[~mask][None])[0]
        tokens = rows.new_zeros(*mask.shape, rows.shape[-1])
        return tokens.masked_scatter(~mask[..., None], rows)

    def run_blocks(
        self, level: int, x: Tensor, centers: Tensor, positions: Tensor, valid: Tensor | None = None
    ) -> Tensor:
        """Run the blocks of a level.

        Args:
            level: Index of the level.
            x: (B, L, C) tokens.
            centers: (B, L, 3), for the radius.
            positions: (B, L, 3), input of the position embedding.
            valid: (B, L) bool, False for padding; None: all are valid.
        """
        allowed = None if valid is None else valid[:, None]  # (B, 1, L)
        radius = self.radii[level]
        if radius:
            near = (
                torch.cdist(centers, centers, compute_mode='donot_use_mm_for_euclid_dist') < radius
            )
            # every token attends to itself, padding, too
            itself = torch.eye(len(near[0]), dtype=bool, device=near.device)
            allowed = near if valid is None else near & allowed | itself
        if allowed is not None:
            allowed = allowed[:, None]
        x, _ = self.blocks[level](x, self.pos_embeds[level](positions), allowed=allowed)
        return x

    def norm(self, level: int, x: Tensor) -> Tensor:
        """Apply the final norm of a level if it has one."""
        key = str(level)
        return self.norms[key](x) if key in self.norms else x

    def freeze_norms(self, below: int) -> None:
        """Freeze the final norms of the levels below ``below``, which a method does not use."""
        for level, norm in self.norms.items():
            if int(level) < below:
                norm.requires_grad_(False)

    def forward(self, points: Tensor) -> dict:
        """Encode whole clouds.

        Args:
            points: (B, N, in_channels or more).

        Returns:
            dict: As in :meth:`BasePointBackbone.forward`, for the top level; also ``levels``, and
            for each level ``level_centers`` (B, G_i, 3) and ``level_center_idx`` (B, G_i), indices
            into the cloud.
        """
        points = self.read(points)
        patches = self.group(points)
        centers = [level.centers for level in patches]
        indices = point_indices(patches)
        return dict(
            self.encode(patches),
            centers=centers[-1],
            center_idx=indices[-1],
            level_centers=centers,
            level_center_idx=indices,
            points=points[..., :3].contiguous(),
            features=points[..., 3:],
        )

    def truncate(self, layer: int) -> None:
        """Remove the levels after ``layer``, see :class:`BasePointBackbone`."""
        keep = find_layer(layer, len(self.blocks), 'levels') + 1
        for part in (self.group.levels, self.embeds, self.pos_embeds, self.blocks):
            del part[keep:]
        for key in [key for key in self.norms if int(key) >= keep]:
            del self.norms[key]
        self.level_dims = self.level_dims[:keep]
        self.depths = self.depths[:keep]
        self.embed_dims = self.level_dims[-1]

    def extract_feat(
        self, points: Tensor, level: str = 'global', at: Tensor | None = None
    ) -> Tensor:
        """Features for probes, see :class:`BasePointBackbone`.

        ``'global'``: (B, C), the maximum over the tokens of the top level (I2P-MAE's linear SVM).
        As published, tokens in no patch of the level above are left out. ``'point'``: (B, N, sum
        of C_i), all levels.
        """
        if level not in LEVELS:
            raise ValueError(f'level is one of {LEVELS}, got {level!r}.')
        if level == 'global':
            patches = self.group(self.read(points))
            top = patches[-1].centers
            nothing = torch.zeros(top.shape[:2], dtype=torch.bool, device=top.device)
            return self.encode(patches, nothing)['tokens'].amax(dim=1)
        out = self(points)
        if level == 'token':
            return out['tokens']
        at = out['points'] if at is None else at
        return torch.cat(
            [
                three_interpolate(at, centers, tokens, squared=True)
                for centers, tokens in zip(out['level_centers'], out['levels'])
            ],
            dim=2,
        )

    def get_layer_depth(self, name: str, prefix: str = '') -> tuple[int, int]:
        """See :meth:`PointTransformer.get_layer_depth`."""
        num_layers = sum(self.depths) + 2
        part, _, rest = name.removeprefix(prefix).partition('.')
        if part == 'norms':
            return num_layers - 1, num_layers
        level, _, rest = rest.partition('.')
        below = sum(self.depths[: int(level)])
        if part == 'blocks':
            return below + int(rest.split('.')[0]) + 1, num_layers
        # an embedding has the depth of the block before it
        return below, num_layers

    def _check(self, given: dict, norm_levels: Sequence[int]) -> None:
        """Raise ``ValueError`` if the arguments do not fit together."""
        if len({len(v) for v in given.values()}) > 1 or not self.depths:
            raise ValueError(f'Arguments must have one number for each level, got {given}.')
        if min(self.radii) < 0:
            raise ValueError(
                f'radii must be positive, or 0 for global attention, got {self.radii}.'
            )
        if not set(norm_levels) <= set(range(len(self.depths))):
            raise ValueError(
                f'norm_levels must be in 0..{len(self.depths) - 1}, got {tuple(norm_levels)}.'
            )
