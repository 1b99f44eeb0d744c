"""Intersection over union of the parts of objects."""

from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric

from mmkd3d.registry import METRICS


@METRICS.register_module()
class PartIoU(BaseMetric):
    """Mean IoU of parts over shapes and over categories, in percent.

    The IoU of a shape is the mean over the parts of its category, where a
    part that is neither there nor predicted counts 1. Points with a negative
    label have none and do not count. ``instance`` is the mean over shapes,
    ``category`` the mean over categories of their means (ACT, section 9.3);
    ``accuracy`` is that of all points.

    Reads ``gt_parts``, ``pred_parts`` and ``gt_label`` of the samples, and
    ``classes`` and ``parts`` (class -> labels) of the data set.
    """

    default_prefix = 'part_iou'

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        meta = self.dataset_meta or {}
        if 'parts' not in meta:
            raise ValueError(
                "PartIoU needs 'parts' (class -> labels of its parts) in the "
                f'metainfo of the data set, got {sorted(meta)}: set '
                'metainfo=dict(parts=...) there.'
            )
        for sample in data_samples:
            category = int(sample['gt_label'])
            label = np.asarray(sample['gt_parts'].cpu())
            pred = np.asarray(sample['pred_parts'].cpu())
            known = label >= 0
            if not known.any():
                continue
            label, pred = label[known], pred[known]
            parts = meta['parts'][meta['classes'][category]]
            self.results.append(
                (category, shape_iou(label, pred, parts), (label == pred).sum(), len(label))
            )

    def compute_metrics(self, results: list) -> dict:
        category, iou, correct, count = np.array(results).T
        means = [iou[category == c].mean() for c in np.unique(category)]
        return dict(
            instance=100 * iou.mean(),
            category=100 * np.mean(means),
            accuracy=100 * correct.sum() / count.sum(),
        )


def shape_iou(label: np.ndarray, pred: np.ndarray, parts: Sequence[int]) -> float:
    """Mean IoU over ``parts`` of two labellings (N,); 1 where both lack it."""
    ious = []
    for part in parts:
        union = np.sum((label == part) | (pred == part))
        both = np.sum((label == part) & (pred == part))
        ious.append(both / union if union else 1.0)
    return float(np.mean(ious))
