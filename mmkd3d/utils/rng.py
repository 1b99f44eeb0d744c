"""Random numbers that take none away from others."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
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


@contextmanager
def all_own_draws(seed: int, device: torch.device) -> Iterator[None]:
    """The same for the generators of Python and NumPy, too."""
    states = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    try:
        with own_draws(seed, device):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
