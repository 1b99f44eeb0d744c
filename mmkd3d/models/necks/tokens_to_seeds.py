"""Neck from tokens to the seeds of mmdetection3d's detection heads."""

from collections.abc import Sequence

import torch
import torch.nn as nn
from mmengine.model import BaseModule
from torch import Tensor

from mmkd3d.ops import farthest_point_sample, gather, three_interpolate
from mmkd3d.registry import MODELS


@MODELS.register_module()
class TokensToSeeds(BaseModule):
    """Convert the tokens of a backbone to seeds for a detection head.

    The heads of VoteNet and GroupFree3D read ``fp_xyz``, ``fp_features`` and
    ``fp_indices``, the indices of the seeds among the input points
    (detection, section 8.5). 3DETR's head reads the seeds as tokens; it needs
    this neck only to combine several levels.

    By default the seeds are the patch centres. With ``num_seeds`` they are
    sampled from the input by farthest point sampling, and their features are
    interpolated from the three nearest centres. If the levels have different
    centres (PointM2AE), the coarser ones are interpolated to the finest.

    Args:
        in_channels: Width C of the tokens, or the width of each level.
        out_channels: Width of the seeds: 256 for VoteNet, 288 for GroupFree3D,
            ``in_channels`` of the head for 3DETR.
        num_seeds: Number of seeds S; None uses the patch centres.
        num_levels: Number of levels to concatenate: as many as the backbone's
            ``out_indices`` or a PointM2AE's levels; 0 uses the last tokens.
        init_cfg: See mmengine's ``BaseModule``.

    Raises:
        ValueError: ``in_channels`` does not match ``num_levels``.
    """

    def __init__(
        self,
        in_channels: int | Sequence[int],
        out_channels: int = 256,
        *,
        num_seeds: int | None = None,
        num_levels: int = 0,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        self.num_seeds = num_seeds
        self.num_levels = num_levels
        if isinstance(in_channels, int):
            in_channels = [in_channels] * max(num_levels, 1)
        if len(in_channels) != max(num_levels, 1):
            raise ValueError(
                'in_channels must be a number, or a sequence of one number for each of '
                f'num_levels={num_levels}, got {in_channels}.'
            )
        self.in_channels = tuple(in_channels)
        self.project = nn.Sequential(
            nn.Conv1d(sum(in_channels), out_channels, 1),
            nn.BatchNorm1d(out_channels),
            nn.ReLU(inplace=True),
        )

    def forward(self, feats: dict) -> dict:
        """Convert the output of a backbone to seeds.

        Returns:
            dict: ``fp_xyz`` [(B, S, 3)], ``fp_features``
            [(B, out_channels, S)] and ``fp_indices`` [(B, S)], lists with one
            level as in mmdetection3d; the same seeds as ``centers`` (B, S, 3)
            and ``tokens`` (B, S, out_channels).
        """
        levels, centers, index = self._levels(feats)
        seeds = centers[0]
        if self.num_seeds is not None and self.num_seeds != seeds.shape[1]:
            index = farthest_point_sample(feats['points'], self.num_seeds)
            seeds = gather(feats['points'], index)
        tokens = [
            x if own is seeds else three_interpolate(seeds, own, x)
            for x, own in zip(levels, centers)
        ]
        seed_feats = self.project(torch.cat(tokens, dim=2).transpose(1, 2).contiguous())
        return dict(
            fp_xyz=[seeds],
            fp_features=[seed_feats],
            fp_indices=[index],
            centers=seeds,
            tokens=seed_feats.transpose(1, 2),
        )

    def _levels(self, feats: dict) -> tuple[list, list, Tensor]:
        """Return tokens (B, G_i, C_i) and centres of each level, and the first centres' indices.

        Levels with common centres are concatenated to one.
        """
        levels = feats['levels'] if self.num_levels else [feats['tokens']]
        if len(levels) != max(self.num_levels, 1):
            raise ValueError(
                f'The neck expects num_levels={self.num_levels}, the backbone returns '
                f'{len(levels)}: change num_levels or the out_indices of the backbone.'
            )
        widths = tuple(x.shape[2] for x in levels)
        if widths != self.in_channels:
            raise ValueError(
                f'The neck expects in_channels={self.in_channels}, the tokens of the backbone '
                f'have {widths} channels.'
            )
        if self.num_levels and 'level_centers' in feats:
            return levels, feats['level_centers'], feats['level_center_idx'][0]
        return [torch.cat(levels, dim=2)], [feats['centers']], feats['center_idx']
