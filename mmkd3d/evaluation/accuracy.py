"""Accuracy of classification."""

from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric

from mmkd3d.evaluation.features import label_of
from mmkd3d.registry import METRICS


@METRICS.register_module()
class Accuracy(BaseMetric):
    """Overall accuracy and mean of the class accuracies, in percent.

    Reads ``gt_label`` and ``pred_label`` of the samples. Classes that do not
    occur do not count in the mean. A label beyond ``pred_scores``, where they
    are given, is a ``ValueError``: the model could never be right.
    """

    default_prefix = 'acc'

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        for sample in data_samples:
            label, scores = label_of(sample), sample.get('pred_scores')
            if scores is not None and not 0 <= label < len(scores):
                raise ValueError(
                    f'The label of {sample.get("sample_id", "a sample")} is '
                    f'{label}, the model tells {len(scores)} classes apart: '
                    'give it num_classes, or class_names, of the data set.'
                )
            self.results.append((label, int(sample['pred_label'])))

    def compute_metrics(self, results: list) -> dict:
        label, pred = np.array(results).T
        correct = label == pred
        classes = [correct[label == c].mean() for c in np.unique(label)]
        return dict(overall=100 * correct.mean(), class_mean=100 * np.mean(classes))
