"""The mini-PointNet that turns a patch into a token."""
from typing import Sequence

import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor


class PatchEmbed(nn.Module):
    """Mini-PointNet over the points of a patch (Point-BERT, section 3.1).

    Two shared MLPs, each followed by a maximum over the patch; what the first
    maximum finds is handed to every point of the second MLP. The published
    codes write the MLPs as 1x1 convolutions; the weights are the same.

    Args:
        embed_dims: Width of the token, C.
        in_channels: Channels of a point.
        local_dims: Widths of the first MLP.
    """

    def __init__(self,
                 embed_dims: int,
                 in_channels: int = 3,
                 *,
                 local_dims: Sequence[int] = (128, 256)):
        super().__init__()
        hidden, local = local_dims
        self.first = nn.Sequential(
            nn.Linear(in_channels, hidden), nn.BatchNorm1d(hidden),
            nn.ReLU(inplace=True), nn.Linear(hidden, local))
        self.second = nn.Sequential(
            nn.Linear(2 * local, 2 * local), nn.BatchNorm1d(2 * local),
            nn.ReLU(inplace=True), nn.Linear(2 * local, embed_dims))

    def forward(self, patches: Tensor) -> Tensor:
        """Embed ``patches`` (B, G, K, in_channels) as (B, G, C)."""
        B, G, K, _ = patches.shape
        local = self.first(patches.flatten(0, 2)).view(B * G, K, -1)
        pooled = local.max(dim=1, keepdim=True).values  # (BG, 1, 256)
        # The first layer over [pooled, local], with the part that is the same
        # for all points of a patch computed once.
        layer = self.second[0]
        of_pooled, of_local = layer.weight.chunk(2, dim=1)
        x = F.linear(local, of_local, layer.bias) + F.linear(pooled, of_pooled)
        x = self.second[1:](x.flatten(0, 1)).view(B * G, K, -1)
        return x.max(dim=1).values.view(B, G, -1)
