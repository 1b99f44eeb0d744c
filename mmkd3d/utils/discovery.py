"""Import all modules of a package, which register their classes."""

import importlib
import pkgutil
from collections.abc import Sequence


def import_modules(package: str, path: list[str], skip: Sequence[str] = ()) -> None:
    """Import every module and sub-package of ``package``.

    Args:
        package: Name of the package, ``__name__`` in its ``__init__``.
        path: Its ``__path__``.
        skip: Modules to leave out: those that need an optional package.
    """
    for module in pkgutil.iter_modules(path):
        if module.name not in skip:
            importlib.import_module(f'{package}.{module.name}')
