"""Fixed descriptors of patches: words for a transformer that knows none."""

import math

import torch
import torch.nn as nn
from torch import Tensor


class FourierDescriptor(nn.Module):
    """Random Fourier features of a patch and of its place; nothing trains.

    A patch is a set of points; the mean of random Fourier features over it is
    a kernel mean embedding: two patches have near descriptors if and only if
    their points are distributed alike (Rahimi and Recht 2007; Smola et al.
    2007). The place of the patch is written in the same alphabet and added,
    both standardised over the batch (running statistics in eval mode): else
    the place, which varies more, would drown the shape.

    Args:
        embed_dims: Length of the descriptor.
        patch_scale: Length within a patch, in units of the cloud, over which
            the features of a point decorrelate.
        place_scale: The same for the centres.
        seed: Of the random frequencies; they are not stored in checkpoints.
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
