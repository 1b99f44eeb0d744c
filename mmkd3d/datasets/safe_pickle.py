"""Pickles of published data sets, read without running what they contain."""

import pickle
from functools import partial
from pathlib import Path

import numpy as np

from mmkd3d.datasets.readers import existing

# numpy moved its core; python 2 files name builtins differently
_NUMPY_CORE = ('numpy.core', 'numpy._core')
_ALLOWED = {
    ('numpy', 'ndarray'),
    ('numpy', 'dtype'),
    ('_codecs', 'encode'),
    ('collections', 'OrderedDict'),
    *((f'{core}.multiarray', name) for core in _NUMPY_CORE for name in ('_reconstruct', 'scalar')),
    *((f'{core}.numeric', '_frombuffer') for core in _NUMPY_CORE),
    *(
        (module, name)
        for module in ('builtins', '__builtin__')
        for name in (
            'list',
            'tuple',
            'dict',
            'set',
            'frozenset',
            'int',
            'float',
            'complex',
            'str',
            'bytes',
            'bytearray',
            'bool',
            'slice',
        )
    ),
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str):
        """Allow only the listed types; anything else is an error."""
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(
                f'it contains {module}.{name}; only numpy arrays and plain containers are accepted'
            )
        found = super().find_class(module, name)
        if name in ('ndarray', '_reconstruct'):
            return {'ndarray': _array, '_reconstruct': _empty_array}[name]
        return partial(_stored, found) if found in (bytes, bytearray) else found


def _stored(kind: type, *content):
    """Bytes that the file holds, and not a number of zeros."""
    if content and isinstance(content[0], int):
        raise pickle.UnpicklingError(f'it asks for {content[0]} bytes that it does not hold')
    return kind(*content)


def _array(*_):
    raise pickle.UnpicklingError('it makes an array without values')


def _empty_array(kind, shape: tuple, dtype: bytes) -> np.ndarray:
    """The array, without elements, that numpy pickles before the values."""
    if kind is not _array or shape != (0,):
        raise pickle.UnpicklingError(f'it makes an array of shape {shape} without values')
    return np.empty(shape, np.dtype(dtype))


def load_pickle(path: str | Path, purpose: str, hint: str):
    """Read a pickle of numpy arrays and plain containers.

    Args:
        path: The file; python 2 pickles are read too.
        purpose: Use of the file, for the error.
        hint: How to get it, for the error.

    Raises:
        FileNotFoundError: No such file.
        ValueError: A truncated file, or one that contains anything else.
    """
    path = existing(path, purpose, hint)
    with open(path, 'rb') as file:
        try:
            return _Unpickler(file, encoding='latin1').load()
        except Exception as error:  # a damaged stream fails in many ways
            raise ValueError(
                f'{path}: not read ({error or type(error).__name__}). The '
                'file is truncated or not the published one; get it again.'
            ) from error
