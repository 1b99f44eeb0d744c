"""From tokens to the seeds that heads of detectors read."""

from collections.abc import Sequence

import torch
import torch.nn as nn
from mmengine.model import BaseModule
from torch import Tensor

from mmkd3d.ops import farthest_point_sample, gather, three_interpolate
from mmkd3d.registry import MODELS


@MODELS.register_module()
class TokensToSeeds(BaseModule):
    """Neck between a student and the head of a detector.

    The heads of VoteNet and GroupFree3D read ``fp_xyz``, ``fp_features`` and
    ``fp_indices``; the last index the input points, from which targets are
    gathered (detection, section 8.5). That of 3DETR needs no neck, but reads
    the seeds as tokens: so several levels get into it. If more seeds are
    wanted than there are tokens, they are sampled from the input (farthest
    point sampling is nested: the first are the centres of the patches) and
    get their features from the three nearest centres.

    With a student whose levels have centres of their own the seeds are those
    of the finest level, and the coarser levels are carried to them.

    Args:
        in_channels: Width of the tokens, C; or the widths of all levels.
        out_channels: Channels of a seed: 256 for VoteNet, 288 for
            GroupFree3D; for 3DETR what its head has as ``in_channels``.
        num_seeds: Seeds per scene, S; None takes one for each token.
        num_levels: Levels of the student (``out_indices``, or those of a
            PointM2AE) that are concatenated; 0 takes its last tokens.
        init_cfg: As in mmengine.

    Raises:
        ValueError: ``in_channels`` are not as many as the levels.
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
                'in_channels must be one number, or one for each of '
                f'num_levels={num_levels}, got {in_channels}.'
            )
        self.in_channels = tuple(in_channels)
        self.project = nn.Sequential(
            nn.Conv1d(sum(in_channels), out_channels, 1),
            nn.BatchNorm1d(out_channels),
            nn.ReLU(inplace=True),
        )

    def forward(self, feats: dict) -> dict:
        """Turn the output of a student into seeds.

        Returns:
            dict: Lists with one level, ``fp_xyz`` [(B, S, 3)], the input's
            own coordinates, ``fp_features`` [(B, out_channels, S)] and
            ``fp_indices`` [(B, S)] long; and the same seeds as ``centers``
            (B, S, 3) and ``tokens`` (B, S, out_channels).
        """
        levels, centers, index = self._levels(feats)
        seeds = centers[0]
        if self.num_seeds is not None and self.num_seeds != seeds.shape[1]:
            points = feats['points']
            index = farthest_point_sample(points, self.num_seeds)
            seeds = gather(points, index)
        tokens = torch.cat(
            [
                x if own is seeds else three_interpolate(seeds, own, x)
                for x, own in zip(levels, centers)
            ],
            dim=2,
        )
        seed_feats = self.project(tokens.transpose(1, 2).contiguous())
        return dict(
            fp_xyz=[seeds],
            fp_features=[seed_feats],
            fp_indices=[index],
            centers=seeds,
            tokens=seed_feats.transpose(1, 2),
        )

    def _levels(self, feats: dict) -> tuple[list, list, Tensor]:
        """Tokens (B, G_i, C_i), their centres, and where the first are.

        Levels that share their centres count as one.
        """
        levels = feats['levels'] if self.num_levels else [feats['tokens']]
        if len(levels) != max(self.num_levels, 1):
            raise ValueError(
                f'The neck expects num_levels={self.num_levels}, the student '
                f'returns {len(levels)}: name as many blocks in out_indices, '
                'or set num_levels to those of a PointM2AE.'
            )
        widths = tuple(x.shape[2] for x in levels)
        if widths != self.in_channels:
            raise ValueError(
                f'The neck expects tokens of in_channels={self.in_channels}, '
                f"the student's are {widths} wide."
            )
        if self.num_levels and 'level_centers' in feats:
            return (levels, feats['level_centers'], feats['level_center_idx'][0])
        return ([torch.cat(levels, dim=2)], [feats['centers']], feats['center_idx'])
