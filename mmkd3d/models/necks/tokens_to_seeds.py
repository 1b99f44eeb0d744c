"""From tokens to the seeds that mmdetection3d's heads read."""
from typing import Optional

import torch
import torch.nn as nn
from mmengine.model import BaseModule
from torch import Tensor

from mmkd3d.ops import farthest_point_sample, gather, three_interpolate
from mmkd3d.registry import MODELS


@MODELS.register_module()
class TokensToSeeds(BaseModule):
    """Neck between a student and VoteNet's or GroupFree3D's head.

    The heads read ``fp_xyz``, ``fp_features`` and ``fp_indices``; the last
    index the input points, from which targets are gathered. If more seeds are
    wanted than there are tokens, they are sampled from the input (farthest
    point sampling is nested: the first are the centres of the patches) and
    get their features from the three nearest centres.

    Args:
        in_channels: Width of the tokens, C.
        out_channels: Channels of a seed: 256 for VoteNet, 288 for
            GroupFree3D.
        num_seeds: Seeds per scene, S; None takes one for each token.
        num_levels: Levels of the student (``out_indices``) that are
            concatenated; 0 takes its last tokens.
        init_cfg: As in mmengine.
    """

    def __init__(self,
                 in_channels: int,
                 out_channels: int = 256,
                 *,
                 num_seeds: Optional[int] = None,
                 num_levels: int = 0,
                 init_cfg: Optional[dict] = None):
        super().__init__(init_cfg)
        self.num_seeds = num_seeds
        self.num_levels = num_levels
        width = in_channels * max(num_levels, 1)
        self.project = nn.Sequential(
            nn.Conv1d(width, out_channels, 1), nn.BatchNorm1d(out_channels),
            nn.ReLU(inplace=True))

    def forward(self, feats: dict) -> dict:
        """Turn the output of a student into lists with one level.

        Returns:
            dict: ``fp_xyz`` [(B, S, 3)], the input's own coordinates;
            ``fp_features`` [(B, out_channels, S)]; ``fp_indices`` [(B, S)]
            long.
        """
        tokens, centers = self._tokens(feats), feats['centers']
        seeds, index = centers, feats['center_idx']
        if self.num_seeds is not None and self.num_seeds != tokens.shape[1]:
            points = feats['points']
            index = farthest_point_sample(points, self.num_seeds)
            seeds = gather(points, index)
            tokens = three_interpolate(seeds, centers, tokens)
        seed_feats = self.project(tokens.transpose(1, 2).contiguous())
        return dict(
            fp_xyz=[seeds], fp_features=[seed_feats], fp_indices=[index])

    def _tokens(self, feats: dict) -> Tensor:
        if self.num_levels == 0:
            return feats['tokens']
        levels = feats['levels']
        if len(levels) != self.num_levels:
            raise ValueError(
                f'The neck expects num_levels={self.num_levels}, the student '
                f'returns {len(levels)}: name as many blocks in out_indices.')
        return torch.cat(levels, dim=-1)
