"""Check that there is something to train and to evaluate on."""

from typing import Any

import torch.nn as nn
from mmengine.dataset import InfiniteSampler
from mmengine.dist import all_gather_object
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch.utils.data import DataLoader

from mmkd3d.engine.fsdp import FSDPStrategy
from mmkd3d.models.heads.classification import ClsHead
from mmkd3d.registry import HOOKS


@HOOKS.register_module()
class CheckLoadersHook(Hook):
    """Check that every data loader gives batches.

    See :func:`check_training` and :func:`check_loader`. Warns of
    ``custom_keys`` of an optimizer that match no parameter.
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner: Runner) -> None:
        check_training(runner)
        if isinstance(getattr(runner, 'strategy', None), FSDPStrategy):
            runner.strategy.check_hooks(runner.hooks)
        _warn_of_unused_keys(runner)

    def before_val(self, runner: Runner) -> None:
        check_loader(runner.val_loop.dataloader, 'val_dataloader')

    def before_test(self, runner: Runner) -> None:
        check_loader(runner.test_loop.dataloader, 'test_dataloader')


def check_training(runner: Runner) -> None:
    """Build the training and validation loops, and check that they have work.

    Raises:
        ValueError: No training in the config, no epochs or iterations, a batch of one sample with
            a head that has BatchNorm, or see :func:`check_loader`.
    """
    loop = runner.train_loop
    if loop is None:
        raise ValueError(
            'There is nothing to train: the config has no train_cfg, train_dataloader and '
            'optim_wrapper.'
        )
    name = 'max_epochs' if isinstance(loop, EpochBasedTrainLoop) else 'max_iters'
    if getattr(loop, name) < 1:
        raise ValueError(f'train_cfg.{name} must be 1 or more, got {getattr(loop, name)}.')
    check_loader(loop.dataloader, 'train_dataloader', by_epoch=name == 'max_epochs')
    _refuse_single_samples(runner)
    if runner.val_loop is not None:
        check_loader(runner.val_loop.dataloader, 'val_dataloader')


def _refuse_single_samples(runner: Runner) -> None:
    """Refuse a batch of one sample where a head needs more for BatchNorm."""
    if not isinstance(runner.model, nn.Module):
        return  # a FlexibleRunner builds it later, and the hook checks again
    loop = runner.train_loop
    batches = getattr(loop.dataloader, 'batch_sampler', None)
    sampler: Any = getattr(batches, 'sampler', None)
    size, drop = getattr(batches, 'batch_size', None), getattr(batches, 'drop_last', True)
    if not size or isinstance(sampler, InfiniteSampler):
        return
    last = size == 1 or (not drop and len(sampler) % size == 1)
    if not isinstance(loop, EpochBasedTrainLoop):
        last = last and loop.max_iters >= len(loop.dataloader)
    for name, head in runner.model.named_modules():
        if last and isinstance(head, ClsHead):
            if any(isinstance(part, nn.BatchNorm1d) for part in head.modules()):
                raise ValueError(
                    f'train_dataloader gives a batch of 1 of {len(sampler)} samples, but the '
                    f'BatchNorm of model.{name} needs 2 or more: use '
                    'another batch_size, or train_dataloader.drop_last=True.'
                )


def _warn_of_unused_keys(runner: Runner) -> None:
    """Warn of ``custom_keys`` that are in the name of no parameter."""
    wrapper = runner.cfg.get('optim_wrapper') or {}
    names = [name for name, _ in runner.model.named_parameters()]
    for key in (wrapper.get('paramwise_cfg') or {}).get('custom_keys') or {}:
        if not any(key in name for name in names):
            runner.logger.warning(
                f'optim_wrapper.paramwise_cfg.custom_keys: no parameter has {key!r} in its name.'
            )


def check_loader(loader: DataLoader, name: str, *, by_epoch: bool = True) -> None:
    """Check that a data loader gives batches, equally many in each process.

    Args:
        loader: Any data loader.
        name: Its key in the config.
        by_epoch: Whether its loop waits for the last batch.

    Raises:
        ValueError: It gives none, never ends, or gives another number than in another process
            that trains: these would wait for each other for ever.
    """
    samples = len(loader.dataset)
    batches = getattr(loader, 'batch_sampler', None) or loader
    sampler = getattr(batches, 'sampler', None) or loader.sampler
    endless = isinstance(sampler, InfiniteSampler) and samples > 0
    if endless and by_epoch:
        raise ValueError(
            f"{name}.sampler is an InfiniteSampler, which never ends. Use type='DefaultSampler'"
            + (", or train_cfg=dict(type='IterBasedTrainLoop')." if 'train' in name else '.')
        )
    numbers = all_gather_object(1 if endless else len(loader))
    if min(numbers) == 0:
        size = getattr(batches, 'batch_size', None)
        found = f'{name} gives no batch: its data set has {samples} samples'
        if len(numbers) > 1:
            found += f' for {len(numbers)} processes'
        if samples == 0:
            raise ValueError(f'{found}. Check data_root, ann_file, split and the classes.')
        found += f', and batch_size={size} with drop_last={getattr(batches, "drop_last", None)}'
        raise ValueError(
            f'{found} leaves none. Set {name}.batch_size={max(1, samples // len(numbers))} or '
            f'less, or {name}.drop_last=False, or use more samples.'
        )
    if name == 'train_dataloader' and len({*numbers}) > 1:
        raise ValueError(
            f'{name} gives {numbers} batches in the processes, which must be equally many. Use '
            "sampler=dict(type='DefaultSampler', round_up=True)."
        )
