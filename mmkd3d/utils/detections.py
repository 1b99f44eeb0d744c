"""Boxes of mmdetection3d as arrays: gravity centres, each box once."""

from typing import NamedTuple

import numpy as np


class Detections(NamedTuple):
    """Boxes of a scan.

    Attributes:
        boxes: (M, 7): gravity centre and extents in metres, z up; yaw in
            radians, counter-clockwise from +x to +y seen from above.
        labels: (M,) int.
        scores: (M,), or None for true boxes.
    """

    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray | None = None

    def take(self, rows) -> 'Detections':
        """Select rows."""
        return Detections(*(x if x is None else x[rows] for x in self))

    def titles(self, classes) -> list[str]:
        """Class, and score if there is one, of each box."""
        names = [classes[k] for k in self.labels]
        if self.scores is None:
            return names
        return [f'{n} {s:.2f}' for n, s in zip(names, self.scores)]


def found_boxes(pred, score: float | None = None) -> Detections:
    """The boxes of a prediction, best first.

    A head may predict a box once for each class, for the evaluation of
    VoteNet and 3DETR: here a box has only its best class.

    Args:
        pred: ``pred_instances_3d`` of a data sample: ``bboxes_3d``,
            ``scores_3d``, ``labels_3d``.
        score: Boxes below it are left out; None keeps all.
    """
    scores = pred.scores_3d.cpu().numpy()
    order = np.argsort(-scores, kind='stable')
    if score is not None:
        order = order[scores[order] >= score]
    found = Detections(centered(pred.bboxes_3d), pred.labels_3d.cpu().numpy(), scores).take(order)
    _, first = np.unique(found.boxes.round(3), axis=0, return_index=True)
    return found.take(np.sort(first))


def best_score(pred) -> float:
    """The highest score of a prediction, 0 if it has no box."""
    return max(pred.scores_3d.tolist(), default=0.0)


def none_found(score: float, best: float) -> str:
    """What to tell if no box reaches a score."""
    if not best:
        return 'no box at all'
    return f'no box with a score of {score:g} or more; the best one has {best:.3g}'


def true_boxes(annotation: dict) -> Detections:
    """The boxes of ``eval_ann_info`` of a data sample."""
    return Detections(centered(annotation['gt_bboxes_3d']), np.asarray(annotation['gt_labels_3d']))


def centered(boxes) -> np.ndarray:
    """Boxes of mmdetection3d (bottom centre) as (M, 7), gravity centre."""
    tensor = boxes.tensor.cpu().numpy()
    centers = boxes.gravity_center.cpu().numpy()
    return np.concatenate([centers, tensor[:, 3:7]], axis=1)
