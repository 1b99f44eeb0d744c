"""One bad input, and how its outcome is judged."""

import contextlib
import io
import signal
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from mmkd3d.apis.errors import known_mistake

SECONDS = 30  # a case that takes longer hangs
LONGEST = 3000  # characters of a message


class Case(NamedTuple):
    """An input at the public border.

    Attributes:
        kind: What is wrong with it.
        call: Uses the input.
        right: Judges the result of ``call`` by an independent oracle; None:
            the only right outcome is an error.
        named: Text that the error must contain, such as a file name.
    """

    kind: str
    call: Callable[[], Any]
    right: Callable[[Any], bool] | None = None
    named: str = ''


class Hang(BaseException):
    """A case took too long."""


def outcome(case: Case, canary: Path) -> str:
    """Run a case: ``'error'``, ``'right'``, or what went wrong, with details."""
    found, printed = None, io.StringIO()
    try:
        with time_limit(), warnings.catch_warnings(), contextlib.redirect_stderr(printed):
            warnings.simplefilter('ignore')
            with contextlib.redirect_stdout(io.StringIO()):
                result = case.call()
    except Hang:
        return 'hang'
    except (Exception, SystemExit) as error:
        found = error
    if canary.exists():
        return 'executed'
    if found is None:
        if case.right is None:
            return f'silent: {str(result)[:200]}'
        return 'right' if case.right(result) else f'wrong: {str(result)[:200]}'
    if case.right is not None:
        return f'refused: {found}'
    return judge(found, case.named, printed.getvalue())


def judge(error: BaseException, named: str, printed: str) -> str:
    """Whether an error is one that a user understands: ``'error'``, or why it is not."""
    if isinstance(error, SystemExit):
        usage = printed if error.code == 2 and ': error: ' in printed else None  # of argparse
        text = error.code if isinstance(error.code, str) else usage
    else:
        text = known_mistake(error) if isinstance(error, Exception) else None
    if text is None:
        return f'raw {type(error).__name__}: {str(error)[:300]}'
    if 'Traceback' in text or len(text) > LONGEST or not text.strip():
        return f'poor message: {text[:300]}'
    if named not in text:
        return f'does not name {named!r}: {text[:300]}'
    return 'error'


@contextlib.contextmanager
def time_limit() -> Iterator[None]:
    """Raise :class:`Hang` in the body after ``SECONDS``."""

    def stop(*_):
        raise Hang

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
