"""Box corners in the format of the 3DETR cases."""

import torch
from torch import Tensor


def box_corners(center: Tensor, size: Tensor, angle: Tensor) -> Tensor:
    """Corners in the upright camera frame (x, -z, y) (spec 3.2).

    Args:
        center: (..., 3) gravity centres, z up.
        size: (..., 3).
        angle: (..., 1) headings of 3DETR.

    Returns:
        (..., 8, 3).
    """
    x = [1, 1, -1, -1, 1, 1, -1, -1]
    y = [1, 1, 1, 1, -1, -1, -1, -1]
    z = [1, -1, -1, 1, 1, -1, -1, 1]
    signs = center.new_tensor([x, y, z]).T / 2
    x, y, z = (signs * size[..., None, [0, 2, 1]]).unbind(-1)
    cos, sin = angle.cos(), angle.sin()
    turned = torch.stack([cos * x + sin * z, y, cos * z - sin * x], -1)
    return turned + to_camera(center)[..., None, :]


def to_camera(xyz: Tensor) -> Tensor:
    """Convert (..., 3) from z-up to the upright camera frame."""
    x, y, z = xyz.unbind(-1)
    return torch.stack([x, -z, y], -1)
