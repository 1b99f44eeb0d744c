"""Choose the implementation of an mmcv operator: compiled or ours.

Set by the environment variable ``MMKD3D_OPS``:

- ``auto`` (default): compiled if mmcv supports the device of the tensors,
  else ours;
- ``torch``: always ours;
- ``mmcv``: always compiled; an error if there is none.
"""

import functools
import logging
import os
from collections.abc import Callable
from types import ModuleType

MODES = ('auto', 'torch', 'mmcv')
HOW_TO_COMPILE = (
    'install an mmcv that was built for your torch (`pip uninstall mmcv-lite` '
    "and `mim install 'mmcv>=2.0.0rc4,<2.2.0'`, or build it from source); "
    '`python -m mmkd3d.doctor` shows which versions you have'
)


def mode() -> str:
    """The value of ``MMKD3D_OPS``.

    Raises:
        ValueError: If it is none of ``MODES``.
    """
    value = os.environ.get('MMKD3D_OPS', 'auto')
    if value not in MODES:
        raise ValueError(f'MMKD3D_OPS must be one of {", ".join(MODES)}, got {value!r}')
    return value


def require_compiled() -> ModuleNotFoundError:
    """The error for ``MMKD3D_OPS=mmcv`` without a compiled mmcv."""
    return ModuleNotFoundError(
        'MMKD3D_OPS=mmcv needs the compiled operators of mmcv, but '
        "'mmcv._ext' is not installed. Unset MMKD3D_OPS, or "
        f'{HOW_TO_COMPILE}.'
    )


class Extension(ModuleType):
    """Replacement for mmcv's compiled extension ``mmcv._ext``.

    Args:
        kernels: Our implementations, by their names in the extension.
        compiled: The compiled extension, if mmcv has one.
    """

    def __init__(self, kernels: dict[str, Callable], compiled: ModuleType | None = None):
        super().__init__('mmcv._ext', self.__doc__)
        self._kernels = kernels
        self._compiled = compiled
        if compiled is not None:
            self.__spec__ = compiled.__spec__
            self.__loader__ = compiled.__loader__
            self.__file__ = compiled.__file__

    def __getattr__(self, name: str) -> Callable:
        compiled = self._compiled and getattr(self._compiled, name)
        if name in self._kernels:
            return _Operator(self._kernels[name], compiled)
        if compiled is not None:
            return compiled
        if name.startswith('_'):  # looked up by tools that inspect modules
            raise AttributeError(name)
        return functools.partial(_raise_missing, name)


class _Operator:
    """One operator: picks an implementation at each call."""

    def __init__(self, ours: Callable, compiled: Callable | None):
        self.ours = ours
        self.compiled = compiled

    def __call__(self, *args, **kwargs):
        chosen = mode()
        _announce(chosen, self.compiled is not None)
        if self.compiled is None and chosen == 'mmcv':
            raise require_compiled()
        if self.compiled is None or chosen == 'torch':
            return self.ours(*args, **kwargs)
        try:
            return self.compiled(*args, **kwargs)
        except RuntimeError as error:
            # mmcv looks up the device before it computes anything, so it is
            # safe to try, with any version of mmcv.
            no_kernel = 'implementation for device' in str(error)
            if chosen == 'mmcv' or not no_kernel:
                raise
        return self.ours(*args, **kwargs)


def _raise_missing(name: str, *args, **kwargs):
    raise ImportError(
        f"mmkd3d does not implement mmcv's operator '{name}' in plain PyTorch "
        '(only those for indoor detection and segmentation), and the '
        f"compiled 'mmcv._ext' is not installed. To get it: {HOW_TO_COMPILE}."
    )


def describe(chosen: str, is_compiled: bool) -> str:
    """One line on where mmcv's operators come from."""
    if chosen == 'torch' or not is_compiled:
        why = 'MMKD3D_OPS=torch' if chosen == 'torch' else ('no compiled mmcv is installed')
        return f"mmcv's point and box operators run in PyTorch and Numba ({why})"
    if chosen == 'mmcv':
        return "mmcv's operators are the compiled ones (MMKD3D_OPS=mmcv)"
    return (
        "mmcv's operators are the compiled ones; point and box operators "
        'without a kernel for the device of their tensors run in PyTorch and Numba'
    )


@functools.cache
def _announce(chosen: str, is_compiled: bool) -> None:
    """Log the backend the first time an operator runs."""
    from mmengine.logging import print_log

    print_log(f'mmkd3d: {describe(chosen, is_compiled)}.', logger='current', level=logging.INFO)
