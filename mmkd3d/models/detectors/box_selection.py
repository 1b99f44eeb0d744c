"""Post-processing of 3DETR's boxes."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mmkd3d.models.detectors.box_coding import DecodedBoxes
from mmkd3d.models.detectors.giou_3d import upright_hull
from mmkd3d.ops.boxes import greedy_nms, points_in_boxes


class Selected(NamedTuple):
    """Detections of one scene.

    Attributes:
        query: (n,) long, the query of each detection; several may share one.
        scores: (n,).
        labels: (n,) long.
    """

    query: Tensor
    scores: Tensor
    labels: Tensor


@torch.no_grad()
def select_boxes(
    boxes: DecodedBoxes,
    points: Tensor,
    *,
    min_points: int = 5,
    use_nms: bool = True,
    nms_iou: float = 0.25,
    per_class_nms: bool = True,
    score_threshold: float = 0.05,
    all_classes: bool = True,
) -> list[Selected]:
    """Select the boxes to report, as published (spec 6).

    Removes empty boxes, then those suppressed by NMS, then those of low objectness. Each
    remaining box is reported for all classes, with the score ``class probability *
    objectness``.

    Args:
        boxes: Of one decoder layer, (B, Q, ...).
        points: (B, N, 3+F), the model's input.
        min_points: A box with fewer points is empty; 0 keeps all.
        use_nms: Whether NMS is applied.
        nms_iou: A box is suppressed by a box of higher objectness if the IoU of their upright
            hulls is larger than this.
        per_class_nms: Only boxes with the same most probable class suppress each other.
        score_threshold: Minimum objectness.
        all_classes: False reports a box for its most probable class only.

    Returns:
        Detections of each scene, ordered by query, then by class.
    """
    probs, objectness = boxes.class_probs, boxes.objectness
    keep = nonempty(count_points(boxes, points), objectness, min_points)
    if use_nms:
        kind = probs.argmax(-1) if per_class_nms else None
        keep = suppress(keep, boxes.tensor, objectness, kind, nms_iou)
    keep = keep & (objectness > score_threshold)
    scores = probs * objectness[..., None]  # (B, Q, K)
    if not all_classes:
        best = F.one_hot(scores.argmax(-1), scores.shape[-1]).bool()
    else:
        best = torch.ones_like(scores, dtype=torch.bool)
    selected = []
    for score, chosen in zip(scores, best & keep[..., None]):
        query, label = chosen.nonzero().unbind(1)
        selected.append(Selected(query, score[query, label], label))
    return selected


def count_points(boxes: DecodedBoxes, points: Tensor) -> Tensor:
    """Number of points in each box, faces included, (B, Q)."""
    center, size, heading = boxes.tensor.split([3, 3, 1], -1)
    bottom = center - size * size.new_tensor([0, 0, 0.5])
    return (
        points_in_boxes(points[..., :3], torch.cat([bottom, size, -heading], -1), sides=True)
        .float()
        .sum(1)
    )  # floats are exact here, and faster than integers


def nonempty(counts: Tensor, objectness: Tensor, min_points: int) -> Tensor:
    """Which boxes are not empty, (B, Q) bool; the best one is kept if all of a scene are."""
    keep = counts >= min_points
    best = F.one_hot(objectness.argmax(-1), keep.shape[-1]).bool()
    return keep | (best & ~keep.any(-1, keepdim=True))


def suppress(
    keep: Tensor, boxes: Tensor, objectness: Tensor, kind: Tensor | None, nms_iou: float
) -> Tensor:
    """Which boxes are left by non-maximum suppression, (B, Q) bool.

    Args:
        keep: (B, Q) bool, candidates.
        boxes: (B, Q, 7) with headings.
        objectness: (B, Q).
        kind: (B, Q) long; boxes of different kinds don't suppress each other. None: one kind.
        nms_iou: See :func:`select_boxes`.
    """
    from mmdet3d.structures.ops import axis_aligned_bbox_overlaps_3d

    center, size = upright_hull(boxes).split(3, -1)
    faces = torch.cat([center - size / 2, center + size / 2], -1)
    left = torch.zeros_like(keep)
    for scene in range(len(keep)):
        index = keep[scene].nonzero()[:, 0]
        index = index[objectness[scene, index].argsort(descending=True)]
        some = faces[scene, index]
        overlap = axis_aligned_bbox_overlaps_3d(some, some)
        if kind is not None:
            kinds = kind[scene, index]
            overlap = overlap * (kinds[:, None] == kinds)
        left[scene, index[greedy_nms(overlap, nms_iou)]] = True
    return left
