"""From the outputs of 3DETR's box heads to boxes.

Headings are 3DETR's: clockwise from +x seen from above, ``-yaw`` of
mmdetection3d. Lengths in metres, z up, centres are gravity centres.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

MIN_EXTENT = 0.1  # metres; sizes are never told in units of less


class RawBoxes(NamedTuple):
    """What the five box heads give for L decoder layers, Q queries.

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
    """Boxes of L decoder layers, or of one of them without the first axis.

    Attributes:
        cls: (L, B, Q, K + 1) logits.
        center: (L, B, Q, 3) gravity centres.
        center_normalized: Those as a fraction of the scene's extent.
        size: (L, B, Q, 3) full extents.
        size_normalized: Those as a fraction of the scene's extent.
        angle_cls: (L, B, Q, A) logits.
        angle_res: (L, B, Q, A) in units of pi / A.
        angle_res_radians: (L, B, Q, A).
        angle: (L, B, Q) headings in (-pi, pi], 0 where A is 1; no gradient
            to ``angle_cls``.
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
        """(L, B, Q, K); their sum is the objectness, not 1."""
        return self.cls.softmax(-1)[..., :-1]

    @property
    def objectness(self) -> Tensor:
        """(L, B, Q) probability of any object."""
        return 1 - self.cls.softmax(-1)[..., -1]

    @property
    def tensor(self) -> Tensor:
        """(L, B, Q, 7) centre, size, heading."""
        return torch.cat([self.center, self.size, self.angle[..., None]], -1)

    def layer(self, index: int) -> 'DecodedBoxes':
        """The boxes of one decoder layer, (B, Q, ...)."""
        return DecodedBoxes(*(x[index] for x in self))


def decode_boxes(raw: RawBoxes, query_xyz: Tensor, low: Tensor, high: Tensor) -> DecodedBoxes:
    """Boxes from the outputs of the heads, in float32 (spec 1.7).

    Args:
        raw: Outputs of all decoder layers.
        query_xyz: (B, Q, 3) places of the queries.
        low: (B, 3) smallest coordinates of the points the model got.
        high: (B, 3) largest ones.
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
    """Places (..., B, Q, 3) as fractions of the extent of their scenes."""
    low, high = low.float()[:, None], high.float()[:, None]
    return (center - low) / (high - low)


def _heading(angle_cls: Tensor, residual: Tensor) -> Tensor:
    """(..., A) logits and radians -> (...) middle of the bin + offset."""
    bins = residual.shape[-1]
    if bins == 1:
        return residual.new_zeros(residual.shape[:-1])
    best = angle_cls.argmax(-1, keepdim=True)
    angle = (best * (2 * math.pi / bins) + residual.gather(-1, best)).squeeze(-1)
    return angle - (angle > math.pi) * (2 * math.pi)
