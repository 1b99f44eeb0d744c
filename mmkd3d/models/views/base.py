"""Pictures to go with clouds: what an image teacher is shown."""

from typing import NamedTuple

import torch.nn as nn
from torch import Tensor


class Pictures(NamedTuple):
    """V pictures of each of B clouds, and where M places are seen in them.

    Attributes:
        images: (B, V, 3, H, W) float32 in [0, 1].
        foreground: (B, V, H, W) bool, where the cloud is; None: not known.
        uv: (B, V, M, 2) pixels, column first, of the places; None: no places
            were given.
        seen: (B, V, M) bool: in the picture, and nothing is in front.
    """

    images: Tensor
    foreground: Tensor | None = None
    uv: Tensor | None = None
    seen: Tensor | None = None


class BasePairs(nn.Module):
    """Provider of pictures of clouds.

    Subclasses write ``forward``. Those whose pictures are the same in every
    epoch also write ``inputs`` and ``draw``, so that features can be cached.

    Attributes:
        num_views: V of the pictures of one cloud.
        random: Whether the pictures differ from one call to the next even
            where the inputs do not, or are of the augmented cloud.
        carries, way_out: What the samples bring, in words, and what to do if
            they don't; only with ``inputs``.
    """

    num_views: int
    random: bool = False
    carries: str
    way_out: str

    def forward(
        self,
        points: Tensor,
        data_samples: list | None = None,
        *,
        places: Tensor | None = None,
        view_idx: Tensor | None = None,
    ) -> Pictures:
        """Pictures of clouds.

        Args:
            points: (B, N, 3+F) of the batch, augmented.
            data_samples: B elements with what comes with the clouds.
            places: (B, M, 3) in the coordinates of the points; to be found in
                the pictures.
            view_idx: (B, W) long, which of the views; None: all.
        """
        raise NotImplementedError

    def inputs(self, data_samples: list) -> Tensor | None:
        """What the samples carry to be drawn, the same in every epoch.

        Returns:
            (B, ...), or None where they carry nothing: pictures are drawn of
            the augmented batch.
        """
        return None

    def draw(self, source: Tensor, view_idx: Tensor | None = None) -> Pictures:
        """Pictures of ``inputs``."""
        raise NotImplementedError
