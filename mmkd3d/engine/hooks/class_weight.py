"""Weigh the classes of points by how rare they are."""

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from torch import Tensor
from torch.utils.data import Dataset

from mmkd3d.registry import HOOKS

STEPS = ('LoadAnnotations3D', 'PointSegClassMapping')


@HOOKS.register_module()
class ClassWeightHook(Hook):
    """Set the class weights of a segmentation head before training.

    A class with n points in the training rooms weighs
    ``(max(n) / n) ** power`` in the loss (ACT, section 9.2). Every room
    counts once, however often an epoch takes it; unlabelled points don't.

    For the decode head of mmdetection3d's ``EncoderDecoder3D`` and its data
    sets of rooms, which all are read once: about ten seconds for S3DIS.

    Args:
        power: 1/3 as published; 0 weighs all alike.
    """

    def __init__(self, power: float = 1 / 3):
        self.power = power

    def before_train(self, runner) -> None:
        model = runner.model
        head = (model.module if is_model_wrapper(model) else model).decode_head
        if head.class_weight is not None:
            raise ValueError(
                'The head has a class_weight, and ClassWeightHook would '
                'replace it: take one of the two out of the config.'
            )
        counts = count_labels(runner.train_loop.dataloader.dataset)
        weight = class_weights(counts, self.power)
        runner.logger.info(f'Weights of the classes: {weight.tolist()}')
        head.class_weight = weight.to(next(head.parameters()))


def class_weights(counts: Tensor, power: float = 1 / 3) -> Tensor:
    """Weights (C,) of classes with so many points (C,); 0 where none is."""
    weight = (counts.max() / counts.double()) ** power
    return weight.where(counts > 0, 0.0).float()


def count_labels(dataset: Dataset) -> Tensor:
    """Points of each class (C,) in all rooms of a data set.

    Args:
        dataset: mmdetection3d's ``Seg3DDataset``, repeated or not.
    """
    while hasattr(dataset, 'dataset'):
        dataset = dataset.dataset
    steps = [step for step in dataset.pipeline.transforms if type(step).__name__ in STEPS]
    classes = len(dataset.metainfo['classes'])
    counts, seen = torch.zeros(classes + 1, dtype=torch.long), set()
    for index in range(len(dataset)):
        results = dataset.get_data_info(index)
        if results['pts_semantic_mask_path'] in seen:
            continue
        seen.add(results['pts_semantic_mask_path'])
        for step in steps:
            results = step(results)
        labels = torch.from_numpy(results['pts_semantic_mask'])
        labels = labels.clamp(max=classes)  # the index of what has no label
        counts += labels.bincount(minlength=classes + 1)
    return counts[:classes]
