"""Detection in few rooms: mmdetection3d's metric without its nan."""
import math

import numpy as np

from mmkd3d.registry import METRICS


@METRICS.register_module(name='IndoorMetric')
def indoor_metric(**kwargs):
    """mmdetection3d's ``IndoorMetric``; its means leave absent classes out.

    A class that has detections but no object in the whole split has a recall
    of 0 / 0. mmdetection3d then gives nan for all means; with few rooms that
    is the rule, since a detector fires for every class. Here means are over
    the classes that have objects; where all have, the numbers are the same.

    Args:
        kwargs: Of mmdetection3d's ``IndoorMetric``.
    """
    from mmdet3d.evaluation import IndoorMetric

    class PresentClassesMetric(IndoorMetric):

        def compute_metrics(self, results: list) -> dict:
            scores = super().compute_metrics(results)
            return dict(scores, **means_over_present(scores))

    return PresentClassesMetric(**kwargs)


def means_over_present(scores: dict) -> dict:
    """``mAP_t`` and ``mAR_t`` over the classes whose value is not nan.

    Args:
        scores: ``CLASS_AP_t``, ``CLASS_rec_t``, ``mAP_t``, ``mAR_t``.
    """
    means = {}
    for name in scores:
        for start, part in (('mAP_', '_AP_'), ('mAR_', '_rec_')):
            if name.startswith(start):
                values = [
                    v for k, v in scores.items()
                    if k.endswith(part + name[len(start):])
                    and not math.isnan(v)
                ]
                means[name] = float(np.mean(values)) if values else 0.
    return means
