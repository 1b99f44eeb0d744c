"""How Python and the C library manage memory."""

import ctypes
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

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


@contextmanager
def imports_uncollected() -> Iterator[None]:
    """Pause Python's garbage collection while packages are imported.

    torch, mmengine and mmdetection3d make a million objects that stay. Going through them again
    and again takes a fifth of the start of a training; mmengine's data sets do it once more each.
    Afterwards the collector leaves them out. Does nothing where it leaves out objects already,
    as in the second run of a process.
    """
    if gc.get_freeze_count() or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
    gc.freeze()
