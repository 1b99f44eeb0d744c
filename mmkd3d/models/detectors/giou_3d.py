"""Generalised IoU of 3D boxes as in 3DETR (spec 4.2).

A box is ``(x, y, z, dx, dy, dz)``, gravity centre and full extents, or has a
heading in addition: clockwise seen from above, in radians. ``a`` and ``b``
broadcast against each other.
"""

import torch
from torch import Tensor

from mmkd3d.ops.boxes import rectangle_overlap

MIN_EDGE = 1e-3  # metres


def giou_3d(a: Tensor, b: Tensor) -> Tensor:
    """GIoU of upright boxes, with gradient.

    For boxes thicker than a millimetre, equal to mmdetection3d's
    ``axis_aligned_bbox_overlaps_3d(..., mode='giou')``.

    Args:
        a: (..., 6).
        b: (..., 6).

    Returns:
        (...) in [-1, 1].
    """
    return _giou(a, b, _overlap(a, b).prod(-1), _hull(a, b))


def rotated_giou_3d(a: Tensor, b: Tensor, *, exact: bool = True) -> Tensor:
    """GIoU of boxes with headings as in the code of 3DETR; no gradient.

    The enclosing box is upright. The intersection on the ground is exact, but counts only if the
    upright rectangles overlap that are spanned by the rotated corners (-dx, -dy) / 2 and (dx, dy)
    / 2 of each box. Pairs with large headings then mostly have no intersection (case
    ``criterion_sunrgbd``; not in spec 4.2).

    Args:
        a: (..., 7).
        b: (..., 7).
        exact: False: the intersection of those upright rectangles.

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
    """Upright box around each box with a heading, (..., 7) -> (..., 6)."""
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
    """Length (..., 3) of the intersection of upright boxes along each axis."""
    (low_a, high_a), (low_b, high_b) = _faces(a), _faces(b)
    shared = torch.minimum(high_a, high_b) - torch.maximum(low_a, low_b)
    return shared.clamp(min=0)


def _hull(a: Tensor, b: Tensor) -> Tensor:
    """Volume (...) of the box around two upright boxes."""
    (low_a, high_a), (low_b, high_b) = _faces(a), _faces(b)
    return (torch.maximum(high_a, high_b) - torch.minimum(low_a, low_b)).prod(-1)


def _rectangle(boxes: Tensor) -> Tensor:
    """Rectangle on the ground with a counter-clockwise yaw, (..., 7) -> (..., 5)."""
    return torch.cat([boxes[..., [0, 1, 3, 4]], -boxes[..., 6:]], -1)


def _spanned(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Two opposite corners on the ground, (..., 2) each."""
    dx, dy = (boxes[..., 3:5] / 2).unbind(-1)
    cos, sin = boxes[..., 6].cos(), boxes[..., 6].sin()
    corner = torch.stack([cos * dx + sin * dy, cos * dy - sin * dx], -1)
    return boxes[..., :2] - corner, boxes[..., :2] + corner
