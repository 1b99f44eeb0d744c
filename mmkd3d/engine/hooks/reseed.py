"""Make what is random a function of the iteration, so that runs resume."""

import torch
from mmengine.hooks import Hook
from mmengine.runner import set_random_seed

from mmkd3d.registry import FUNCTIONS, HOOKS


@HOOKS.register_module()
class ReseedHook(Hook):
    """Seed all generators anew before each iteration and each epoch.

    Masks, dropout and augmentation of iteration i then depend on the seed of
    the run and on i alone, not on what ran before: a run that was killed and
    resumed follows the same loss curve. Data loader workers draw their seeds
    from the generator of the main process when an epoch starts; use
    :func:`seed_worker` with them.
    """

    priority = 'VERY_HIGH'
    stride = 1_000_003  # a prime: seeds of runs and ranks do not meet

    def _reseed(self, runner, step: int) -> None:
        seed = (runner.seed or 0) + self.stride * (step * runner.world_size + runner.rank + 1)
        set_random_seed(seed % 2**32)

    def before_train(self, runner) -> None:
        self._reseed(runner, runner.iter)

    def before_train_epoch(self, runner) -> None:
        self._reseed(runner, runner.iter)

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        self._reseed(runner, runner.iter + 1)


@FUNCTIONS.register_module()
def seed_worker(worker_id: int) -> None:
    """Keep the seeds that torch gave the worker (one set for each epoch).

    mmengine's default gives a worker the same seed in every epoch, and so the
    same "random" subsets. Torch has seeded ``random``, ``numpy`` and itself
    from the main process before this is called; only threads are set here.
    """
    torch.set_num_threads(1)
