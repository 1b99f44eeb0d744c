"""How well a cloud is reconstructed."""

from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from torch import Tensor

from mmkd3d.ops import chamfer_distance, knn
from mmkd3d.registry import METRICS


def f_score(pred: Tensor, target: Tensor, threshold: float = 0.01) -> Tensor:
    """Harmonic mean of precision and recall at a distance.

    Args:
        pred: (B, N, 3).
        target: (B, M, 3).
        threshold: In units of the clouds.

    Returns:
        (B,): precision is the share of predicted points with a target point
        nearer than ``threshold``, recall the reverse; 0 where both are 0.
    """
    precision, recall = (
        (knn(a, b, 1).dist.sqrt() < threshold).float().mean(dim=(1, 2))
        for a, b in ((pred, target), (target, pred))
    )
    return 2 * precision * recall / (precision + recall).clamp(min=1e-12)


@METRICS.register_module()
class Reconstruction(BaseMetric):
    """Chamfer distances and F-score of whole clouds (ACT, stage I).

    Reads ``input``, ``pred`` and, if given, ``coarse`` of the predictions and
    the ``category`` of the samples. ``cdl1`` (mean of both directions) and
    ``cdl2`` (sum of both, squared) are times 1000 and, like ``f_score``, mean
    over the shapes of a category, then over categories; ``*_all`` and
    ``*_coarse`` are means over all shapes.

    Args:
        threshold: Of the F-score, in units of the clouds.
    """

    default_prefix = 'recon'

    def __init__(self, *, threshold: float = 0.01, **kwargs):
        super().__init__(**kwargs)
        self.threshold = threshold

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        for sample, drawn in zip(data_batch['data_samples'], data_samples):
            target, fine = drawn['input'][None], drawn['pred'][None]
            row = dict(
                self._distances(fine, target), f_score=float(f_score(fine, target, self.threshold))
            )
            if 'coarse' in drawn:
                coarse = self._distances(drawn['coarse'][None], target)
                row.update({f'{k}_coarse': v for k, v in coarse.items()})
            self.results.append((sample.get('category'), row))

    @staticmethod
    def _distances(pred: Tensor, target: Tensor) -> dict:
        return {
            f'cd{norm}': 1000 * float(chamfer_distance(pred, target, norm=norm))
            for norm in ('l1', 'l2')
        }

    def compute_metrics(self, results: list) -> dict:
        categories = sorted({str(category) for category, _ in results})
        metrics = {}
        for name in results[0][1]:
            values = np.array([row[name] for _, row in results])
            if name.endswith('_coarse'):
                metrics[name] = values.mean()
                continue
            of = np.array([str(category) for category, _ in results])
            metrics[name] = np.mean([values[of == category].mean() for category in categories])
            metrics[f'{name}_all'] = values.mean()
        return metrics
