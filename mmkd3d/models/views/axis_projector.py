"""Project clouds along the three axes, as in I2P-MAE."""

from typing import NamedTuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mmkd3d.ops.pairwise import check_cloud
from mmkd3d.registry import MODELS

# Axes that give row, column and value of each view (spec 6).
VIEWS = ((0, 1, 2), (2, 0, 1), (1, 2, 0))
FREE = 3  # pixels of a side without splat centers


class Frame(NamedTuple):
    """Maps clouds to the pixels of V images, rows before columns.

    Attributes:
        low: (B, V, 2) lower corner of the extent.
        cell: (B, V) size of a pixel.
        offset: (B, V, 2) in pixels, moves the extent to the middle.
    """

    low: Tensor
    cell: Tensor
    offset: Tensor


@MODELS.register_module()
class AxisProjector(nn.Module):
    """Splat clouds along the three axes (I2P-MAE, section 3.1; spec 6).

    Every point adds its signed coordinate along the view to a square of
    pixels, and a sigmoid maps the sums to gray values: 0.5 is background. As
    published, both sides are scaled by the larger extent. Unlike there, points
    are added once and a box filter spreads them: the images are the same.

    The images are differentiable in the coordinate along the view.

    Args:
        size: H = W, in pixels.
        radius: A point covers ``2 * radius + 1`` pixels in each direction.

    Raises:
        ValueError: ``size`` is too small, or ``radius`` is negative.
    """

    num_views = len(VIEWS)

    def __init__(self, size: int = 224, radius: int = 2):
        super().__init__()
        if size <= FREE or radius < 0:
            raise ValueError(
                f'AxisProjector: size must be above {FREE} and radius not '
                f'negative, got {size} and {radius}.'
            )
        self.size, self.radius = size, radius

    @torch.no_grad()
    def frame(self, points: Tensor) -> Frame:
        """Fit the images to ``points`` (B, N, 3).

        Coinciding points are placed in the middle.
        """
        plane, _ = split_views(points)
        low, high = plane.amin(2), plane.amax(2)  # (B, V, 2)
        cell = (high - low).amax(2) / (self.size - FREE)
        # quotients of denormal numbers are unreliable
        cell = cell.where(cell >= torch.finfo(cell.dtype).tiny, 1)
        last = ((high - low) / cell[..., None]).floor()
        middle = (last / 2 + 1).floor()
        return Frame(low, cell, (self.size + 1) // 2 - 1 - middle)

    @torch.no_grad()
    def pixels(self, at: Tensor, frame: Frame) -> Tensor:
        """Row and column of points.

        Args:
            at: (B, M, 3).
            frame: From :meth:`frame`.

        Returns:
            (B, V, M, 2) long, clamped to the image.
        """
        plane, _ = split_views(at)
        low, cell, offset = (
            frame.low[:, :, None],
            frame.cell[..., None, None],
            frame.offset[:, :, None],
        )
        # the order of operations decides how the floor rounds: keep it
        pixels = ((plane - low) / cell).floor() + 1 + offset
        return pixels.long().clamp(0, self.size - 1)

    def forward(self, points: Tensor, frame: Frame | None = None) -> Tensor:
        """Images of points.

        Args:
            points: (B, N, 3).
            frame: From :meth:`frame`; None computes it.

        Returns:
            (B, V, 3, H, W) float32 in [0, 1], also under autocast, with three
            equal channels.
        """
        frame = self.frame(points) if frame is None else frame
        _, values = split_views(points)  # (B, V, N)
        row, column = self.pixels(points, frame).unbind(-1)
        sums = values.new_zeros(*values.shape[:2], self.size**2).scatter_add(
            2, row * self.size + column, values
        )
        sums = box_sum(sums.unflatten(2, (self.size, -1)), self.radius)
        return sums.sigmoid()[:, :, None].expand(-1, -1, 3, -1, -1)

    def extra_repr(self) -> str:
        return f'{self.size}, radius={self.radius}'


def split_views(points: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates of ``points`` (B, N, 3) in each view.

    Returns:
        Row and column (B, V, N, 2) and value (B, V, N), float32.
    """
    check_cloud('points', points)
    axes = points.float().unbind(-1)
    # indexing with a list would copy it to the device and wait
    views = torch.stack([torch.stack([axes[axis] for axis in view], -1) for view in VIEWS], 1)
    return views[..., :2], views[..., 2]


def box_sum(images: Tensor, radius: int) -> Tensor:
    """Sum over the square of side ``2 * radius + 1`` around each pixel.

    Parts of a square outside the image are added to its border.

    Args:
        images: (..., H, W).
        radius: Of the squares, in pixels.

    Returns:
        (..., H, W).
    """
    margin, border = 2 * radius, radius + 1
    images = F.pad(images, (margin,) * 4)
    for dim in (-1, -2):
        sums = images.unfold(dim, margin + 1, 1).sum(-1)
        low, inside, high = sums.split((border, sums.shape[dim] - 2 * border, border), dim)
        images = torch.cat([low.sum(dim, True), inside, high.sum(dim, True)], dim)
    return images
