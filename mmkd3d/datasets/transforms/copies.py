"""A fixed number of augmented copies of each sample."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from mmkd3d.registry import MODELS, TRANSFORMS
from mmkd3d.utils.hashes import text_digest


@TRANSFORMS.register_module()
@dataclass(kw_only=True)
class AugmentedCopies:
    """Draw one of K augmented copies of a sample, so that a teacher can be cached.

    Copy k of a sample is the same in every epoch, run and process: the random
    numbers of its transforms depend on ``sample_id`` and k only. Which copy is
    drawn depends on numpy's global generator, as other random steps do; it is
    added as ``copy_idx``.

    ``tools/cache_teacher.py --copies K`` caches the features of all copies, and
    ``tools/train.py`` puts this step into the pipeline of a training with such
    a cache.

    Args:
        num_copies: K.
        transforms: Configs of the transforms that run with fixed random numbers.
        augments: Configs of augmentations of :class:`PointDataPreprocessor`,
            applied to the points after them.

    Raises:
        ValueError: ``num_copies`` is below 1, or a sample has no ``sample_id``.
    """

    num_copies: int
    transforms: Sequence[dict] = ()
    augments: Sequence[dict] = ()

    def __post_init__(self):
        if self.num_copies < 1:
            raise ValueError(
                f'AugmentedCopies: num_copies must be at least 1, got {self.num_copies}.'
            )
        self.steps = [TRANSFORMS.build({'_scope_': 'mmkd3d', **step}) for step in self.transforms]
        self.modules = [MODELS.build({'_scope_': 'mmkd3d', **cfg}) for cfg in self.augments]
        self.only: int | None = None  # set to build a cache copy by copy

    def check_items(self, items: Sequence[dict]) -> None:
        """See :meth:`PointDataset.filter_data`."""
        for step in self.steps:
            if hasattr(step, 'check_items'):
                step.check_items(items)

    def __call__(self, results: dict) -> dict:
        if 'sample_id' not in results:
            raise ValueError(
                f"AugmentedCopies needs 'sample_id', got {sorted(results)}: its copies of a "
                'sample depend on it.'
            )
        copy_idx = np.random.randint(self.num_copies) if self.only is None else self.only
        with seeded(int(text_digest([str(results['sample_id']), str(copy_idx)])[:8], 16)):
            for step in self.steps:
                results = step(results)
            if self.modules:
                results['points'] = self._augment(results['points'])
        return dict(results, copy_idx=copy_idx)

    def _augment(self, points: np.ndarray) -> np.ndarray:
        batch = torch.from_numpy(points)[None].float()
        for module in self.modules:
            batch = module(batch)
        return batch[0].numpy()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the generators of Python, numpy and the CPU, and restore them afterwards."""
    states = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        random.seed(seed)
        np.random.seed(seed)
        torch.default_generator.manual_seed(seed)  # leaves generators of GPUs alone
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])
