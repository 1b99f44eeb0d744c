"""Neck from the backbones of mmdetection3d to tokens."""

import torch.nn as nn
from torch import Tensor

from mmkd3d.registry import MODELS

from ..distillation import StudentFeatures

LEVELS = ('sa', 'fp')


@MODELS.register_module()
class SeedsToTokens(nn.Module):
    """Use a level of PointNet++ as tokens (concept distillation, DC-2).

    Reads the output of mmdetection3d's ``PointNet2SASSG``: either its last set
    abstraction level (256 points and 256 channels in VoteNet's config) or its
    last feature propagation level, VoteNet's seeds.

    Args:
        in_channels: Width of the level.
        embed_dims: Width of the tokens, C.
        level: ``'sa'`` (set abstraction) or ``'fp'`` (feature propagation).

    Raises:
        ValueError: ``level`` is unknown.
    """

    def __init__(self, in_channels: int = 256, embed_dims: int = 384, level: str = 'sa'):
        super().__init__()
        if level not in LEVELS:
            raise ValueError(f'level must be one of {LEVELS}, got {level!r}.')
        self.embed_dims = embed_dims
        self.read = StudentFeatures(level)
        self.norm = nn.LayerNorm(in_channels)
        self.project = nn.Linear(in_channels, embed_dims)

    def forward(self, output: dict, points: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens (B, G, C) and their coordinates (B, G, 3).

        Args:
            output: Output of the backbone.
            points: (B, N, 3+F), input of the backbone.

        Raises:
            ValueError: The output has no such level.
        """
        xyz, feats = self.read(output, points)
        return self.project(self.norm(feats)), xyz

    def freeze_unread(self, backbone: nn.Module) -> None:
        """Freeze the layers of the backbone that do not affect the tokens."""
        if self.read.kind == 'sa' and hasattr(backbone, 'FP_modules'):
            backbone.FP_modules.requires_grad_(False)
