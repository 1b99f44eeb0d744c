"""End a command with the message of a known mistake instead of a traceback."""

import dis
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
# Modules whose `raise` statements report mistakes in configs, data and arguments.
CHECKED = ('mmkd3d', 'tools', '__main__', 'mmengine.config', 'mmengine.registry')
RAISE = dis.opmap['RAISE_VARARGS']
# A frame of a printed traceback: file, and the source line.
FRAME = re.compile(r'^  File "(.+)", line \d+, in .+\n(?:    (.*)\n)?(?:    .*\n)*', re.M)


@contextmanager
def short_errors() -> Iterator[None]:
    """Print known mistakes in one line; use it as a decorator of ``main``.

    Known are errors of the file system, and all errors that mmkd3d, a tool, or
    the registries and configs of mmengine raise with a ``raise`` statement,
    also in the workers of a data loader. Everything else keeps its traceback:
    an error of Python, numpy or torch inside our code is a bug.

    Raises:
        SystemExit: In place of a known mistake, with its message; the exit
            code of the command is 1.
    """
    try:
        yield
    except Exception as error:
        message = known_mistake(error)
        if message is None:
            raise
        raise SystemExit(message) from error


def known_mistake(error: Exception) -> str | None:
    """The message of a known mistake, see :func:`short_errors`; None for other errors."""
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    known = isinstance(error, OSError) or _raised_on_purpose(error)
    if text.startswith('Caught ') and 'DataLoader worker' in text.partition('\n')[0]:
        *_, frame = FRAME.finditer(text)
        source = frame[2] or ''
        known = isinstance(error, OSError) or (
            source.startswith('raise') and PACKAGE in Path(frame[1]).resolve().parents
        )
        text = text[frame.end() :].strip().partition(': ')[2]
    return text if known and text else None


def _raised_on_purpose(error: Exception) -> bool:
    """Whether a ``raise`` statement of a checked module made the error."""
    if isinstance(error, (AssertionError, NotImplementedError)):
        return False
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    if step is None:
        return False
    name = step.tb_frame.f_globals.get('__name__', '')
    ours = any(name == checked or name.startswith(f'{checked}.') for checked in CHECKED)
    return ours and step.tb_frame.f_code.co_code[step.tb_lasti] == RAISE
