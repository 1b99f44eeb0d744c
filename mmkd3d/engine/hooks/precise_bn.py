"""Running statistics that describe the current weights."""

from collections.abc import Iterable
from itertools import islice

import torch
from mmengine.dataset import DefaultSampler
from mmengine.dist import all_reduce_params
from mmengine.hooks import CheckpointHook, Hook
from mmengine.model import BaseModel
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import DataLoader

from mmkd3d.registry import HOOKS
from mmkd3d.utils.distributed import unwrap_model
from mmkd3d.utils.rng import isolate_rng


@HOOKS.register_module()
class PreciseBNHook(Hook):
    """Recompute the running statistics of all BatchNorm layers from training data.

    A running variance starts at 1, and a step replaces a tenth of it: after 30
    steps it still contains 0.04. The points of a patch have a variance of about
    1e-5 behind the first layer of the patch embedding, so in eval mode the
    norm divides by far too much, all patches get the same token, and all shapes
    the same class. Only after about 110 steps are both parts of the same size.

    Before each validation and each checkpoint during training, the statistics
    become the mean over batches of the training data, with the weights of that
    moment ("precise BN", Wu and Johnson, arXiv 2105.07576, section 3). All
    other modules are in eval mode meanwhile, so dropout does not inflate the
    variances. Training is not affected: modes, random states and the number of
    batches are restored. BatchNorm layers in eval mode, such as those of a
    frozen student, keep their statistics. Published recipes do not do this.

    Args:
        num_samples: Number of training samples to use, of all processes together.

    Raises:
        ValueError: ``num_samples`` is below 1.
    """

    priority = 'LOW'  # before CheckpointHook

    def __init__(self, *, num_samples: int = 1024):
        if num_samples < 1:
            raise ValueError(f'num_samples must be at least 1, got {num_samples}.')
        self.num_samples = num_samples
        self.outdated = False

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        self.outdated = True
        if self._saves(runner, by_epoch=False):
            self.update(runner)

    def after_train_epoch(self, runner) -> None:
        if self._saves(runner, by_epoch=True):
            self.update(runner)

    def before_val_epoch(self, runner) -> None:
        self.update(runner)

    def _saves(self, runner, by_epoch: bool) -> bool:
        """Whether a checkpoint is saved after this epoch or iteration."""
        every_n, is_last = self.every_n_train_iters, self.is_last_train_iter
        if by_epoch:
            every_n, is_last = self.every_n_epochs, self.is_last_train_epoch
        return any(
            every_n(runner, hook.interval, hook.save_begin) or (hook.save_last and is_last(runner))
            for hook in runner.hooks
            if isinstance(hook, CheckpointHook) and hook.by_epoch == by_epoch
        )

    def update(self, runner) -> None:
        """Recompute the statistics, unless no step was made since the last time."""
        if not self.outdated:
            return
        self.outdated = False
        batches = shuffled_batches(runner.train_dataloader)
        count = -(-self.num_samples // (runner.train_dataloader.batch_size * runner.world_size))
        recompute_statistics(unwrap_model(runner.model), batches, count)


def shuffled_batches(loader: DataLoader) -> DataLoader:
    """Loader of the same batches in a fixed order, independent of the iteration of ``loader``.

    It gives a batch of a data set that is smaller than one, and none of a single sample at its
    end, which BatchNorm refuses: an endless sampler never comes to either.
    """
    sampler, size = DefaultSampler(loader.dataset, shuffle=True, seed=0), loader.batch_size or 1
    return DataLoader(
        loader.dataset,
        batch_size=size,
        sampler=sampler,
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory,
        drop_last=len(sampler) > size and (loader.drop_last or len(sampler) % size == 1),
        worker_init_fn=loader.worker_init_fn,
    )


@torch.no_grad()
def recompute_statistics(
    model: BaseModel, batches: Iterable[dict], num_batches: int | None = None
) -> None:
    """Set the statistics of BatchNorm layers to their mean over batches, in place.

    Args:
        model: An mmengine model. Its BatchNorm layers that are in train mode
            are updated.
        batches: Batches of a data loader, each passed to the data preprocessor
            as in training.
        num_batches: How many of them to use; None: all.
    """
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.training]
    norms = [norm for norm in norms if norm.track_running_stats]
    if not norms:
        return
    modes = {module: module.training for module in model.modules()}
    kept = {norm: (norm.momentum, norm.get_buffer('num_batches_tracked').clone()) for norm in norms}
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
        norm.train()
    try:
        with isolate_rng(0, norms[0].get_buffer('running_mean').device):
            for batch in islice(batches, num_batches):
                model(**model.data_preprocessor(batch, True), mode='loss')
        statistics = [norm.get_buffer(f'running_{k}') for norm in norms for k in ('mean', 'var')]
        all_reduce_params(statistics, op='mean')
    finally:
        for module, training in modes.items():
            module.training = training
        for norm, (momentum, count) in kept.items():
            norm.momentum = momentum
            norm.get_buffer('num_batches_tracked').copy_(count)
