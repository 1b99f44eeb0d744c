"""Signals that ask a program to stop."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

STOP_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
_caught: set[int] = set()


@contextmanager
def catch_stop(action: Callable[[int], None]) -> Iterator[None]:
    """Call ``action(number)`` at SIGTERM and SIGHUP instead of ending.

    A signal that is ignored stays ignored, as SIGHUP is under ``nohup``.
    Processes forked in this time get these signals from their parent only: a
    cluster sends them to all processes of a job, and a training needs its
    data loader workers until it has saved. Does nothing outside the main
    thread.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in STOP_SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, lambda number, frame: action(number))
    _caught.update(before)
    try:
        yield
    finally:
        _caught.difference_update(before)
        for number, handler in before.items():
            signal.signal(number, handler)


def _obey_parent_only() -> None:
    # A mask, because torch sets handlers of its own in data loader workers.
    signal.pthread_sigmask(signal.SIG_BLOCK, _caught)
    if _caught:
        threading.Thread(target=_end_at_signal_of_parent, daemon=True).start()


def _end_at_signal_of_parent() -> None:
    while signal.sigwaitinfo(_caught).si_pid != os.getppid():
        pass
    os._exit(0)


os.register_at_fork(after_in_child=_obey_parent_only)
