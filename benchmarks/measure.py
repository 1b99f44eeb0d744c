"""Measure time and peak memory of a call, optionally in a separate process."""

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import torch


class Measurement(NamedTuple):
    """Best time of a call, and the extra memory of its first run.

    ``peak`` is in bytes and excludes the input. It is GPU memory, or the
    resident memory of the process; None if neither is available.
    """

    seconds: float
    peak: int | None


def isolate(function: Callable, *args):
    """Run a module-level function in a fresh process.

    Memory left over from earlier calls is excluded, and the benchmark
    continues if the process is killed for running out of memory.
    """
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *args).result()


def measure(function: Callable[[], object], *, device: str, budget: float = 2.0) -> Measurement:
    """Call a function until ``budget`` seconds have passed, at least twice.

    Args:
        function: Function to measure; runs on ``device``.
        device: 'cpu', 'cuda', ...
        budget: Time budget in seconds; 0 calls the function once.
    """
    on_gpu = device.startswith('cuda')
    before = reset_peak(on_gpu)
    seconds = [_time(function, on_gpu)]
    after = peak_memory(on_gpu)
    while budget and (sum(seconds) < budget or len(seconds) < 2):
        seconds.append(_time(function, on_gpu))
    known = before is not None and after is not None
    return Measurement(min(seconds), after - before if known else None)


def _time(function: Callable[[], object], on_gpu: bool) -> float:
    if on_gpu:
        torch.cuda.synchronize()
    start = time.perf_counter()
    function()
    if on_gpu:
        torch.cuda.synchronize()
    return time.perf_counter() - start


def reset_peak(on_gpu: bool) -> int | None:
    """Reset the peak to the current memory use, and return it."""
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    else:
        try:
            Path('/proc/self/clear_refs').write_text('5')
        except OSError:
            return None
    return peak_memory(on_gpu)


def peak_memory(on_gpu: bool) -> int | None:
    """Peak memory in bytes since ``reset_peak``; None if unavailable."""
    if on_gpu:
        return torch.cuda.max_memory_allocated()
    try:
        # getrusage is unsuitable: its maximum starts at the parent's peak
        lines = Path('/proc/self/status').read_text().splitlines()
    except OSError:
        return None
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith('VmHWM'))
