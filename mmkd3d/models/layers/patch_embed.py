"""The mini-PointNet that turns a patch into a token."""

from collections.abc import Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from .row_norm import RowBatchNorm


class PatchEmbed(nn.Module):
    """Mini-PointNet over the points of a patch (Point-BERT, section 3.1).

    Two shared MLPs, each followed by a maximum over the patch; what the first
    maximum finds is handed to every point of the second MLP. The published
    codes write the MLPs as 1x1 convolutions; the weights are the same.

    Features of points, such as colour, are ours: the first layer has a term
    for them that starts at 0, so that a student of plain points gives the
    same tokens at first.

    Args:
        embed_dims: Width of the token, C.
        in_channels: Channels of a point without its features.
        feature_channels: Features of a point, F, after the others.
        local_dims: Widths of the first MLP.
        scale: Factor on the channels of a point without its features.
    """

    def __init__(
        self,
        embed_dims: int,
        in_channels: int = 3,
        *,
        feature_channels: int = 0,
        local_dims: Sequence[int] = (128, 256),
        scale: float = 1.0,
    ):
        super().__init__()
        self.embed_dims = embed_dims
        self.channels = in_channels, feature_channels
        self.scale = scale
        hidden, local = local_dims
        self.first = nn.Sequential(
            nn.Linear(in_channels, hidden),
            RowBatchNorm(hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, local),
        )
        self.second = nn.Sequential(
            nn.Linear(2 * local, 2 * local),
            RowBatchNorm(2 * local),
            nn.ReLU(inplace=True),
            nn.Linear(2 * local, embed_dims),
        )
        self.features = None
        if feature_channels:
            self.features = nn.Linear(feature_channels, hidden, bias=False)
        self.reset_features()

    def reset_features(self) -> None:
        """Set the term of the features to 0."""
        if self.features is not None:
            nn.init.zeros_(self.features.weight)

    def forward(self, patches: Tensor, mask: Tensor | None = None) -> Tensor:
        """Embed patches.

        Args:
            patches: (B, G, K, in_channels + F).
            mask: (B, G) bool, True = not wanted, equally many in every row,
                so that V patches remain. All the same they count in the
                statistics of the norms, as in the published codes; only what
                follows the last norm is left out.

        Returns:
            (B, G, C), or (B, V, C) with a mask.
        """
        B, G, K, _ = patches.shape
        local = self.embed_points(patches.flatten(0, 2)).view(B * G, K, -1)
        pooled = maximum(local)[:, None]  # (BG, 1, 256)
        # The first layer over [pooled, local], with the part that is the same
        # for all points of a patch computed once.
        layer, norm = self.second[:2]
        of_pooled, of_local = layer.weight.chunk(2, dim=1)
        x = F.linear(local, of_local)
        x += F.linear(pooled, of_pooled, layer.bias)
        x = norm(x.flatten(0, 1))  # (BGK, 512)
        if mask is not None:
            x = x[~mask.flatten().repeat_interleave(K)]  # (BVK, 512)
        x = self.second[2:](x).view(-1, K, self.embed_dims)
        return maximum(x).view(B, -1, self.embed_dims)

    def embed_points(self, points: Tensor) -> Tensor:
        """The first MLP over rows (M, in_channels + F)."""
        if self.features is None:
            return self.first(self.scale * points)
        if points.shape[1] != sum(self.channels):
            raise ValueError(
                f'Patches of {points.shape[1]} channels were given to a '
                f'PatchEmbed with feature_channels={self.channels[1]}, which '
                f'reads {sum(self.channels)}. Pretraining reads coordinates '
                'alone: take a student with in_channels=3 for it.'
            )
        xyz, features = points.split(self.channels, dim=1)
        x = self.first[0](self.scale * xyz) + self.features(features)
        return self.first[1:](x)


def maximum(x: Tensor) -> Tensor:
    """Over the points of a patch, (N, K, C) -> (N, C).

    ``amax`` is ten times as fast on a CPU, but slower with its gradient.
    """
    if torch.is_grad_enabled():
        return x.max(dim=1).values
    return x.amax(dim=1)
