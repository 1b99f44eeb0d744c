"""One-to-one matching of queries with boxes for 3DETR."""

from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from mmkd3d.models.detectors.box_coding import BoxTargets, DecodedBoxes
from mmkd3d.models.detectors.giou_3d import giou_3d, rotated_giou_3d


class Pairs(NamedTuple):
    """P pairs of a query and a box, ordered by layer, then by scene.

    Attributes:
        layer: (P,) long.
        scene: (P,) long.
        query: (P,) long.
        box: (P,) long, index into the targets.
    """

    layer: Tensor
    scene: Tensor
    query: Tensor
    box: Tensor


class BoxMatcher:
    """Hungarian matching with the costs of 3DETR (spec 4.1).

    The costs of all layers and scenes are computed together and copied to the CPU once. mmdet's
    ``HungarianAssigner`` would need a call and a copy for each layer of each scene.

    Args:
        cls: Weight of the negative probability of the box's class.
        objectness: Weight of the negative probability of any object.
        center: Weight of the L1 distance between normalised centres.
        giou: Weight of the negative GIoU.
    """

    def __init__(
        self, *, cls: float = 1.0, objectness: float = 0.0, center: float = 0.0, giou: float = 2.0
    ):
        self.cls = cls
        self.objectness = objectness
        self.center = center
        self.giou = giou

    @torch.no_grad()
    def __call__(self, boxes: DecodedBoxes, targets: BoxTargets) -> Pairs:
        """Match the boxes; a scene with n boxes has min(Q, n) pairs in each layer.

        Raises:
            ValueError: A label is not a class of the model, or costs are not finite.
        """
        cost = self.cost(boxes, targets)
        host = [x.cpu().numpy() for x in (cost, targets.present, targets.labels)]
        _check_labels(*host[1:], num_classes=boxes.cls.shape[-1] - 1)
        pairs = assign(*host[:2])
        return Pairs(*torch.from_numpy(pairs).to(cost.device))

    def cost(self, boxes: DecodedBoxes, targets: BoxTargets) -> Tensor:
        """Costs (L, B, Q, M); columns of padding are arbitrary."""
        probs = boxes.class_probs
        labels = targets.labels.clamp(0, probs.shape[-1] - 1)[:, None]
        labels = labels.expand(*probs.shape[:-1], -1)  # (L, B, Q, M)
        distance = torch.cdist(boxes.center_normalized, targets.center_normalized, p=1)
        return (
            -self.cls * probs.gather(-1, labels)
            - self.objectness * boxes.objectness[..., None]
            + self.center * distance
            - self.giou * pairwise_giou(boxes, targets)
        )


def pairwise_giou(boxes: DecodedBoxes, targets: BoxTargets) -> Tensor:
    """GIoU (L, B, Q, M) of queries and boxes.

    As in 3DETR, the intersection on the ground is exact only if a heading of the batch is
    positive.
    """
    a, b = boxes.tensor[..., None, :], targets.tensor[:, None]
    if boxes.angle_cls.shape[-1] == 1:
        return giou_3d(a[..., :6], b[..., :6])
    return rotated_giou_3d(a, b, exact=bool((targets.angle > 0).any()))


def assign(cost: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Find the pairs with the smallest sum of costs, in each layer of each scene.

    Args:
        cost: (L, B, Q, M).
        present: (B, M) bool, the columns to match.

    Returns:
        (4, P): layer, scene, query, column.

    Raises:
        ValueError: Costs are not finite.
    """
    pairs = [np.empty((4, 0), np.int64)]
    for layer, scene in np.ndindex(cost.shape[:2]):
        columns = present[scene].nonzero()[0]
        chosen = cost[layer, scene][:, columns]
        if not np.isfinite(chosen).all():
            raise ValueError(
                f'Predicted or annotated boxes of scene {scene} of the batch are NaN or infinite '
                f'in decoder layer {layer}. Lower the learning rate or clip gradients if the loss '
                'rose before; else check points, weights and annotations for NaN, and for a scene '
                'without extent along an axis.'
            )
        query, box = linear_sum_assignment(chosen)
        at = np.full((2, len(query)), [[layer], [scene]])
        pairs.append(np.stack([*at, query, columns[box]]))
    return np.concatenate(pairs, 1)


def _check_labels(present: np.ndarray, labels: np.ndarray, num_classes: int) -> None:
    labels = labels[present]
    bad = labels[(labels < 0) | (labels >= num_classes)]
    if len(bad):
        raise ValueError(
            f'A box has the label {bad[0]}, but the model has num_classes={num_classes}: set '
            "num_classes of the head to the number of classes in the data set's metainfo."
        )
