"""How the C library manages the memory of tensors on a CPU."""

import ctypes
import os
import sys

# of malloc.h
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def keep_freed_memory() -> bool:
    """Let glibc keep the memory of large tensors for the next ones.

    By default it returns each block over 32 MB to the system at once, which fills the next one
    with zeros, page by page: a third of the time of a training step of VoteNet. The process then
    holds the most that it needed so far until it ends; up to three times as much where the sizes
    of tensors change from step to step.

    Does nothing without glibc, or where ``MALLOC_`` or ``GLIBC_TUNABLES`` variables set it up.

    Returns:
        Whether the memory is kept.
    """
    if any(name.startswith(('MALLOC_', 'GLIBC_TUNABLES')) for name in os.environ):
        return False
    if not sys.platform.startswith('linux'):
        return False
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    if mallopt is None:
        return False
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, 2**31 - 1))
