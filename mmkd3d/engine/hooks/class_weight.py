"""Class weights from the label frequencies of the training set."""

import torch
from mmengine.hooks import Hook
from torch import Tensor
from torch.utils.data import Dataset

from mmkd3d.registry import HOOKS
from mmkd3d.utils.distributed import unwrap_model

LABEL_TRANSFORMS = ('LoadAnnotations3D', 'PointSegClassMapping')


@HOOKS.register_module()
class ClassWeightHook(Hook):
    """Set the class weights of ``model.decode_head`` before training.

    A class with n points in the training set gets the weight
    ``(max(n) / n) ** power`` (ACT, section 9.2). Each room is counted once,
    even if the data set repeats it; unlabelled points are ignored. The labels
    of all rooms are read before training, which takes about ten seconds for
    S3DIS.

    For mmdetection3d's ``EncoderDecoder3D`` and ``Seg3DDataset``.

    Args:
        power: Exponent; ACT uses 1/3, 0 gives equal weights.

    Raises:
        ValueError: The head already has a ``class_weight``.
    """

    def __init__(self, power: float = 1 / 3):
        self.power = power

    def before_train(self, runner) -> None:
        head = unwrap_model(runner.model).decode_head
        if head.class_weight is not None:
            raise ValueError(
                'The decode_head already has a class_weight, which ClassWeightHook would '
                'replace: remove one of the two from the config.'
            )
        counts = count_labels(runner.train_loop.dataloader.dataset)
        weight = class_weights(counts, self.power)
        runner.logger.info(f'Class weights: {weight.tolist()}')
        head.class_weight = weight.to(next(head.parameters()))


def class_weights(counts: Tensor, power: float = 1 / 3) -> Tensor:
    """Return weights (C,) for point counts (C,); 0 for classes without points."""
    weight = (counts.max() / counts.double()) ** power
    return weight.where(counts > 0, 0.0).float()


def count_labels(dataset: Dataset) -> Tensor:
    """Count the points of each class (C,) in all rooms of a data set.

    Args:
        dataset: mmdetection3d's ``Seg3DDataset``, possibly inside
            ``RepeatDataset``.
    """
    while hasattr(dataset, 'dataset'):
        dataset = dataset.dataset
    transforms = [t for t in dataset.pipeline.transforms if type(t).__name__ in LABEL_TRANSFORMS]
    classes = len(dataset.metainfo['classes'])
    counts, counted = torch.zeros(classes + 1, dtype=torch.long), set()
    for index in range(len(dataset)):
        results = dataset.get_data_info(index)
        if results['pts_semantic_mask_path'] in counted:
            continue
        counted.add(results['pts_semantic_mask_path'])
        for transform in transforms:
            results = transform(results)
        labels = torch.from_numpy(results['pts_semantic_mask'])
        labels = labels.clamp(max=classes)  # unlabelled points
        counts += labels.bincount(minlength=classes + 1)
    return counts[:classes]
