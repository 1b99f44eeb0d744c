"""Check or set the classes of a model from the data set."""

from itertools import zip_longest

from mmengine.hooks import Hook
from torch.utils.data import Dataset

from mmkd3d.registry import HOOKS
from mmkd3d.utils.distributed import unwrap_model
from mmkd3d.utils.names import check_class_names, stored_classes


@HOOKS.register_module()
class CheckClassesHook(Hook):
    """Check before the first batch that model and data sets have the same classes.

    Models with a method ``check_classes(metainfo)`` check the data set
    themselves. Other detectors of mmdetection3d must have as many classes as
    the data set. The data sets for training and evaluation, in one run or
    linked by a checkpoint, must list the same classes in the same order.

    Raises:
        ValueError: The classes differ, or are no list of names.
    """

    trained_on: tuple = ()

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        self.trained_on = stored_classes(checkpoint)

    def before_train(self, runner) -> None:
        self.trained_on = ()  # finetuning may start from a checkpoint with other classes
        dataset = runner.train_loop.dataloader.dataset
        self._check(runner.model, dataset)
        _check_yaw(unwrap_model(runner.model), getattr(dataset, 'metainfo', {}))
        self.trained_on = _classes(dataset)
        if runner.val_loop is not None:
            self.before_val(runner)

    def before_val(self, runner) -> None:
        self._check(runner.model, runner.val_loop.dataloader.dataset)

    def before_test(self, runner) -> None:
        self._check(runner.model, runner.test_loop.dataloader.dataset)

    def _check(self, model, dataset: Dataset) -> None:
        model = unwrap_model(model)
        model = getattr(model, 'decode_head', model)  # of EncoderDecoder3D
        classes = _classes(dataset)
        num_classes = getattr(getattr(model, 'bbox_head', None), 'num_classes', None)
        if hasattr(model, 'check_classes'):
            model.check_classes(getattr(dataset, 'metainfo', {}))
        elif num_classes is None:
            return
        elif classes and len(classes) != num_classes:
            raise ValueError(
                f'The data set has {len(classes)} classes, the head of '
                f'{type(model).__name__} has num_classes={num_classes}. Set '
                f'model.bbox_head.num_classes={len(classes)} (for a VoteHead also num_sizes and '
                'mean_sizes of its bbox_coder), or select classes of the data sets with '
                'metainfo=dict(classes=[...]). Data with classes of your own are read by '
                "type='mmkd3d.IndoorDet3DDataset' (docs/detection.md)."
            )
        if classes and self.trained_on and classes != self.trained_on:
            pairs = enumerate(zip_longest(self.trained_on, classes))
            i, (trained, found) = next((i, pair) for i, pair in pairs if pair[0] != pair[1])
            raise ValueError(
                f'The model was trained on {len(self.trained_on)} classes and is evaluated on '
                f'{len(classes)}; class {i} is {trained!r} in training and {found!r} in '
                'evaluation. List the classes of both data sets in the same order '
                '(metainfo=dict(classes=[...])).'
            )


@HOOKS.register_module()
class ClassNamesHook(Hook):
    """Call ``model.set_classes`` with the class names of the evaluated data set.

    For models that classify by class names, such as
    :class:`~mmkd3d.models.classifiers.zero_shot.ZeroShotClassifier`.

    Raises:
        ValueError: The model has no ``set_classes``, or the data set has no
            ``metainfo['classes']``.
    """

    def before_val(self, runner) -> None:
        self._set(runner.model, runner.val_dataloader.dataset)

    def before_test(self, runner) -> None:
        self._set(runner.model, runner.test_dataloader.dataset)

    def _set(self, model, dataset: Dataset) -> None:
        model = unwrap_model(model)
        if not hasattr(model, 'set_classes'):
            raise ValueError(
                f'{type(model).__name__} does not use class names: remove ClassNamesHook.'
            )
        classes = _classes(dataset)
        if not classes:
            raise ValueError(
                f'{type(dataset).__name__} has no class names: set '
                'metainfo=dict(classes=[...]), in the order of the labels.'
            )
        model.set_classes(classes)


def _classes(dataset: Dataset) -> tuple:
    """Return the class names of a data set, empty if it has none."""
    classes = getattr(dataset, 'metainfo', {}).get('classes')
    return check_class_names(classes, f'metainfo of {type(dataset).__name__}')


def _check_yaw(model, metainfo: dict) -> None:
    """Check that a head predicts the yaw of the boxes it is trained on."""
    head = getattr(model, 'bbox_head', None)
    kind = type(head).__name__
    if not metainfo.get('with_yaw'):
        return
    if kind == 'GroupFree3DHead':  # takes points_in_boxes_part for points_in_boxes_all
        advice = 'mmdetection3d 1.4 cannot train it on them: use VoteNet or 3DETR.'
    elif getattr(head, 'num_angle_bins', None) == 1:
        advice = 'set model.bbox_head=dict(num_angle_bins=12, criterion=dict(loss_weights=dict(giou=0))).'
    elif getattr(getattr(head, 'bbox_coder', None), 'with_rot', None) is False:
        advice = 'set model.bbox_head.bbox_coder=dict(with_rot=True, num_dir_bins=12).'
    else:
        return
    raise ValueError(
        f'The boxes of the data set have a yaw, which {kind} does not predict: {advice}'
    )
