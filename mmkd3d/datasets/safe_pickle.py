"""Pickles of published data sets, read without running what they contain."""

import pickle
from pathlib import Path

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
        return super().find_class(module, name)


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
