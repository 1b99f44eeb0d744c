"""Check names that come from files and configs."""

import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def check_class_names(names: Any, source: str | Path) -> tuple[str, ...]:
    """Class names as a tuple, or an error.

    Args:
        names: A list or tuple of texts; None for no names.
        source: Where they come from, for the error.

    Raises:
        ValueError: Something else, a name that is empty or has control
            characters, or a name that is there twice.
    """
    if names is None:
        return ()
    if not isinstance(names, (list, tuple)) or not all(isinstance(n, str) for n in names):
        raise ValueError(
            f'{source}: expected the class names as a list of texts, as in '
            f"classes=['chair', 'table'], got {str(names)[:200]!r}."
        )
    for name in names:
        if not name.strip() or any(unicodedata.category(c) == 'Cc' for c in name):
            raise ValueError(
                f'{source}: {name[:200]!r} is no class name: it is empty or has control '
                'characters. Rename the class.'
            )
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise ValueError(f'{source}: the class {twice!r} is there twice. Remove one.')
    return tuple(names)


def stored_classes(checkpoint: Any) -> tuple[str, ...]:
    """Names of the classes that a checkpoint was trained on, empty if it does not tell.

    Raises:
        ValueError: See :func:`check_class_names`.
    """
    where = "the checkpoint's meta"
    for key in ('meta', 'dataset_meta'):
        checkpoint = checkpoint.get(key) or {}
        if not isinstance(checkpoint, Mapping):
            raise ValueError(
                f'{where}: expected a dict as {key!r}, got {str(checkpoint)[:200]!r}. '
                'Remove it from the checkpoint.'
            )
    return check_class_names(checkpoint.get('classes'), f'{where}, dataset_meta')


def read_names(path: Path) -> list[str]:
    """Lines of a text file that are not empty, without blanks around them.

    Raises:
        ValueError: The file is no text in UTF-8.
    """
    try:
        lines = path.read_text(encoding='utf-8-sig').splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(
            f'{path}: expected a text in UTF-8 with one name or path per line ({error}). '
            'Save it as UTF-8.'
        ) from error
    return [line.strip() for line in lines if line.strip()]
