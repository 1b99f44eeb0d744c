"""Zero-shot classification of shapes by the names of the classes."""

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from mmkd3d.evaluation.features import label_of
from mmkd3d.models.classifiers.zero_shot import BaseZeroShot
from mmkd3d.registry import MODELS


@torch.no_grad()
def zero_shot_accuracy(model: BaseZeroShot, dataset: Dataset, *, batch_size: int = 32) -> float:
    """Accuracy of the class name with the largest cosine.

    Args:
        model: Gets ``metainfo['classes']`` of the data set as class names.
        dataset: Yields packed samples with ``gt_label``.
        batch_size: Clouds at a time.

    Returns:
        Accuracy in percent.

    Raises:
        ValueError: The data set names no classes, or a sample has no label.
    """
    names = dataset.metainfo.get('classes')
    if not names:
        raise ValueError(
            'Zero-shot classification needs the names of the classes: name '
            'their array (--names), or set metainfo=dict(classes=[...]).'
        )
    model.eval()
    model.set_classes(names)
    hits = []
    loader = DataLoader(dataset, batch_size, collate_fn=pseudo_collate)
    for batch in tqdm(loader, 'zero-shot', disable=None):
        data = model.data_preprocessor(batch, training=False)
        pred = model(data['inputs'], mode='tensor').argmax(1).tolist()
        labels = [label_of(sample) for sample in data['data_samples']]
        hits += [p == label for p, label in zip(pred, labels)]
    return 100 * float(np.mean(hits))


def is_zero_shot(cfg: dict) -> bool:
    """Whether a model's config is of a zero-shot classifier."""
    kind = MODELS.get(cfg['type'])
    return isinstance(kind, type) and issubclass(kind, BaseZeroShot)
