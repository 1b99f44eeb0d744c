"""Our operators under the names and signatures of ``mmcv._ext``.

Like the compiled operators, they write into tensors allocated by mmcv's
wrappers: features ``(B, C, N)``, indices int32.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from .boxes import (
    IOU3D_MARGIN,
    bird_eye_iou,
    greedy_nms,
    points_in_boxes,
    rectangle_iou,
    rectangle_overlap,
)
from .interpolation import three_nn
from .neighbors import ball_query, feature_knn, knn
from .sampling import farthest_point_sample, farthest_point_sample_with_dist

KERNELS: dict[str, Callable] = {}


def _kernel(function: Callable) -> Callable:
    KERNELS[function.__name__] = function
    return function


@_kernel
def furthest_point_sampling_forward(
    points: Tensor, temp: Tensor, out: Tensor, b: int, n: int, m: int
) -> None:
    out.copy_(farthest_point_sample(points, m, rule='mmcv'))


@_kernel
def furthest_point_sampling_with_dist_forward(
    dist: Tensor, temp: Tensor, out: Tensor, b: int, n: int, m: int
) -> None:
    out.copy_(farthest_point_sample_with_dist(dist, m))


@_kernel
def ball_query_forward(
    centers: Tensor,
    points: Tensor,
    out: Tensor,
    b: int,
    n: int,
    m: int,
    min_radius: float,
    max_radius: float,
    nsample: int,
) -> None:
    out.copy_(ball_query(centers, points, max_radius, nsample, min_radius=min_radius))


@_kernel
def knn_forward(
    points: Tensor, centers: Tensor, idx: Tensor, dist: Tensor, b: int, n: int, m: int, nsample: int
) -> None:
    k = min(nsample, n)  # missing neighbours keep index 0, as in mmcv
    # mmdetection3d's DGCNN asks for the neighbours of features, which mmcv's CUDA kernel
    # reads as if they had three columns
    near = feature_knn(centers, points, k)
    idx[..., :k].copy_(near.idx)
    dist[..., :k].copy_(near.dist)


def _gather(feats: Tensor, idx: Tensor) -> Tensor:
    """(B, C, N), (B, ...) -> (B, C, ...)."""
    return feats.gather(2, _columns(idx, feats.shape[1])).unflatten(2, idx.shape[1:])


def _scatter_add(out: Tensor, idx: Tensor, values: Tensor) -> None:
    """Add values (B, C, ...) to out (B, C, N) at idx (B, ...)."""
    out.scatter_add_(2, _columns(idx, out.shape[1]), values.flatten(2).to(out))


def _columns(idx: Tensor, channels: int) -> Tensor:
    return idx.flatten(1).long().unsqueeze(1).expand(-1, channels, -1)


@_kernel
def gather_points_forward(feats: Tensor, idx: Tensor, out: Tensor, **sizes):
    out.copy_(_gather(feats, idx))


@_kernel
def gather_points_backward(grad_out: Tensor, idx: Tensor, grad_feats: Tensor, **sizes):
    _scatter_add(grad_feats, idx, grad_out)


# Grouping is gathering with one more axis.
KERNELS['group_points_forward'] = gather_points_forward
KERNELS['group_points_backward'] = gather_points_backward


@_kernel
def three_nn_forward(target: Tensor, source: Tensor, dist: Tensor, idx: Tensor, **sizes):
    near = three_nn(target, source)
    dist.copy_(near.dist.square())  # mmcv's wrapper takes the root
    idx.copy_(near.idx)


@_kernel
def three_interpolate_forward(feats: Tensor, idx: Tensor, weight: Tensor, out: Tensor, **sizes):
    out.zero_()
    for i in range(3):  # one at a time: a third of the memory
        out += _gather(feats, idx[..., i]) * weight[:, None, :, i]


@_kernel
def three_interpolate_backward(
    grad_out: Tensor, idx: Tensor, weight: Tensor, grad_feats: Tensor, **sizes
):
    for i in range(3):
        _scatter_add(grad_feats, idx[..., i], grad_out * weight[:, None, :, i])


@_kernel
def points_in_boxes_all_forward(boxes: Tensor, points: Tensor, out: Tensor):
    out.copy_(points_in_boxes(points, boxes))


@_kernel
def points_in_boxes_part_forward(boxes: Tensor, points: Tensor, out: Tensor):
    if boxes.shape[1]:
        inside = points_in_boxes(points, boxes)  # (B, N, T)
        first = inside.byte().argmax(-1)
        out.copy_(first.masked_fill(~inside.any(-1), -1))


@_kernel
def points_in_boxes_cpu_forward(boxes: Tensor, points: Tensor, out: Tensor):
    out.copy_(points_in_boxes(points[None], boxes[None])[0].T)


@_kernel
def iou3d_boxes_overlap_bev_forward(a: Tensor, b: Tensor, out: Tensor):
    flat = [0, 1, 3, 4, 6]
    out.copy_(rectangle_overlap(a[:, flat], b[:, flat], margin=IOU3D_MARGIN))


@_kernel
def iou3d_nms3d_forward(
    boxes: Tensor, keep: Tensor, num_out: Tensor, nms_overlap_thresh: float
) -> None:
    _write_kept(bird_eye_iou(boxes), nms_overlap_thresh, keep, num_out)


@_kernel
def iou3d_nms3d_normal_forward(
    boxes: Tensor, keep: Tensor, num_out: Tensor, nms_overlap_thresh: float
) -> None:
    overlap = bird_eye_iou(boxes, rotated=False)
    _write_kept(overlap, nms_overlap_thresh, keep, num_out)


def _write_kept(overlap: Tensor, threshold: float, keep: Tensor, num_out: Tensor) -> None:
    kept = greedy_nms(overlap, threshold)
    keep[: len(kept)].copy_(kept)
    num_out.fill_(len(kept))


@_kernel
def box_iou_rotated(a: Tensor, b: Tensor, out: Tensor, mode_flag: int, aligned: bool) -> None:
    iou = rectangle_iou(a, b, mode=('iou', 'iof')[mode_flag], aligned=aligned)
    out.copy_(iou.flatten())


@_kernel
def nms_rotated(
    boxes: Tensor,
    scores: Tensor,
    order: Tensor,
    boxes_sorted: Tensor,
    labels: Tensor,
    iou_threshold: float,
    multi_label: bool,
) -> Tensor:
    # mmcv's kernels take labels and do not compare them: boxes of all classes compete
    overlap = rectangle_iou(boxes_sorted[:, :5], boxes_sorted[:, :5])
    return order[greedy_nms(overlap, iou_threshold)]


@_kernel
def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    from torchvision.ops import nms as upright_nms

    boxes = torch.cat([boxes[:, :2], boxes[:, 2:] + offset], 1)
    return upright_nms(boxes.float(), scores.float(), iou_threshold)


@_kernel
def chamfer_distance_forward(
    a: Tensor, b: Tensor, dist_a: Tensor, dist_b: Tensor, idx_a: Tensor, idx_b: Tensor
) -> None:
    flat = [F.pad(x, (0, 3 - x.shape[-1])) for x in (a, b)]
    for query, points, dist, idx in ((*flat, dist_a, idx_a), (*flat[::-1], dist_b, idx_b)):
        near = knn(query, points, 1)
        dist.copy_(near.dist[..., 0])
        idx.copy_(near.idx[..., 0])


@_kernel
def chamfer_distance_backward(
    a: Tensor,
    b: Tensor,
    idx_a: Tensor,
    idx_b: Tensor,
    grad_dist_a: Tensor,
    grad_dist_b: Tensor,
    grad_a: Tensor,
    grad_b: Tensor,
) -> None:
    both = ((a, b, idx_a, grad_dist_a, grad_a, grad_b), (b, a, idx_b, grad_dist_b, grad_b, grad_a))
    for query, points, idx, grad, grad_query, grad_points in both:
        index = idx.long().unsqueeze(-1).expand_as(query)
        step = 2 * grad.unsqueeze(-1) * (query - points.gather(1, index))
        grad_query += step
        grad_points.scatter_add_(1, index, -step)


@_kernel
def sigmoid_focal_loss_forward(
    logits: Tensor, target: Tensor, weight: Tensor, out: Tensor, gamma: float, alpha: float
) -> None:
    sign, scale = _focal_terms(logits, target, weight, alpha)
    wrong = torch.sigmoid(-sign * logits)
    out.copy_(-scale * wrong**gamma * F.logsigmoid(sign * logits))


@_kernel
def sigmoid_focal_loss_backward(
    logits: Tensor, target: Tensor, weight: Tensor, grad_logits: Tensor, gamma: float, alpha: float
) -> None:
    sign, scale = _focal_terms(logits, target, weight, alpha)
    wrong = torch.sigmoid(-sign * logits)
    log_right = F.logsigmoid(sign * logits)
    slope = wrong - gamma * (1 - wrong) * log_right
    grad_logits.copy_(-sign * scale * wrong**gamma * slope)


def _focal_terms(
    logits: Tensor, target: Tensor, weight: Tensor, alpha: float
) -> tuple[Tensor, Tensor]:
    """Sign (1 at the target, else -1) and scale of each entry, (N, C).

    Label C is the background; ``weight`` is (C,) or empty.
    """
    num_classes = logits.shape[1]
    classes = torch.arange(num_classes, device=target.device)
    is_target = target[:, None] == classes
    scale = torch.where(is_target, alpha, 1 - alpha).to(logits)
    if len(weight):
        scale *= weight[target.clamp(max=num_classes - 1)][:, None]
    return 2 * is_target.to(logits) - 1, scale
