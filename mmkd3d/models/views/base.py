"""The contract of view providers: images of clouds for an image teacher."""

from typing import NamedTuple

import torch
import torch.nn as nn
from torch import Tensor


class Views(NamedTuple):
    """V images of each of B clouds, with the pixels of M points.

    Attributes:
        images: (B, V, 3, H, W) float32 in [0, 1].
        foreground: (B, V, H, W) bool, True on the cloud; None if unknown.
        uv: (B, V, M, 2) pixel coordinates (column, row) of the points; None
            if no points were given.
        visible: (B, V, M) bool: inside the image and not occluded.
    """

    images: Tensor
    foreground: Tensor | None = None
    uv: Tensor | None = None
    visible: Tensor | None = None


class BaseViews(nn.Module):
    """Base class of view providers.

    Subclasses implement ``forward``. If their images are the same in every
    epoch they also implement ``inputs`` and ``render``, which makes features
    of the images cacheable.

    Attributes:
        num_views: V, images per cloud.
        random: Whether the images change between calls with equal inputs, or
            show the augmented cloud.
        field: What ``inputs`` reads from the samples, for messages.
        hint: How to add it to the samples, for messages.
    """

    num_views: int
    random: bool = False
    field: str
    hint: str

    def forward(
        self,
        points: Tensor,
        data_samples: list | None = None,
        *,
        at: Tensor | None = None,
        view_idx: Tensor | None = None,
    ) -> Views:
        """Images of clouds.

        Args:
            points: (B, N, 3+F), augmented.
            data_samples: B elements.
            at: (B, M, 3) points to locate in the images, in the coordinates
                of ``points``.
            view_idx: (B, W) long, indices of the requested views; None: all.
        """
        raise NotImplementedError

    def inputs(self, data_samples: list) -> Tensor | None:
        """Inputs of ``render`` that do not change between epochs.

        Returns:
            (B, ...), or None if the samples have none and views of the
            augmented batch are drawn.
        """
        return None

    def render(self, inputs: Tensor, view_idx: Tensor | None = None) -> Views:
        """Images of ``inputs``."""
        raise NotImplementedError


def take_views(x: Tensor | None, view_idx: Tensor | None) -> Tensor | None:
    """Select views (B, W, ...) of x (B, V, ...) with indices (B, W)."""
    if x is None or view_idx is None:
        return x
    return x[torch.arange(len(x), device=x.device)[:, None], view_idx]
