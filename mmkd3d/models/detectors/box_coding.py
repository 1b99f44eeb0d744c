"""Boxes of 3DETR: decoded predictions, and targets.

Headings are 3DETR's: clockwise from +x seen from above, ``-yaw`` of
mmdetection3d. Lengths in metres, z up, centres are gravity centres.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

MIN_EXTENT = 0.1  # metres, smallest unit of sizes


class RawBoxes(NamedTuple):
    """Outputs of the five box heads for L decoder layers and Q queries.

    Attributes:
        cls: (L, B, Q, K + 1) logits of K classes; the last is "no object".
        center: (L, B, Q, 3), before the sigmoid.
        size: (L, B, Q, 3), before the sigmoid.
        angle_cls: (L, B, Q, A) logits of the heading bins.
        angle_res: (L, B, Q, A) offsets in each bin, in units of pi / A.
    """

    cls: Tensor
    center: Tensor
    size: Tensor
    angle_cls: Tensor
    angle_res: Tensor


class DecodedBoxes(NamedTuple):
    """Boxes of L decoder layers, or of one layer without the first axis.

    Attributes:
        cls: (L, B, Q, K + 1) logits.
        center: (L, B, Q, 3) gravity centres.
        center_normalized: Centres as fractions of the scene's extent.
        size: (L, B, Q, 3) full extents.
        size_normalized: Extents as fractions of the scene's extent.
        angle_cls: (L, B, Q, A) logits.
        angle_res: (L, B, Q, A) in units of pi / A.
        angle_res_radians: (L, B, Q, A).
        angle: (L, B, Q) headings in (-pi, pi], 0 if A is 1; no gradient to ``angle_cls``.
    """

    cls: Tensor
    center: Tensor
    center_normalized: Tensor
    size: Tensor
    size_normalized: Tensor
    angle_cls: Tensor
    angle_res: Tensor
    angle_res_radians: Tensor
    angle: Tensor

    @property
    def class_probs(self) -> Tensor:
        """Class probabilities (L, B, Q, K), whose sum is the objectness."""
        return self.cls.softmax(-1)[..., :-1]

    @property
    def objectness(self) -> Tensor:
        """Probability of any object, (L, B, Q)."""
        return 1 - self.cls.softmax(-1)[..., -1]

    @property
    def tensor(self) -> Tensor:
        """Centre, size and heading, (L, B, Q, 7)."""
        return torch.cat([self.center, self.size, self.angle[..., None]], -1)

    def layer(self, index: int) -> 'DecodedBoxes':
        """The boxes of one decoder layer, (B, Q, ...)."""
        return DecodedBoxes(*(x[index] for x in self))


def decode_boxes(raw: RawBoxes, query_xyz: Tensor, low: Tensor, high: Tensor) -> DecodedBoxes:
    """Decode the outputs of the heads, in float32 (spec 1.7).

    Args:
        raw: Outputs of all decoder layers.
        query_xyz: (B, Q, 3) positions of the queries.
        low: (B, 3), smallest coordinates of the model's input points.
        high: (B, 3), largest coordinates.
    """
    raw = RawBoxes(*(x.float() for x in raw))
    extent = (high - low).float()[:, None]  # (B, 1, 3)
    center = query_xyz.float() + raw.center.sigmoid() - 0.5
    size_normalized = raw.size.sigmoid()
    residual = raw.angle_res * (math.pi / raw.angle_res.shape[-1])
    return DecodedBoxes(
        raw.cls,
        center,
        normalize(center, low, high),
        size_normalized * extent.clamp(min=MIN_EXTENT),
        size_normalized,
        raw.angle_cls,
        raw.angle_res,
        residual,
        _heading(raw.angle_cls, residual),
    )


def normalize(center: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Positions (..., B, Q, 3) as fractions of the extent of their scenes."""
    low, high = low.float()[:, None], high.float()[:, None]
    return (center - low) / (high - low)


def _heading(angle_cls: Tensor, residual: Tensor) -> Tensor:
    """Headings (...) from logits and residuals (..., A) in radians."""
    bins = residual.shape[-1]
    if bins == 1:
        return residual.new_zeros(residual.shape[:-1])
    best = angle_cls.argmax(-1, keepdim=True)
    angle = (best * (2 * math.pi / bins) + residual.gather(-1, best)).squeeze(-1)
    return angle - (angle > math.pi) * (2 * math.pi)


class BoxTargets(NamedTuple):
    """Boxes of B scenes, padded to the M of the fullest.

    Attributes:
        center: (B, M, 3) gravity centres in metres.
        size: (B, M, 3) full extents in metres.
        center_normalized: (B, M, 3) centres as fractions of the extent of their scene, 0 for
            padding.
        size_normalized: (B, M, 3) sizes, in the same way.
        angle: (B, M) headings, clockwise seen from above.
        angle_cls: (B, M) long, the nearest of A bins.
        angle_res: (B, M) radians from the centre of that bin.
        labels: (B, M) long.
        present: (B, M) bool, False for padding.
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
        """Centre, size and heading, (B, M, 7)."""
        return torch.cat([self.center, self.size, self.angle[..., None]], -1)


def pad_targets(gt: Sequence, low: Tensor, high: Tensor, num_angle_bins: int) -> BoxTargets:
    """Targets from the annotations of mmdetection3d.

    Args:
        gt: For each scene an ``InstanceData`` with ``bboxes_3d`` (depth
            boxes) and ``labels_3d``.
        low: (B, 3), smallest coordinates of the model's input points.
        high: (B, 3), largest coordinates.
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
    """Normalise padded boxes and encode headings as bins (spec 3.1, 3.3).

    Args:
        center: (B, M, 3) gravity centres.
        size: (B, M, 3) full extents.
        angle: (B, M, 1) headings.
        labels: (B, M) long.
        present: (B, M) bool.
        low: (B, 3).
        high: (B, 3).
        num_angle_bins: A; the centre of bin k is ``2 pi k / A``.
    """
    angle = angle.squeeze(-1)
    width = 2 * math.pi / num_angle_bins
    shifted = (angle + width / 2) % (2 * math.pi)
    # Rounding may move an angle beyond the last border.
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
