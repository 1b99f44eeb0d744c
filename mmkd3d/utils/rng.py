"""Run code with its own state of the random number generators."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def isolate_torch_rng(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's generators of CPU and ``device``, and restore them on exit."""
    on_gpu = device.type == 'cuda'
    with torch.random.fork_rng(devices=[device] if on_gpu else []):
        torch.default_generator.manual_seed(seed)
        if on_gpu:
            torch.cuda.default_generators[device.index].manual_seed(seed)
        yield


@contextmanager
def isolate_rng(seed: int, device: torch.device) -> Iterator[None]:
    """Like :func:`isolate_torch_rng`, also for the generators of Python and NumPy."""
    states = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    try:
        with isolate_torch_rng(seed, device):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


def rng_state() -> dict:
    """State of the generators of Python, NumPy and torch's CPU, as plain data."""
    name, keys, *rest = np.random.get_state()
    return dict(
        python=random.getstate(), numpy=(name, keys.tolist(), *rest), torch=torch.get_rng_state()
    )


def set_rng_state(state: dict) -> None:
    """Restore what :func:`rng_state` returned."""
    random.setstate(state['python'])
    np.random.set_state(state['numpy'])
    torch.set_rng_state(state['torch'].cpu())
