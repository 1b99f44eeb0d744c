"""Clouds as pyramids of patches, and which of their tokens are seen."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn as nn
from torch import Tensor

from mmkd3d.ops import gather

from .patches import Patches, PatchGroup


class PyramidGroup(nn.Module):
    """Patches of patches (Point-M2AE, section 3.1).

    Level 0 is cut out of the cloud, every other level out of the centres of
    the level below it.

    Args:
        num_groups: Patches of each level, finest first.
        group_sizes: Points, or centres of the level below, per patch.
        radii: Radius of the ball query of each level, see
            :class:`PatchGroup`; default: nearest neighbours.
        kwargs: Of :class:`PatchGroup`, for all levels.

    Raises:
        ValueError: Not one size for each level, or a patch of more centres
            than the level below has.
    """

    def __init__(
        self,
        num_groups: Sequence[int],
        group_sizes: Sequence[int],
        *,
        radii: Sequence[float] | None = None,
        **kwargs,
    ):
        super().__init__()
        radii = radii or [None] * len(num_groups)
        if not len(num_groups) == len(group_sizes) == len(radii) > 0:
            raise ValueError(
                'A pyramid needs num_groups, group_sizes and radii for each '
                f'level, got {tuple(num_groups)}, {tuple(group_sizes)} and '
                f'{tuple(radii)}.'
            )
        if any(size > below for size, below in zip(group_sizes[1:], num_groups)):
            raise ValueError(
                'A patch is made of centres of the level below, which must be '
                f'enough: got group_sizes={tuple(group_sizes)} for '
                f'num_groups={tuple(num_groups)}.'
            )
        self.levels = nn.ModuleList(
            PatchGroup(number, size, radius=radius, **kwargs)
            for number, size, radius in zip(num_groups, group_sizes, radii)
        )

    def forward(self, points: Tensor) -> list[Patches]:
        """Group ``points`` (B, N, 3+F); finest level first.

        In level i > 0, ``center_idx`` and ``point_idx`` index the centres of
        level i - 1.
        """
        pyramid = []
        for level in self.levels:
            pyramid.append(level(points))
            points = pyramid[-1].centers
        return pyramid


def point_indices(pyramid: Sequence[Patches]) -> list[Tensor]:
    """The centres of each level, (B, G), as indices into the cloud."""
    indices = []
    for level in pyramid:
        idx = level.center_idx
        indices.append(indices[-1].gather(1, idx) if indices else idx)
    return indices


def propagate_mask(
    mask: Tensor, pyramid: Sequence[Patches], index_zero_visible: bool = False
) -> list[Tensor]:
    """Masks of all levels that belong to one of the top (Point-M2AE, 3.2).

    What lies in the patch of a visible token is visible.

    Args:
        mask: (B, G) bool of the top level, True = masked.
        pyramid: From :class:`PyramidGroup`.
        index_zero_visible: The published code shows token 0 of the first
            cloud of a batch wherever something is masked one level above,
            by a slip.

    Returns:
        (B, G) bool of each level, finest first.
    """
    masks = [mask]
    for below, level in zip(pyramid[-2::-1], pyramid[:0:-1]):
        seen = (~masks[0])[..., None].expand(level.point_idx.shape)
        count = seen.new_zeros(below.centers.shape[:2], dtype=torch.float)
        count.scatter_add_(1, level.point_idx.flatten(1), seen.flatten(1).float())
        if index_zero_visible:
            count[0, 0] += masks[0].any()
        masks.insert(0, count == 0)
    return masks


class VisibleTokens(NamedTuple):
    """Where the visible tokens of a level are, in rows of one length.

    Attributes:
        mask: (B, G) bool, True = masked.
        idx: (B, V) long, the visible tokens in order, V of the cloud that has
            the most; what follows in shorter rows is of no meaning.
        valid: (B, V) bool, which of ``idx`` are visible tokens.
    """

    mask: Tensor
    idx: Tensor
    valid: Tensor

    @classmethod
    def of(cls, mask: Tensor) -> 'VisibleTokens':
        """Find them in a mask (B, G)."""
        count = (~mask).sum(dim=1, keepdim=True)
        idx = mask.byte().argsort(dim=1, stable=True)[:, : int(count.max())]
        place = torch.arange(idx.shape[1], device=mask.device)
        return cls(mask, idx, place < count)

    def take(self, x: Tensor) -> Tensor:
        """(B, G, C) -> (B, V, C)."""
        return gather(x, self.idx)

    def put(self, x: Tensor, elsewhere: Tensor | float) -> Tensor:
        """(B, V, C) -> (B, G, C), with other values at masked tokens."""
        rank = (~self.mask).cumsum(dim=1).sub(1).clamp(min=0)
        return gather(x, rank).where(~self.mask[..., None], elsewhere)
