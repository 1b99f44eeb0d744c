"""Random numbers that take none away from others."""
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def own_draws(seed: int, device: torch.device) -> Iterator[None]:
    """Draw from a seed; afterwards the generators are as they were.

    Of torch: that of the CPU, and that of ``device``.
    """
    on_gpu = device.type == 'cuda'
    with torch.random.fork_rng(devices=[device] if on_gpu else []):
        torch.default_generator.manual_seed(seed)
        if on_gpu:
            torch.cuda.default_generators[device.index].manual_seed(seed)
        yield
