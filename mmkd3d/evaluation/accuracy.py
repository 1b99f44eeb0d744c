"""Accuracy of classification."""
from typing import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric

from mmkd3d.registry import METRICS


@METRICS.register_module()
class Accuracy(BaseMetric):
    """Overall accuracy and mean of the class accuracies, in percent.

    Reads ``gt_label`` and ``pred_label`` of the samples. Classes that do not
    occur do not count in the mean.
    """

    default_prefix = 'acc'

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        self.results += [(int(s['gt_label']), int(s['pred_label']))
                         for s in data_samples]

    def compute_metrics(self, results: list) -> dict:
        label, pred = np.array(results).T
        correct = label == pred
        classes = [correct[label == c].mean() for c in np.unique(label)]
        return dict(
            overall=100 * correct.mean(), class_mean=100 * np.mean(classes))
