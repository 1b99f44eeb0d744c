"""Pyramids of patches, and their visible tokens."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn as nn
from torch import Tensor

from mmkd3d.ops import gather
from mmkd3d.ops.exporting import is_exporting

from .patches import Patches, PatchGroup


class PyramidGroup(nn.Module):
    """Patches of patches (Point-M2AE, section 3.1).

    The patches of level 0 are cut from the cloud, those of every other level from the centres of
    the level below.

    Args:
        num_groups: Patches of each level, finest first.
        group_sizes: Points, or centres of the level below, per patch.
        radii: Radius of the ball query of each level, see
            :class:`PatchGroup`; default: nearest neighbours.
        kwargs: Of :class:`PatchGroup`, for all levels.

    Raises:
        ValueError: The arguments differ in their number of levels, or a patch has more centres
            than the level below.
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
                'num_groups, group_sizes and radii must have one value for each level, got '
                f'{tuple(num_groups)}, {tuple(group_sizes)} and {tuple(radii)}.'
            )
        if any(size > below for size, below in zip(group_sizes[1:], num_groups)):
            raise ValueError(
                'A patch cannot have more centres than the level below has, got '
                f'group_sizes={tuple(group_sizes)} for num_groups={tuple(num_groups)}.'
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
    """Indices (B, G) of the centres of each level in the cloud."""
    indices = []
    for level in pyramid:
        idx = level.center_idx
        indices.append(indices[-1].gather(1, idx) if indices else idx)
    return indices


def propagate_mask(
    mask: Tensor, pyramid: Sequence[Patches], index_zero_visible: bool = False
) -> list[Tensor]:
    """Masks of all levels from that of the top level (Point-M2AE, section 3.2).

    A token is visible if it is in the patch of a visible token.

    Args:
        mask: (B, G) bool of the top level, True = masked.
        pyramid: From :class:`PyramidGroup`.
        index_zero_visible: Reproduce a bug of the published code: token 0 of the first cloud of
            the batch is visible if any token of its patch is masked one level above.

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
    """Indices of the visible tokens of a level, padded to the same number in each cloud.

    Attributes:
        mask: (B, G) bool, True = masked.
        idx: (B, V) long, the visible tokens in order; V is the largest number in a cloud, the
            rest is padding.
        valid: (B, V) bool, False for padding.
    """

    mask: Tensor
    idx: Tensor
    valid: Tensor

    @classmethod
    def of(cls, mask: Tensor) -> 'VisibleTokens':
        """From a mask (B, G), True = masked."""
        count = (~mask).sum(dim=1, keepdim=True)
        rank = torch.arange(mask.shape[1], device=mask.device)
        idx = (mask * len(rank) + rank).argsort(dim=1)  # no ties: ONNX has no stable sort
        if not is_exporting():  # the number must not depend on values then
            idx = idx[:, : int(count.max())]
        return cls(mask, idx, rank[: idx.shape[1]] < count)

    def take(self, x: Tensor) -> Tensor:
        """Gather the visible tokens, (B, G, C) -> (B, V, C)."""
        return gather(x, self.idx)

    def put(self, x: Tensor, elsewhere: Tensor | float) -> Tensor:
        """Scatter the visible tokens, (B, V, C) -> (B, G, C); masked ones become ``elsewhere``."""
        rank = (~self.mask).cumsum(dim=1).sub(1).clamp(min=0)
        return gather(x, rank).where(~self.mask[..., None], elsewhere)
