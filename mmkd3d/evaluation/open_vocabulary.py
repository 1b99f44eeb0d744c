"""Points classified by the names of the classes alone."""

from collections.abc import Iterable

import torch
import torch.nn as nn
import torch.nn.functional as F

from mmkd3d.models.distillation.student import read_student, stack_padded
from mmkd3d.models.targets.label_texts import LabelTexts
from mmkd3d.ops import three_interpolate
from mmkd3d.registry import MODELS


@torch.no_grad()
def open_vocabulary_accuracy(
    model: nn.Module,
    projector: nn.Module,
    texts: LabelTexts,
    batches: Iterable[dict],
    student: str = 'backbone',
    adapter: dict | None = None,
) -> dict:
    """How often the nearest name is that of the class of a point.

    Each labelled point gets the projected features of the three nearest
    places of the student, weighted by their distances, and the class whose
    vector has the largest cosine with them, among those with a vector.

    Args:
        model: Of mmdet3d or ours.
        projector: From the student's features to the vectors, see
            :func:`load_projector`.
        texts: The vectors, whose classes are set.
        batches: As a data loader gives them, with labels of the points.
        student: Name of the module that is read.
        adapter: Config of what reads its output; None:
            :class:`StudentPlaces`.

    Returns:
        dict: In percent: ``overall`` accuracy of the points, ``class_mean``
        of the accuracies of the classes that occur, and what they are without
        looking: ``majority``, the share of the most frequent class, and
        ``chance``, one in the classes with a vector.
    """
    adapter = MODELS.build(adapter or dict(type='mmkd3d.StudentPlaces'))
    model.eval()
    projector.eval()
    classes = len(texts.names)
    counts = torch.zeros(classes, classes, dtype=torch.long)  # (label, pred)
    for batch in batches:
        data = model.data_preprocessor(batch, training=False)
        points = stack_padded(data['inputs']['points'])
        places = read_student(model, student, adapter, data)
        feats = three_interpolate(
            points[..., :3].contiguous(), places.xyz, projector(places.feats)
        )  # (B, N, D)
        cosines = F.normalize(feats, dim=-1) @ texts.table.T
        pred = cosines.masked_fill(~texts.known, -torch.inf).argmax(-1)
        label = texts.labels(points, data['data_samples'])
        pairs = label[label >= 0] * classes + pred[label >= 0]
        counts += torch.bincount(pairs, minlength=classes**2).view(classes, classes).cpu()
    points = counts.sum(1)
    if not points.sum():
        raise ValueError(
            f'No point has a label that names a class with a vector. The classes are {texts.names}.'
        )
    right, present = counts.diagonal(), points > 0
    shares = dict(
        overall=right.sum() / points.sum(),
        class_mean=(right / points)[present].mean(),
        majority=points.max() / points.sum(),
        chance=1 / texts.known.sum(),
    )
    return {name: 100 * float(share) for name, share in shares.items()}
