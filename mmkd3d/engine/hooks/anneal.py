"""Move a number of the model along a cosine during training."""

import math
from operator import attrgetter

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from mmkd3d.registry import HOOKS


@HOOKS.register_module()
class AnnealHook(Hook):
    """Cosine schedule of any attribute of the model, by iteration.

    With n iterations done and m = n - begin::

        m < 0:   start
        else:    end + (start - end) (1 + cos(pi min(m, length) / length)) / 2

    The value goes into checkpoints, so that what is loaded from one works as
    it did when it was saved, and a resumed run goes on where it stopped.

    Args:
        target: Attribute of the model with dots: ``'quantizer.temperature'``.
        start, end: First and last value.
        length: Iterations from the one to the other.
        begin: Iterations before it starts.
    """

    def __init__(self, target: str, *, start: float, end: float, length: int, begin: int = 0):
        if length < 1 or begin < 0:
            raise ValueError(
                f'AnnealHook of {target} needs length >= 1 and '
                f'begin >= 0, got {length} and {begin}.'
            )
        self.target = target
        self.start = start
        self.end = end
        self.length = length
        self.begin = begin

    def value(self, iteration: int) -> float:
        """The value after so many iterations."""
        share = (iteration - self.begin) / self.length
        share = min(max(share, 0.0), 1.0)
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * share)) / 2

    def before_train(self, runner) -> None:
        try:
            owner, name = self._owner(runner.model)
            getattr(owner, name)
        except AttributeError as error:
            raise AttributeError(
                f'AnnealHook finds no {self.target!r} in the model: {error}.'
            ) from error

    def before_train_iter(self, runner, batch_idx: int, data_batch: dict | None = None) -> None:
        owner, name = self._owner(runner.model)
        setattr(owner, name, self.value(runner.iter))

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        owner, name = self._owner(runner.model)
        annealed = checkpoint.setdefault('annealed', {})
        annealed[self.target] = getattr(owner, name)

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        value = checkpoint.get('annealed', {}).get(self.target)
        if value is not None:
            owner, name = self._owner(runner.model)
            setattr(owner, name, value)

    def _owner(self, model) -> tuple:
        model = model.module if is_model_wrapper(model) else model
        path, _, name = self.target.rpartition('.')
        return (attrgetter(path)(model) if path else model), name
