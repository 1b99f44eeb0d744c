"""Random numbers that depend on the iteration only, for exact resume."""

from collections.abc import Callable, Iterator

import torch
from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, set_random_seed

from mmkd3d.registry import FUNCTIONS, HOOKS


@HOOKS.register_module()
class ReseedHook(Hook):
    """Seed all random number generators before each epoch and iteration.

    Masks, dropout and augmentation then depend only on the seed of the run
    and the iteration, so a resumed run follows the same loss curve as an
    uninterrupted one. Data loader workers get their seeds from the main
    process at the start of an epoch; use :func:`seed_worker` as their
    ``worker_init_fn``. A loop by iteration seeds before it loads each batch,
    since a resumed one loads the batches again that were trained on.
    """

    priority = 'VERY_HIGH'
    stride = 1_000_003  # a prime, so that the seeds of different runs do not coincide

    def _reseed(self, runner, step: int) -> None:
        seed = (runner.seed or 0) + self.stride * (step * runner.world_size + runner.rank + 1)
        set_random_seed(seed % 2**32)

    def before_train(self, runner) -> None:
        self._reseed(runner, runner.iter)
        loop = runner.train_loop
        if isinstance(loop, IterBasedTrainLoop):
            loop.dataloader_iterator = seeded(
                loop.dataloader_iterator, lambda number: self._reseed(runner, -number - 1)
            )

    def before_train_epoch(self, runner) -> None:
        # of the whole epoch, also where a run resumes within it
        self._reseed(runner, runner.epoch * len(runner.train_dataloader))

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        self._reseed(runner, runner.iter + 1)


def seeded(batches: Iterator, seed: Callable[[int], None]) -> Iterator:
    """Call ``seed(number)`` before each batch is drawn."""
    number = 0
    while True:
        seed(number)
        yield next(batches)
        number += 1


@FUNCTIONS.register_module()
def seed_worker(worker_id: int, _scope_: str | None = None) -> None:
    """Keep the seed that torch gives each data loader worker, new in every epoch.

    mmengine's default ``worker_init_fn`` seeds a worker identically in every
    epoch, so random augmentations would repeat. Torch already seeds ``random``,
    ``numpy`` and itself; this function only limits the number of threads.
    mmengine passes ``_scope_`` in configs that inherit ``mmkd3d::...``.
    """
    torch.set_num_threads(1)
