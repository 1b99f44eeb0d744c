"""A trained patch embedding beside a frozen student."""

from collections.abc import Sequence

import torch
import torch.nn as nn
from torch import Tensor

from .patches import PatchEmbed


class SideTuning(nn.Module):
    """Side tuning of a student (ACT, section 7).

    The tokens of the student are blended with those of a light network that sees the same
    patches. The weight of the student, ``sigmoid(alpha)``, is learned and starts at 0.5.

    Args:
        embed_dims: Width of the tokens, C.
        patch_dims: See ``local_dims`` of :class:`PatchEmbed`.
    """

    def __init__(self, embed_dims: int, *, patch_dims: Sequence[int] = (128, 256)):
        super().__init__()
        self.patch_embed = PatchEmbed(embed_dims, local_dims=patch_dims)
        self.proj = nn.Linear(embed_dims, embed_dims, bias=False)
        self.alpha = nn.Parameter(torch.zeros(()))

    def forward(self, tokens: Tensor, patches: Tensor) -> Tensor:
        """Blend ``tokens`` (B, G, C) with those of ``patches`` (B, G, K, 3).

        Returns:
            (B, G, C).
        """
        side = self.proj(self.patch_embed(patches))
        return torch.lerp(side, tokens, self.alpha.sigmoid())
