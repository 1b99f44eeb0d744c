"""The PointNet that set abstraction runs over the points of a ball."""

from collections.abc import Sequence

import torch
import torch.nn as nn
from torch import Tensor

from .patch_embed import maximum
from .point_mlp import shared_mlp


class PatchPointNet(nn.Module):
    """Shared MLP over the points of a patch, then their maximum (PointNet++).

    With :class:`PatchGroup` this is a set abstraction. The norms see the
    points of all patches.

    Args:
        dims: Widths of the MLP; the last is that of the token, C.
        radius: Of the ball query, by which coordinates are divided.
        feature_channels: Features of a point, F, after its coordinates.
    """

    def __init__(self, dims: Sequence[int], *, radius: float, feature_channels: int = 0):
        super().__init__()
        unit = torch.tensor([radius] * 3 + [1.0] * feature_channels)
        self.register_buffer('unit', unit, persistent=False)
        self.mlp = nn.Sequential(*shared_mlp(len(unit), *dims, bias=False))
        self.random_init()

    def random_init(self) -> None:
        """Kaiming normal (detection, section 1.9)."""
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
                f'Patches of {channels} channels were given to a network of '
                f'{len(self.unit)}. Pretraining reads coordinates alone: take '
                'a student with in_channels=3 for it.'
            )
        x = self.mlp((patches / self.unit).flatten(0, 2))  # (BGK, C)
        return maximum(x.view(B * G, K, -1)).view(B, G, -1)
