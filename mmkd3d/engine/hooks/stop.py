"""Save a checkpoint and stop when a signal asks for it."""

import logging
import signal

import torch
import torch.distributed as dist
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.optim import OptimWrapperDict
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmkd3d.registry import HOOKS

from .checkpoint import CheckpointHook


@HOOKS.register_module()
class StopHook(Hook):
    """Save a checkpoint and stop after a signal.

    Pass :meth:`receive` to :func:`~mmkd3d.utils.signals.catch_stop`, as
    ``tools/train.py`` does. The run stops after the iteration, or, with
    gradient accumulation, after the next step of the optimizer. All processes
    of a distributed run stop after the same iteration. In a validation, a
    single process stops after the batch; several stop after the next training
    iteration.

    Raises:
        SystemExit: With code 128 + number of the signal, as a shell reports.
    """

    priority = 'LOWEST'  # after the checkpoint hook

    def __init__(self):
        self.number = 0
        self._training = False
        self._group = None

    def receive(self, number: int) -> None:
        """Remember the signal; end at once if there is no training to save."""
        self.number = number
        if not self._training:
            raise SystemExit(128 + number)

    def before_train(self, runner: Runner) -> None:
        self._training = True
        if runner.world_size > 1:  # signals are told without waiting for a GPU
            self._group = dist.new_group(backend='gloo')

    def after_train(self, runner: Runner) -> None:
        self._training = False

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        if not self._agreed() or not _has_stepped(runner.optim_wrapper):
            return
        by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
        if not (by_epoch and self.end_of_epoch(runner.train_dataloader, batch_idx)):
            self._stop(runner, runner.epoch, runner.iter + 1)

    def after_train_epoch(self, runner: Runner) -> None:
        if isinstance(runner.train_loop, EpochBasedTrainLoop) and self._agreed():
            self._stop(runner, runner.epoch + 1, runner.iter)

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        if self._training and self.number and runner.world_size == 1:
            self._stop(runner, runner.epoch, runner.iter)

    def _agreed(self) -> bool:
        """Whether any process got a signal; each then knows its number."""
        if self._group is not None:
            number = torch.tensor(self.number)
            dist.all_reduce(number, dist.ReduceOp.MAX, group=self._group)
            self.number = int(number)
        return self.number > 0

    def _stop(self, runner: Runner, epoch: int, iteration: int) -> None:
        name, saved = signal.Signals(self.number).name, 'no checkpoint hook, nothing is saved'
        for hook in runner.hooks:
            if isinstance(hook, CheckpointHook):
                path = hook.save_stop(runner, epoch, iteration)
                saved = f'saved {path}. Continue with the same command and --resume'
        if self._group is not None:
            dist.barrier(group=self._group)  # nobody leaves before the file is written
        text = f'{name} after iteration {iteration}: {saved}.'
        print_log(text, logger='current', level=logging.WARNING)
        raise SystemExit(128 + self.number)


def _has_stepped(wrapper) -> bool:
    """Whether no accumulated gradients wait for a step; checkpoints do not hold them."""
    several = isinstance(wrapper, OptimWrapperDict)
    wrappers = wrapper.optim_wrappers.values() if several else [wrapper]
    return all(w.should_update() for w in wrappers)
