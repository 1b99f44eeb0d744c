"""Open-vocabulary classification of points by class names."""

from collections.abc import Iterable

import torch
import torch.nn as nn
import torch.nn.functional as F

from mmkd3d.models.distillation import read_student
from mmkd3d.models.targets.label_texts import LabelTexts
from mmkd3d.ops import three_interpolate
from mmkd3d.registry import MODELS
from mmkd3d.utils.samples import stack_padded


@torch.no_grad()
def open_vocabulary_accuracy(
    model: nn.Module,
    projector: nn.Module,
    texts: LabelTexts,
    batches: Iterable[dict],
    student: str = 'backbone',
    adapter: dict | None = None,
) -> dict:
    """Accuracy of classifying points by the nearest class name.

    The projected features of the student are interpolated from the three
    nearest points with inverse distance weights. The prediction is the class
    with the largest cosine between its text feature and that of the point,
    among the classes with a text feature.

    Args:
        model: Of mmdet3d or ours.
        projector: From the features of the student to text features, see
            :func:`load_projector`.
        texts: The text features, with class names set.
        batches: From a data loader, with labels of the points.
        student: Name of the module.
        adapter: Config of the reader of its output; default
            :class:`StudentFeatures`.

    Returns:
        dict: In percent: ``overall`` accuracy of the points and ``class_mean``
        of the accuracies of the occurring classes; as baselines ``majority``,
        the fraction of the most frequent class, and ``chance``, one over the
        number of classes with a text feature.
    """
    adapter = MODELS.build(adapter or dict(type='mmkd3d.StudentFeatures'))
    model.eval()
    projector.eval()
    classes = len(texts.names)
    counts = torch.zeros(classes, classes, dtype=torch.long)  # (label, pred)
    for batch in batches:
        data = model.data_preprocessor(batch, training=False)
        points = stack_padded(data['inputs']['points'])
        xyz, feats = read_student(model, student, adapter, data)
        xyz_to = points[..., :3].contiguous()
        feats = three_interpolate(xyz_to, xyz, projector(feats))  # (B, N, D)
        cosines = F.normalize(feats, dim=-1) @ texts.table.T
        pred = cosines.masked_fill(~texts.known, -torch.inf).argmax(-1)
        label = texts.labels(points, data['data_samples'])
        pairs = label[label >= 0] * classes + pred[label >= 0]
        counts += torch.bincount(pairs, minlength=classes**2).view(classes, classes).cpu()
    points = counts.sum(1)
    if not points.sum():
        raise ValueError(
            f'No point has a label of a class with a text feature. The classes are {texts.names}.'
        )
    right, present = counts.diagonal(), points > 0
    shares = dict(
        overall=right.sum() / points.sum(),
        class_mean=(right / points)[present].mean(),
        majority=points.max() / points.sum(),
        chance=1 / texts.known.sum(),
    )
    return {name: 100 * float(share) for name, share in shares.items()}
