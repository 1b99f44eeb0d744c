"""Refuse a data set whose labels a model could never get right."""

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from mmkd3d.registry import HOOKS


@HOOKS.register_module()
class CheckClassesHook(Hook):
    """Compare the classes of model and data sets before the first batch.

    A model may have ``check_classes(metainfo)``, which raises a ``ValueError``
    where the data set is not one for it; a detector of mmdetection3d must
    have as many classes as the data set; others pass. Data sets that are
    trained on and evaluated on, in one run or by way of a checkpoint, name
    the same classes in the same order.

    Raises:
        ValueError: They do not, or the model refuses a data set.
    """

    trained_on: tuple | None = None

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        data = (checkpoint.get('meta') or {}).get('dataset_meta') or {}
        self.trained_on = tuple(data.get('classes') or ()) or None

    def before_train(self, runner) -> None:
        self.trained_on = None  # what was loaded may know other classes
        loop = runner.train_loop
        self._check(runner.model, loop.dataloader.dataset)
        self.trained_on = _classes(loop.dataloader.dataset)
        if runner.val_loop is not None:
            self.before_val(runner)

    def before_val(self, runner) -> None:
        self._check(runner.model, runner.val_loop.dataloader.dataset)

    def before_test(self, runner) -> None:
        self._check(runner.model, runner.test_loop.dataloader.dataset)

    def _check(self, model, dataset) -> None:
        if is_model_wrapper(model):
            model = model.module
        model = getattr(model, 'decode_head', model)  # of EncoderDecoder3D
        classes = _classes(dataset)
        head = getattr(model, 'bbox_head', None)
        number = getattr(head, 'num_classes', None)
        if hasattr(model, 'check_classes'):
            model.check_classes(getattr(dataset, 'metainfo', {}))
        elif number is None:
            return
        elif classes and len(classes) != number:
            raise ValueError(
                f'The data set has {len(classes)} classes, the head of the '
                f'{type(model).__name__} has num_classes={number}: make the '
                'two agree (metainfo=dict(classes=[...]) of the data sets, '
                'model.bbox_head.num_classes; a VoteHead also has num_sizes '
                'and mean_sizes of as many).'
            )
        if classes and self.trained_on and classes != self.trained_on:
            k = next(
                k
                for k, (a, b) in enumerate(zip((*self.trained_on, None), (*classes, None)))
                if a != b
            )
            raise ValueError(
                f'The model was trained on {len(self.trained_on)} classes and '
                f'is evaluated on {len(classes)}, and class {k} is not the '
                f'same: {self.trained_on[k : k + 1]} and {classes[k : k + 1]}. '
                'Give both data sets the classes in one order '
                '(metainfo=dict(classes=[...])).'
            )


def _classes(dataset) -> tuple | None:
    """Names of the classes of a data set, if it has some."""
    return tuple(getattr(dataset, 'metainfo', {}).get('classes') or ()) or None
