"""Fixed descriptors of patches."""

import math

import torch
import torch.nn as nn
from torch import Tensor


class FourierDescriptor(nn.Module):
    """Random Fourier features of a patch and of its centre; nothing is trained.

    The mean of random Fourier features over the points of a patch is a kernel mean embedding: two
    descriptors are similar if and only if the points are distributed similarly (Rahimi and Recht
    2007; Smola et al. 2007). Features of the centre are added. Both are standardised over the
    batch (running statistics in eval mode), since those of the centre vary more.

    Args:
        embed_dims: Length of the descriptor.
        patch_scale: Length within a patch, in units of the cloud, over which the features of a
            point decorrelate.
        place_scale: The same for the centres.
        seed: Seed of the random frequencies, which are not in checkpoints.
    """

    def __init__(
        self, embed_dims: int, *, patch_scale: float = 0.1, place_scale: float = 0.5, seed: int = 0
    ):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        for name, scale in (('patch', patch_scale), ('place', place_scale)):
            frequency = torch.randn(3, embed_dims, generator=generator) / scale
            phase = 2 * math.pi * torch.rand(embed_dims, generator=generator)
            self.register_buffer(f'{name}_freq', frequency, persistent=False)
            self.register_buffer(f'{name}_phase', phase, persistent=False)
        self.patch_norm = nn.BatchNorm1d(embed_dims, affine=False)
        self.place_norm = nn.BatchNorm1d(embed_dims, affine=False)

    def forward(self, patches: Tensor, centers: Tensor) -> Tensor:
        """Describe ``patches`` (B, G, K, 3) at ``centers`` (B, G, 3).

        Returns:
            (B, G, embed_dims).
        """
        shape = torch.cos(patches.float() @ self.patch_freq + self.patch_phase)
        place = torch.cos(centers.float() @ self.place_freq + self.place_phase)
        shape, place = shape.mean(dim=2).flatten(0, 1), place.flatten(0, 1)
        return (self.patch_norm(shape) + self.place_norm(place)).unflatten(0, centers.shape[:2])
