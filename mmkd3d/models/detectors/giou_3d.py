"""Generalised IoU of 3D boxes, as 3DETR takes it (spec 4.2).

A box is ``(x, y, z, dx, dy, dz)``, gravity centre and full extents, or has a
heading behind them: clockwise seen from above, in radians. ``a`` and ``b``
broadcast against each other.
"""

import torch
from torch import Tensor

from mmkd3d.ops.boxes import rectangle_overlap

MIN_EDGE = 1e-3  # metres


def giou_3d(a: Tensor, b: Tensor) -> Tensor:
    """GIoU of upright boxes, with gradient.

    On boxes thicker than a millimetre equal to mmdetection3d's
    ``axis_aligned_bbox_overlaps_3d(..., mode='giou')``.

    Args:
        a: (..., 6).
        b: (..., 6).

    Returns:
        (...) in [-1, 1].
    """
    return _giou(a, b, _overlap(a, b).prod(-1), _hull(a, b))


def rotated_giou_3d(a: Tensor, b: Tensor, *, exact: bool = True) -> Tensor:
    """GIoU of boxes with headings as the code of 3DETR has it; no gradient.

    The box around both is upright. The area that both share on the ground is
    exact, but counts only where the upright rectangles overlap that the
    turned corners (-dx, -dy) / 2 and (dx, dy) / 2 of each span. Pairs with
    large headings then mostly share nothing (which spec 4.2 does not say,
    and its case ``criterion_sunrgbd`` has).

    Args:
        a: (..., 7).
        b: (..., 7).
        exact: False takes the area that those upright rectangles share.

    Returns:
        (...) in [-1, 1].
    """
    a, b = torch.broadcast_tensors(a.detach(), b.detach())
    (low_a, high_a), (low_b, high_b) = _spanned(a), _spanned(b)
    area = (torch.minimum(high_a, high_b) - torch.maximum(low_a, low_b)).clamp(min=0).prod(-1)
    if exact:
        near = area > 0
        area[near] = rectangle_overlap(*(_rectangle(x[near]) for x in (a, b)), aligned=True)
    shared = area * _overlap(a, b)[..., 2]
    return _giou(a, b, shared, _hull(upright_hull(a), upright_hull(b)))


def upright_hull(boxes: Tensor) -> Tensor:
    """The upright box around each with a heading, (..., 7) -> (..., 6)."""
    center, size, heading = boxes.split([3, 3, 1], -1)
    cos, sin = heading.cos().abs(), heading.sin().abs()
    dx, dy, dz = size.split(1, -1)
    return torch.cat([center, cos * dx + sin * dy, sin * dx + cos * dy, dz], -1)


def _giou(a: Tensor, b: Tensor, shared: Tensor, hull: Tensor) -> Tensor:
    total = sum(x[..., 3:6].clamp(min=MIN_EDGE).prod(-1) for x in (a, b))
    union = total - shared
    degenerate = (hull <= 2e-8) | (total <= 4e-8)
    hull = hull.masked_fill(degenerate, 1)
    return (shared / union - 1 + union / hull).masked_fill(degenerate, 0)


def _faces(boxes: Tensor) -> tuple[Tensor, Tensor]:
    center, half = boxes[..., :3], boxes[..., 3:6] / 2
    return center - half, center + half


def _overlap(a: Tensor, b: Tensor) -> Tensor:
    """(..., 3) length that upright boxes share along each axis."""
    (low_a, high_a), (low_b, high_b) = _faces(a), _faces(b)
    shared = torch.minimum(high_a, high_b) - torch.maximum(low_a, low_b)
    return shared.clamp(min=0)


def _hull(a: Tensor, b: Tensor) -> Tensor:
    """(...) volume of the upright box around two upright ones."""
    (low_a, high_a), (low_b, high_b) = _faces(a), _faces(b)
    return (torch.maximum(high_a, high_b) - torch.minimum(low_a, low_b)).prod(-1)


def _rectangle(boxes: Tensor) -> Tensor:
    """(..., 7) -> (..., 5) on the ground, with a counter-clockwise yaw."""
    return torch.cat([boxes[..., [0, 1, 3, 4]], -boxes[..., 6:]], -1)


def _spanned(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Two opposite corners on the ground, (..., 2) each."""
    dx, dy = (boxes[..., 3:5] / 2).unbind(-1)
    cos, sin = boxes[..., 6].cos(), boxes[..., 6].sin()
    corner = torch.stack([cos * dx + sin * dy, cos * dy - sin * dx], -1)
    return boxes[..., :2] - corner, boxes[..., :2] + corner
