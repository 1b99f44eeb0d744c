"""Operators on oriented boxes, in plain PyTorch.

A 3D box is ``(x, y, z, dx, dy, dz, yaw)``, a bird-eye rectangle
``(x, y, dx, dy, yaw)``; lengths in metres, yaw in radians, counter-clockwise
from +x to +y. Semantics follow mmcv 2.1.
"""

import torch
from torch import Tensor

from .compiled import in_threads, kernels, use_kernels

IOU3D_MARGIN = 0.01  # metres; of mmcv's iou3d kernels

# Box pairs and point-box pairs per chunk: bounds the memory, and keeps the
# temporaries of the second in the CPU cache.
_PAIRS = 2**16
_COMBINATIONS = 2**20


def points_in_boxes(points: Tensor, boxes: Tensor, *, sides: bool = False) -> Tensor:
    """Find which boxes contain which points.

    The top and bottom faces count as inside, the side faces do not, as in mmcv.

    Args:
        points: (B, N, 3) coordinates.
        boxes: (B, T, 7); z is the *bottom* of the box.
        sides: Count the side faces as inside, too.

    Returns:
        (B, N, T) bool.

    Raises:
        ValueError: Other shapes.
    """
    if points.shape[::2] != (len(boxes), 3):
        raise ValueError(
            'points_in_boxes needs points (B, N, 3) and boxes (B, T, 7), got '
            f'{tuple(points.shape)} and {tuple(boxes.shape)}'
        )
    x, y, bottom, dx, dy, dz, yaw = boxes.float().unbind(-1)
    parts = x, y, bottom + dz / 2, dx / 2, dy / 2, dz / 2, yaw.cos(), yaw.sin()  # (B, T) each
    inside = points.new_empty((*points.shape[:2], boxes.shape[1]), dtype=torch.bool)
    if use_kernels(points):
        for cloud, *of_cloud in zip(points.detach().float(), inside, torch.stack(parts, 1)):
            _fill_inside(cloud, *of_cloud, sides)
        return inside
    x, y, z, half_x, half_y, half_z, cos, sin = (part.unsqueeze(1) for part in parts)
    less = torch.le if sides else torch.lt
    step = max(1, _COMBINATIONS // max(1, boxes.shape[0] * boxes.shape[1]))
    for start in range(0, points.shape[1], step):
        part = points[:, start : start + step].float().unsqueeze(2)
        px, py, pz = part.unbind(-1)  # (B, n, 1)
        px, py = px - x, py - y
        along = less((px * cos + py * sin).abs(), half_x)
        across = less((py * cos - px * sin).abs(), half_y)
        inside[:, start : start + step] = along & across & ((pz - z).abs() <= half_z)
    return inside


def _fill_inside(points: Tensor, inside: Tensor, boxes: Tensor, sides: bool) -> None:
    """Fill ``inside`` (N, T) of points (N, 3) and parts of boxes (8, T)."""
    arrays = points.contiguous().numpy(), boxes.detach().numpy(), sides, inside.numpy()
    in_threads(
        lambda start, stop: kernels().inside_boxes(start, stop, *arrays),
        len(points),
        _COMBINATIONS // max(1, boxes.shape[1]),
    )


def rectangle_overlap(
    a: Tensor, b: Tensor, *, margin: float = 0.0, aligned: bool = False
) -> Tensor:
    """Intersection area of rotated rectangles.

    Args:
        a: (M, 5) rectangles.
        b: (N, 5) rectangles; N = M where ``aligned``.
        margin: Distance up to which a corner outside a rectangle still
            counts as inside, and is added to the intersection polygon. With
            ``IOU3D_MARGIN``, areas are a few 1e-3 m^2 too large where corners
            touch, as in mmcv's iou3d kernels.
        aligned: Compare ``a[i]`` with ``b[i]`` only.

    Returns:
        (M, N) areas, or (M,) where ``aligned``.
    """
    a, b = a.double(), b.double()
    if aligned:
        return _overlap(a, b, margin)
    rows = max(1, _COMBINATIONS // max(1, len(b)))
    return torch.cat([_overlap(part[:, None], b, margin) for part in a.split(rows)])


def rectangle_iou(
    a: Tensor, b: Tensor, *, mode: str = 'iou', margin: float = 0.0, aligned: bool = False
) -> Tensor:
    """IoU or IoF of rotated rectangles.

    Args:
        a: (M, 5) rectangles.
        b: (N, 5) rectangles; N = M where ``aligned``.
        mode: ``'iou'``, or ``'iof'`` to divide by the area of ``a``.
        margin: See :func:`rectangle_overlap`.
        aligned: Compare ``a[i]`` with ``b[i]`` only.

    Returns:
        (M, N) ratios, or (M,) where ``aligned``; 0 for an empty rectangle.

    Raises:
        ValueError: For any other ``mode``.
    """
    if mode not in ('iou', 'iof'):
        raise ValueError(f"mode must be 'iou' or 'iof', got {mode!r}")
    shared = rectangle_overlap(a, b, margin=margin, aligned=aligned)
    area_a, area_b = (x[:, 2].float() * x[:, 3].float() for x in (a, b))
    if not aligned:
        area_a, area_b = area_a[:, None], area_b[None]
    base = area_a + area_b - shared if mode == 'iou' else area_a
    empty = (area_a < 1e-14) | (area_b < 1e-14)
    return (shared / base.clamp(min=1e-8)).masked_fill(empty, 0)


def upright_iou(a: Tensor, b: Tensor) -> Tensor:
    """Bird-eye IoU, ignoring yaw.

    Args:
        a: (M, 5) rectangles.
        b: (N, 5) rectangles.

    Returns:
        (M, N) ratios.
    """
    low_a, high_a = a[:, :2] - a[:, 2:4] / 2, a[:, :2] + a[:, 2:4] / 2
    low_b, high_b = b[:, :2] - b[:, 2:4] / 2, b[:, :2] + b[:, 2:4] / 2
    side = torch.minimum(high_a[:, None], high_b) - torch.maximum(
        low_a[:, None], low_b
    )  # (M, N, 2)
    shared = side.clamp(min=0).prod(-1)
    union = a[:, 2:4].prod(-1)[:, None] + b[:, 2:4].prod(-1) - shared
    return shared / union.clamp(min=1e-8)


def greedy_nms(overlap: Tensor, threshold: float) -> Tensor:
    """Greedy non-maximum suppression, given the overlaps.

    Args:
        overlap: (N, N) ratios between boxes sorted by descending score.
        threshold: Suppress where the ratio is larger than this.

    Returns:
        (K,) long, indices of the kept boxes, ascending.
    """
    # On the CPU: the loop is short, and a GPU would synchronize at every step.
    suppresses = (overlap > threshold).cpu().numpy()
    alive = torch.ones(len(overlap), dtype=torch.bool).numpy()
    keep, position = [], 0
    while alive[position:].any():
        position += int(alive[position:].argmax())
        keep.append(position)
        alive &= ~suppresses[position]
        position += 1
    return torch.tensor(keep, dtype=torch.long, device=overlap.device)


def nms3d(boxes: Tensor, scores: Tensor, threshold: float, *, rotated: bool = True) -> Tensor:
    """Non-maximum suppression in bird-eye view; heights are ignored.

    Args:
        boxes: (N, 7).
        scores: (N,).
        threshold: Suppress where the bird-eye IoU is larger than this.
        rotated: Whether yaw counts.

    Returns:
        (K,) long, indices of the kept boxes by descending score.
    """
    order = scores.argsort(descending=True)
    return order[greedy_nms(bird_eye_iou(boxes[order], rotated=rotated), threshold)]


def bird_eye_iou(boxes: Tensor, *, rotated: bool = True) -> Tensor:
    """Pairwise bird-eye IoU of 3D boxes, with the margin of mmcv's iou3d kernels.

    Args:
        boxes: (N, 7).
        rotated: Whether yaw counts.

    Returns:
        (N, N) ratios.
    """
    flat = boxes[:, [0, 1, 3, 4, 6]]
    if not rotated:
        return upright_iou(flat, flat)
    return rectangle_iou(flat, flat, margin=IOU3D_MARGIN)


def _overlap(a: Tensor, b: Tensor, margin: float) -> Tensor:
    """Intersection areas of broadcastable (..., 5); only computes nearby pairs."""
    near = _may_touch(a, b, margin)
    pairs = (x.expand(*near.shape, 5)[near].split(_PAIRS) for x in (a, b))
    area = a.new_zeros(near.shape)
    area[near] = torch.cat([_intersection_area(*pair, margin) for pair in zip(*pairs)])
    return area.float()


def _may_touch(a: Tensor, b: Tensor, margin: float) -> Tensor:
    """Whether the axis-aligned bounding boxes of rectangles are close."""
    gap = (a[..., :2] - b[..., :2]).abs()
    for box in (a, b):
        half = box[..., 2:4] / 2
        cos, sin = box[..., 4:5].cos().abs(), box[..., 4:5].sin().abs()
        gap = gap - cos * half - sin * half.flip(-1)
    return (gap <= 2 * margin + 1e-6).all(-1)


def _corners(box: Tensor) -> Tensor:
    """(P, 5) -> (P, 4, 2) corners in cyclic order."""
    sign = box.new_tensor([[-1, -1], [1, -1], [1, 1], [-1, 1]]) / 2
    local = sign * box[:, None, 2:4]
    cos, sin = box[:, 4:5].cos(), box[:, 4:5].sin()
    x = local[..., 0] * cos - local[..., 1] * sin
    y = local[..., 0] * sin + local[..., 1] * cos
    return torch.stack([x, y], -1) + box[:, None, :2]


def _inside(corners: Tensor, box: Tensor, margin: float) -> Tensor:
    """(P, 4, 2), (P, 5) -> (P, 4) whether a corner lies in a rectangle."""
    offset = corners - box[:, None, :2]
    cos, sin = box[:, 4:5].cos(), box[:, 4:5].sin()
    along = (offset[..., 0] * cos + offset[..., 1] * sin).abs()
    across = (offset[..., 1] * cos - offset[..., 0] * sin).abs()
    half = box[:, None, 2:4] / 2 + max(margin, 1e-9)
    return (along < half[..., 0]) & (across < half[..., 1])


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _edge_crossings(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Edge crossings of (P, 4, 2) pairs: points (P, 16, 2), and whether they exist (P, 16)."""
    edge_a = (a.roll(-1, 1) - a)[:, :, None]  # (P, 4, 1, 2)
    edge_b = (b.roll(-1, 1) - b)[:, None]  # (P, 1, 4, 2)
    apart = b[:, None] - a[:, :, None]  # (P, 4, 4, 2)
    det = _cross(edge_a, edge_b)
    parallel = det.abs() <= 1e-12
    det = det.masked_fill(parallel, 1)
    s, t = _cross(apart, edge_b) / det, _cross(apart, edge_a) / det
    on_both = (s > -1e-9) & (s < 1 + 1e-9) & (t > -1e-9) & (t < 1 + 1e-9)
    points = a[:, :, None] + s[..., None] * edge_a
    return points.flatten(1, 2), (on_both & ~parallel).flatten(1)


def _intersection_area(a: Tensor, b: Tensor, margin: float) -> Tensor:
    """Intersection area (P,) of pairs of rectangles (P, 5).

    The vertices are the edge crossings and the corners inside the other
    rectangle. Sorted by angle around their mean, they form a convex polygon.
    """
    a, b = a.clone(), b.clone()
    centre = (a[:, :2] + b[:, :2]) / 2
    a[:, :2] -= centre
    b[:, :2] -= centre
    corners_a, corners_b = _corners(a), _corners(b)
    points, exist = _edge_crossings(corners_a, corners_b)
    points = torch.cat([points, corners_a, corners_b], 1)  # (P, 24, 2)
    exist = torch.cat([exist, _inside(corners_a, b, margin), _inside(corners_b, a, margin)], 1)
    weight = exist.unsqueeze(-1).to(points)
    mean = (points * weight).sum(1, True) / weight.sum(1, True).clamp(min=1)
    points = points - mean
    angle = torch.atan2(points[..., 1], points[..., 0])
    order = angle.masked_fill(~exist, 4).argsort(1)  # 4 > pi: last
    points = points.gather(1, order[..., None].expand(-1, -1, 2))
    exist = exist.gather(1, order)
    first = points[:, :1]
    spokes = torch.where(exist[..., None], points - first, 0)
    return _cross(spokes[:, :-1], spokes[:, 1:]).sum(1).abs() / 2
