"""Detection in rooms: mmdetection3d's metric without its gaps."""

import importlib
from unittest import mock

import numpy as np

from mmkd3d.registry import METRICS

ABSENT = ('skip', 'zero')


@METRICS.register_module(name='IndoorMetric')
def indoor_metric(absent: str = 'skip', **kwargs):
    """mmdetection3d's ``IndoorMetric``, for few rooms and any numpy.

    A class that has detections but no object in the whole split has a recall
    of 0 / 0. mmdetection3d then gives nan for all means; with few rooms that
    is the rule, since a detector fires for every class. Where all classes
    have objects the numbers are the same. mmdetection3d 1.4 also turns arrays
    of one number into floats, a TypeError since numpy 2.4.

    Args:
        absent: ``'skip'`` leaves classes without objects out, of the means
            too; ``'zero'`` counts those with detections as 0, as the
            evaluation of 3DETR does. Without any object all is 0.
        kwargs: Of mmdetection3d's ``IndoorMetric``.

    Raises:
        ValueError: Another ``absent``.
    """
    if absent not in ABSENT:
        raise ValueError(f'absent is one of {", ".join(ABSENT)}, got {absent!r}.')
    from mmdet3d.evaluation import IndoorMetric

    # The package has a function of the same name.
    module = importlib.import_module('mmdet3d.evaluation.functional.indoor_eval')
    stock = module.eval_map_recall

    def repaired(*args):
        with np.errstate(invalid='ignore'):
            recall, precision, ap = stock(*args)
        for recalls, aps in zip(recall, ap):
            repair(recalls, aps, absent)
        return recall, precision, ap

    class CompleteMetric(IndoorMetric):
        def compute_metrics(self, results: list) -> dict:
            with mock.patch.object(module, 'eval_map_recall', repaired):
                return super().compute_metrics(results)

    return CompleteMetric(**kwargs)


class Number(np.ndarray):
    """An array with one element, which still is a number."""

    def __float__(self) -> float:
        return float(self.item())


def repair(recalls: dict, aps: dict, absent: str) -> None:
    """Replace or remove classes without objects; AP become :class:`Number`.

    Args:
        recalls: Class -> (n,) recall after each detection, nan if there is
            no object.
        aps: Class -> (1,) average precision.
        absent: See :func:`indoor_metric`.
    """
    without = [label for label in aps if np.isnan(recalls[label][-1])]
    skip = absent == 'skip' and len(without) < len(aps)
    for label in without:
        if skip:
            del recalls[label], aps[label]
        else:
            recalls[label], aps[label] = np.zeros(1), np.zeros(1)
    for label in aps:
        aps[label] = aps[label].view(Number)
