"""When the loops of :mod:`mmkd3d.ops.cpu_kernels` run, and over how many threads."""

import functools
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import torch
from torch import Tensor

from .exporting import is_exporting


def use_kernels(x: Tensor) -> bool:
    """Whether to run the compiled loops on ``x``.

    Otherwise the same is computed in PyTorch: on GPUs, in models that are exported or compiled,
    in the transforms of ``torch.func``, and where Numba can't be imported. Both give the same
    indices.
    """
    if x.device.type != 'cpu' or is_exporting() or torch.compiler.is_compiling():
        return False
    if torch._C._are_functorch_transforms_active():
        return False
    return kernels() is not None


def can_search(*clouds: Tensor) -> bool:
    """:func:`use_kernels` for clouds: the loops order finite distances only."""
    if not use_kernels(clouds[0]):
        return False
    return all(cloud.detach().float().sum().isfinite() for cloud in clouds)


@functools.lru_cache
def kernels() -> ModuleType | None:
    """The loops, or None without Numba."""
    try:
        from . import cpu_kernels

        if cpu_kernels.numba.config.DISABLE_JIT:
            raise RuntimeError('NUMBA_DISABLE_JIT is set')
        cpu_kernels.hashed(0)  # reads or writes the cache
    # Numba is missing or does not support the version of numpy; or there is no folder for its
    # cache, or no space on its disk
    except (ImportError, RuntimeError, OSError) as error:
        logging.getLogger(__name__).warning(
            'Point operators run in PyTorch, slower on a CPU than with Numba: %s', error
        )
        return None
    return cpu_kernels


def in_threads(function: Callable[[int, int], object], count: int, least: int) -> list:
    """Run ``function(start, stop)`` on shares of ``count`` items.

    Args:
        function: Releases the GIL.
        count: Number of items.
        least: Items that take long enough to be worth a thread, some 0.1 ms.

    Returns:
        The results in order, one for each of up to ``torch.get_num_threads()`` shares.
    """
    shares = max(1, min(torch.get_num_threads(), count // max(1, least)))
    if shares == 1:
        return [function(0, count)]
    bounds = [count * i // shares for i in range(shares + 1)]
    # Threads of our own: those of Numba do not get along with forked data workers.
    with ThreadPoolExecutor(shares) as pool:
        return list(pool.map(function, bounds, bounds[1:]))
