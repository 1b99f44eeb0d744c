"""Cosine schedule for an attribute of the model."""

import math
from operator import attrgetter

from mmengine.hooks import Hook

from mmkd3d.registry import HOOKS
from mmkd3d.utils.distributed import unwrap_model


@HOOKS.register_module()
class AnnealHook(Hook):
    """Anneal an attribute of the model along a cosine, by iteration.

    After n iterations, with m = n - begin, the value is::

        m < 0:   start
        else:    end + (start - end) (1 + cos(pi min(m, length) / length)) / 2

    The value is saved in checkpoints and restored when one is loaded.

    Args:
        target: Dotted path of the attribute, e.g. ``'quantizer.temperature'``.
        start: First value.
        end: Last value.
        length: Number of iterations from ``start`` to ``end``.
        begin: Number of iterations to wait at ``start``.

    Raises:
        ValueError: ``length`` is below 1 or ``begin`` is negative.
    """

    def __init__(self, target: str, *, start: float, end: float, length: int, begin: int = 0):
        if length < 1 or begin < 0:
            raise ValueError(
                f'AnnealHook for {target} needs length >= 1 and begin >= 0, '
                f'got length={length} and begin={begin}.'
            )
        self.target = target
        self.start = start
        self.end = end
        self.length = length
        self.begin = begin

    def value(self, iteration: int) -> float:
        """Return the value after ``iteration`` iterations."""
        progress = min(max((iteration - self.begin) / self.length, 0.0), 1.0)
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * progress)) / 2

    def before_train(self, runner) -> None:
        try:
            owner, name = self._owner(runner.model)
            getattr(owner, name)
        except AttributeError as error:
            raise AttributeError(
                f'AnnealHook cannot find {self.target!r} in the model: {error}.'
            ) from error

    def before_train_iter(self, runner, batch_idx: int, data_batch: dict | None = None) -> None:
        owner, name = self._owner(runner.model)
        setattr(owner, name, self.value(runner.iter))

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        owner, name = self._owner(runner.model)
        checkpoint.setdefault('annealed', {})[self.target] = getattr(owner, name)

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        value = checkpoint.get('annealed', {}).get(self.target)
        if value is not None:
            owner, name = self._owner(runner.model)
            setattr(owner, name, value)

    def _owner(self, model) -> tuple:
        """Return the module that has the attribute, and the attribute's name."""
        path, _, name = self.target.rpartition('.')
        model = unwrap_model(model)
        return (attrgetter(path)(model) if path else model), name
