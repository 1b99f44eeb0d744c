"""Tell a model what the labels of its data set are called."""

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from torch.utils.data import Dataset

from mmkd3d.registry import HOOKS


@HOOKS.register_module()
class ClassNamesHook(Hook):
    """Call ``model.set_classes`` with the data set's names, before it runs.

    For models that read class names, such as :class:`ZeroShotClassifier`. The
    names are ``metainfo['classes']`` of the data set that is evaluated.
    """

    def before_val(self, runner) -> None:
        self._set(runner.model, runner.val_dataloader.dataset)

    def before_test(self, runner) -> None:
        self._set(runner.model, runner.test_dataloader.dataset)

    def _set(self, model, dataset: Dataset) -> None:
        if is_model_wrapper(model):
            model = model.module
        if not hasattr(model, 'set_classes'):
            raise ValueError(
                f'{type(model).__name__} reads no class names: take '
                'ClassNamesHook out of the hooks.'
            )
        classes = getattr(dataset, 'metainfo', {}).get('classes')
        if not classes:
            raise ValueError(
                f'{type(dataset).__name__} names no classes: give it '
                'metainfo=dict(classes=[...]), in the order of the labels.'
            )
        model.set_classes(classes)
