"""Tokens out of the backbones of mmdetection3d."""

import torch.nn as nn
from torch import Tensor

from mmkd3d.registry import MODELS

from ..distillation import StudentFeatures

LEVELS = ('sa', 'fp')


@MODELS.register_module()
class LevelTokens(nn.Module):
    """Read the points of a PointNet++ as tokens (concept distillation, DC-2).

    Of mmdetection3d's ``PointNet2SASSG`` the last set-abstraction level (256
    points of 256 channels in VoteNet's config) or the last that features were
    propagated to: VoteNet's seeds.

    Args:
        in_channels: Channels of the level.
        embed_dims: Width of the tokens, C.
        level: ``'sa'`` or ``'fp'``.

    Raises:
        ValueError: An unknown level.
    """

    def __init__(self, in_channels: int = 256, embed_dims: int = 384, level: str = 'sa'):
        super().__init__()
        if level not in LEVELS:
            raise ValueError(f'level is one of {LEVELS}, got {level!r}.')
        self.embed_dims = embed_dims
        self.read = StudentFeatures(level)
        self.norm = nn.LayerNorm(in_channels)
        self.project = nn.Linear(in_channels, embed_dims)

    def forward(self, output: dict, points: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (B, G, C) and their places (B, G, 3).

        Args:
            output: Of the backbone.
            points: (B, N, 3+F) that it got.

        Raises:
            ValueError: There is no such level.
        """
        xyz, feats = self.read(output, points)
        return self.project(self.norm(feats)), xyz

    def freeze_unread(self, backbone: nn.Module) -> None:
        """Leave out of training what the tokens do not depend on."""
        if self.read.kind == 'sa' and hasattr(backbone, 'FP_modules'):
            backbone.FP_modules.requires_grad_(False)
