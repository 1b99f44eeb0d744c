"""Import the modules of a package, so that what they register is found."""
import importlib
import pkgutil


def import_modules(package: str, path: list[str]) -> None:
    """Import every module and sub-package of ``package``.

    Args:
        package: Name of the package, ``__name__`` in its ``__init__``.
        path: Its ``__path__``.
    """
    for module in pkgutil.iter_modules(path):
        importlib.import_module(f'{package}.{module.name}')
