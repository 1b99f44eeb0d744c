"""Operators that a piece of code calls, and those that would make a GPU wait."""

import inspect
from collections.abc import Callable
from pathlib import Path

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.helpers import REPO

PACKAGE = str(REPO / 'mmkd3d')
# The size of their result, or a number, has to reach Python.
WAITING = {
    '_local_scalar_dense',
    'equal',
    'is_nonzero',
    'masked_select',
    'nonzero',
    'repeat_interleave',
    'unique_consecutive',
    'unique_dim',
    '_unique2',
}
INDEXING = {'index', 'index_put', 'index_put_', '_index_put_impl_'}
# These copy from or to the GPU.
METHODS = {'tolist', 'numpy', 'cpu', 'new_tensor'}


class Operators(TorchDispatchMode):
    """Calls ``watch(name, tensors)`` before every operator, backward included."""

    def __init__(self, watch: Callable):
        super().__init__()
        self.watch = watch

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        self.watch(name, tensors)
        return func(*args, **(kwargs or {}))


class Methods(TorchFunctionMode):
    """Calls ``watch(name)`` before methods of tensors that run no operator on a CPU."""

    def __init__(self, watch: Callable):
        super().__init__()
        self.watch = watch

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if getattr(func, '__name__', '') in METHODS:
            self.watch(func.__name__)
        return func(*args, **(kwargs or {}))


def waits(call: Callable) -> list[str]:
    """Run ``call``; the operators for which a GPU would be waited for, and their lines."""
    found = []

    def watch(name, tensors=()):
        masked = name in INDEXING and any(x.dtype == torch.bool for x in tensors[1:])
        if name == 'index_put_' and tensors[-1].numel() == 1:
            masked = False  # a number is filled in where the mask is
        if name in WAITING or name in METHODS or masked:
            found.append(f'{name}{" by a mask" * masked} at {place()}')

    with Methods(watch), Operators(watch):
        call()
    return found


def place() -> str:
    """The function of the package that is running, FILE.FUNCTION; else ``'backward'``."""
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code.co_filename.startswith(PACKAGE):
            return f'{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_name}'
        frame = frame.f_back
    return 'backward'
