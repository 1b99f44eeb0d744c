"""Compare the values in a config with the types of the arguments that they are for."""

import inspect
import types
import typing
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

# The least value of whole numbers, wherever a config has them.
LEAST = dict(
    accumulative_counts=1,
    base_batch_size=1,
    batch_size=1,
    max_epochs=1,
    max_iters=1,
    num_workers=0,
    times=1,
    val_begin=0,
    val_interval=1,
)
PLAIN = {int: (int,), float: (int, float), str: (str,), bool: (bool,)}
LISTS = (list, tuple, Sequence, Iterable, Collection)


def check_whole(part: Mapping, path: str, least: Mapping[str, int] = LEAST) -> None:
    """Check the whole numbers of a dict in a config.

    Args:
        part: The dict.
        path: Its key in the config.
        least: The least value of each number.

    Raises:
        ValueError: A value is smaller, or no whole number.
    """
    for name in least.keys() & part.keys():
        value = part[name]
        where = f'{path}.{name}' if path else name
        if not isinstance(value, int):
            raise ValueError(f'{where} must be a whole number, got {value!r}.')
        if value < least[name]:
            raise ValueError(f'{where} must be {least[name]} or more, got {value}.')


def check_types(part: Mapping, path: str, kind: Any) -> None:
    """Compare a dict in a config with the annotations of the class that it builds.

    Numbers, text, lists of them, dicts and None are compared; all else passes.

    Args:
        part: The dict.
        path: Its key in the config.
        kind: The class or function.

    Raises:
        ValueError: A value has another type; the message names the key.
    """
    for name, hint, default in _annotations(kind):
        value = part.get(name, default)
        if name in part and value is not default and not _fits(value, hint):
            wanted = inspect.formatannotation(hint).replace('collections.abc.', '')
            raise ValueError(f'{path}.{name} must be of type {wanted}, got {value!r}.')


def _annotations(kind: Any) -> Iterator[tuple[str, Any, Any]]:
    """Name, type and default of the arguments; also of bases that get ``**kwargs``."""
    inits, known = [kind], set()
    if inspect.isclass(kind):
        inits = [vars(base)['__init__'] for base in kind.__mro__[:-1] if '__init__' in vars(base)]
    for init in inits:
        try:
            hints = typing.get_type_hints(init)
            parameters = inspect.signature(init).parameters.values()
        except (NameError, TypeError, ValueError):  # of C code, or imported for checks only
            return
        for one in parameters:
            if one.name in hints and one.name not in known and one.kind is not one.VAR_KEYWORD:
                yield one.name, hints[one.name], one.default
            known.add(one.name)
        if not any(one.kind is one.VAR_KEYWORD for one in parameters):
            return


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value of a config can have a type."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, one) for one in inner)
    if origin is typing.Literal:
        return value in inner
    if hint in (None, type(None)):
        return value is None
    if hint in PLAIN:
        return isinstance(value, PLAIN[hint])
    if (origin or hint) in LISTS:
        if not isinstance(value, (list, tuple)):
            return False
        inner = inner[:1] if inner[1:] in ((), (...,)) else ()
        return all(_fits(one, kind) for one in value for kind in inner)
    if (origin or hint) in (dict, Mapping):
        return isinstance(value, Mapping)
    return hint is not Tensor
