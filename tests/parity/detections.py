"""Average precision of synthetic detections with our metric."""

import torch

from mmkd3d.registry import METRICS


def depth_boxes(boxes):
    """mmdetection3d's boxes from (n, 6 or 7) with gravity centres."""
    from mmdet3d.structures import DepthInstance3DBoxes

    return DepthInstance3DBoxes(
        boxes, box_dim=boxes.shape[1], with_yaw=boxes.shape[1] == 7, origin=(0.5, 0.5, 0.5)
    )


def average_precision(scenes, num_classes, absent):
    """Metrics of a case, under the names of its arrays.

    Args:
        scenes: Per scene, ground truth (boxes, labels) and detections (boxes, labels,
            scores); boxes have gravity centres.
        num_classes: K.
        absent: See :func:`mmkd3d.evaluation.indoor.indoor_metric`.

    Returns:
        ap (2, K) and recall (2, K), -1 for a class missing from the result;
        mAP (2,) and mAR (2,).
    """
    metric = METRICS.build(dict(type='mmkd3d.IndoorMetric', absent=absent))
    metric.dataset_meta = dict(classes=[f'c{i}' for i in range(num_classes)])
    scores = metric.compute_metrics(
        [
            (
                dict(gt_bboxes_3d=depth_boxes(there), gt_labels_3d=labels.numpy()),
                dict(bboxes_3d=depth_boxes(boxes), labels_3d=found, scores_3d=confidence),
            )
            for (there, labels), (boxes, found, confidence) in scenes
        ]
    )
    ends = ('0.25', '0.50')
    per_class = {
        name: torch.tensor(
            [[scores.get(f'c{i}_{part}_{end}', -1.0) for i in range(num_classes)] for end in ends]
        )
        for name, part in (('ap', 'AP'), ('recall', 'rec'))
    }
    means = {
        name: torch.tensor([scores[f'{name}_{end}'] for end in ends]) for name in ('mAP', 'mAR')
    }
    return {**per_class, **means}
