"""Set losses of 3DETR between queries and matched boxes."""

import math
from collections.abc import Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.dist import all_reduce
from torch import Tensor

from mmkd3d.models.detectors.box_coding import BoxTargets, DecodedBoxes, pad_targets
from mmkd3d.models.detectors.box_matcher import BoxMatcher, Pairs
from mmkd3d.models.detectors.giou_3d import giou_3d
from mmkd3d.registry import MODELS

LOSS_WEIGHTS = dict(cls=1.0, center=5.0, size=1.0, angle_cls=0.1, angle_reg=0.5, giou=1.0)


@MODELS.register_module()
class ThreeDETRCriterion(nn.Module):
    """Losses of 3DETR (Misra et al. 2021, section 3.3; spec 4).

    Every decoder layer is matched on its own, with equal weight. The class loss is a weighted
    mean over all queries; the others are sums over the matched queries, divided by the mean
    number of boxes in the batches of all processes. Never computed in half precision. Defaults
    are those published for ScanNet; SUN RGB-D has
    ``cost_weights=dict(giou=3, center=5, objectness=5)``,
    ``loss_weights=dict(giou=0)``, with ``cls=0.8`` for 3DETR-m, and
    ``no_object_weight=0.1``.

    Args:
        cost_weights: Arguments of :class:`BoxMatcher`.
        loss_weights: ``cls``, ``center``, ``size`` (L1 of normalised boxes), ``angle_cls``,
            ``angle_reg``, ``giou``; default as published for ScanNet. A weight of 0 leaves the
            loss out.
        no_object_weight: Weight of queries without a box in the class loss.

    Raises:
        ValueError: A loss weight is unknown.
        TypeError: A weight of the matching is unknown.
    """

    def __init__(
        self,
        *,
        cost_weights: dict | None = None,
        loss_weights: dict | None = None,
        no_object_weight: float = 0.25,
    ):
        super().__init__()
        loss_weights = loss_weights or {}
        unknown = set(loss_weights) - set(LOSS_WEIGHTS)
        if unknown:
            raise ValueError(
                f'loss_weights has unknown names {", ".join(sorted(unknown))}, known are '
                f'{", ".join(LOSS_WEIGHTS)}.'
            )
        self.matcher = BoxMatcher(**(cost_weights or {}))
        self.loss_weights = {**LOSS_WEIGHTS, **loss_weights}
        self.no_object_weight = no_object_weight

    def forward(
        self, boxes: DecodedBoxes, gt: Sequence, low: Tensor, high: Tensor
    ) -> dict[str, Tensor]:
        """Losses of L decoder layers.

        Args:
            boxes: Predictions of all layers.
            gt: For each scene an ``InstanceData`` with ``bboxes_3d`` and ``labels_3d``, which may
                be empty.
            low: (B, 3), smallest coordinates of the model's input points.
            high: (B, 3), largest coordinates.

        Returns:
            ``loss_*`` of the last layer, ``d0.loss_*`` to ``d{L-2}.loss_*`` of the others, and
            ``cardinality``, the difference between the number of predicted objects in the last
            layer and the number of boxes.

        Raises:
            ValueError: A label is not a class of the model, predictions are not finite, or there
                is a GIoU loss for boxes with headings.
        """
        targets = pad_targets(gt, low, high, boxes.angle_cls.shape[-1])
        layers = self.layer_losses(boxes, targets)
        losses = {'cardinality': layers.pop('cardinality')[-1]}
        for i in range(len(boxes.cls)):
            prefix = f'd{i}.' if i < len(boxes.cls) - 1 else ''
            for name, values in layers.items():
                losses[f'{prefix}loss_{name}'] = values[i]
        return losses

    def layer_losses(self, boxes: DecodedBoxes, targets: BoxTargets) -> dict[str, Tensor]:
        """Weighted losses and ``cardinality`` of each layer, (L,) each."""
        if boxes.angle_cls.shape[-1] > 1 and self.loss_weights['giou']:
            raise ValueError(
                'The GIoU loss needs boxes without headings, got '
                f'{boxes.angle_cls.shape[-1]} angle bins: set loss_weights=dict(giou=0) as for SUN '
                'RGB-D, or num_angle_bins=1.'
            )
        pairs = self.matcher(boxes, targets)
        per_pair = self._compare(boxes, targets, pairs)
        count = _mean_count(targets.present)
        losses = dict(cls=self._class_loss(boxes.cls, targets, pairs))
        # All layers have the same number of pairs.
        losses.update(
            (name, values.view(len(boxes.cls), -1).sum(1) / count)
            for name, values in per_pair.items()
        )
        losses = {
            name: self.loss_weights[name] * value
            for name, value in losses.items()
            if self.loss_weights[name]
        }
        return dict(losses, cardinality=_cardinality(boxes.cls, targets))

    def _class_loss(self, logits: Tensor, targets: BoxTargets, pairs: Pairs) -> Tensor:
        """Unweighted class loss, (L, B, Q, K + 1) -> (L,)."""
        nothing = logits.shape[-1] - 1
        wanted = logits.new_full(logits.shape[:-1], nothing, dtype=torch.long)  # (L, B, Q)
        wanted[pairs.layer, pairs.scene, pairs.query] = targets.labels[pairs.scene, pairs.box]
        weight = logits.new_ones(nothing + 1)
        weight[nothing] = self.no_object_weight
        loss = F.cross_entropy(logits.flatten(0, 2), wanted.flatten(), weight, reduction='none')
        total = weight[wanted].sum((1, 2))
        return loss.view_as(wanted).sum((1, 2)) / total

    def _compare(self, boxes: DecodedBoxes, targets: BoxTargets, pairs: Pairs) -> dict[str, Tensor]:
        """Losses (P,) of the P pairs of all layers."""
        at = pairs.layer, pairs.scene, pairs.query
        pred = DecodedBoxes(*(x[at] for x in boxes))
        true = BoxTargets(*(x[pairs.scene, pairs.box] for x in targets))
        residual = pred.angle_res.gather(-1, true.angle_cls[:, None])[:, 0]
        unit = math.pi / pred.angle_res.shape[-1]
        losses = dict(
            center=(pred.center_normalized - true.center_normalized).abs().sum(-1),
            size=(pred.size_normalized - true.size_normalized).abs().sum(-1),
            angle_cls=F.cross_entropy(pred.angle_cls, true.angle_cls, reduction='none'),
            angle_reg=F.huber_loss(residual, true.angle_res / unit, reduction='none'),
        )
        if self.loss_weights['giou']:
            losses['giou'] = 1 - giou_3d(pred.tensor[:, :6], true.tensor[:, :6])
        return losses


def _mean_count(present: Tensor) -> Tensor:
    """Number of boxes in a batch, averaged over processes, at least 1."""
    count = present.sum().float()
    all_reduce(count, op='mean')
    return count.clamp(min=1)


def _cardinality(logits: Tensor, targets: BoxTargets) -> Tensor:
    """Difference between the numbers of predicted objects and boxes, mean of scenes, (L,)."""
    found = (logits.argmax(-1) < logits.shape[-1] - 1).sum(-1)  # (L, B)
    return (found - targets.present.sum(1)).abs().float().mean(1)
