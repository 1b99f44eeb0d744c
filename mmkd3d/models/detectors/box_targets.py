"""What 3DETR's boxes are compared with."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mmkd3d.models.detectors.box_decoding import normalize


class BoxTargets(NamedTuple):
    """Boxes of B scenes, padded to the M of the fullest.

    Attributes:
        center: (B, M, 3) gravity centres in metres.
        size: (B, M, 3) full extents in metres.
        center_normalized: (B, M, 3) centres as fractions of the extent of
            their scene, 0 where there is no box.
        size_normalized: (B, M, 3) the same of the sizes.
        angle: (B, M) headings, clockwise seen from above.
        angle_cls: (B, M) long, the nearest of A bins.
        angle_res: (B, M) radians from the middle of that bin.
        labels: (B, M) long.
        present: (B, M) bool, False on padding.
    """

    center: Tensor
    size: Tensor
    center_normalized: Tensor
    size_normalized: Tensor
    angle: Tensor
    angle_cls: Tensor
    angle_res: Tensor
    labels: Tensor
    present: Tensor

    @property
    def tensor(self) -> Tensor:
        """(B, M, 7) centre, size, heading."""
        return torch.cat([self.center, self.size, self.angle[..., None]], -1)


def pad_targets(gt: Sequence, low: Tensor, high: Tensor, num_angle_bins: int) -> BoxTargets:
    """Targets from the annotations of mmdetection3d.

    Args:
        gt: For each scene an ``InstanceData`` with ``bboxes_3d`` (depth
            boxes) and ``labels_3d``.
        low: (B, 3) smallest coordinates of the points the model got.
        high: (B, 3) largest ones.
        num_angle_bins: A.
    """
    boxes = [
        torch.cat([x.gravity_center, x.dims, -x.yaw[:, None]], 1)
        for x in (scene.bboxes_3d for scene in gt)
    ]
    labels = [scene.labels_3d.long() for scene in gt]
    present = [torch.ones_like(x, dtype=torch.bool) for x in labels]
    boxes, labels, present = (
        pad_sequence(x, batch_first=True).to(low.device) for x in (boxes, labels, present)
    )
    return encode_targets(*boxes.split([3, 3, 1], -1), labels, present, low, high, num_angle_bins)


def encode_targets(
    center: Tensor,
    size: Tensor,
    angle: Tensor,
    labels: Tensor,
    present: Tensor,
    low: Tensor,
    high: Tensor,
    num_angle_bins: int,
) -> BoxTargets:
    """Normalise padded boxes and sort headings into bins (spec 3.1, 3.3).

    Args:
        center: (B, M, 3) gravity centres.
        size: (B, M, 3) full extents.
        angle: (B, M, 1) headings.
        labels: (B, M) long.
        present: (B, M) bool.
        low: (B, 3).
        high: (B, 3).
        num_angle_bins: A; the middle of bin k lies at ``2 pi k / A``.
    """
    angle = angle.squeeze(-1)
    width = 2 * math.pi / num_angle_bins
    shifted = (angle + width / 2) % (2 * math.pi)
    # Rounding can carry an angle on the last border beyond it.
    bins = (shifted / width).long().clamp(max=num_angle_bins - 1)
    absent = ~present[..., None]
    extent = (high - low).float()[:, None]
    return BoxTargets(
        center,
        size,
        normalize(center, low, high).masked_fill(absent, 0),
        (size / extent).masked_fill(absent, 0),
        angle,
        bins,
        (shifted - (bins * width + width / 2)).masked_fill(absent[..., 0], 0),
        labels,
        present,
    )
