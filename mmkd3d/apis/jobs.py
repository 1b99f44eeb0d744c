"""Run the tools as subprocesses.

They are forks of one process that has imported torch, mmengine and mmdetection3d
(:mod:`mmkd3d.apis.warm`), which takes longer than many a job.
"""

import fcntl
import multiprocessing
import os
import shlex
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any

from mmkd3d.utils.signals import catch_stop

from . import warm
from .config_files import config_root

SERVER = 'mmkd3d.apis.warm_server'
_running: set[BaseProcess] = set()
_starting = threading.RLock()  # a signal handler runs within a thread that may hold it
_stopped_by = 0


@contextmanager
def lock_folder(folder: Path) -> Iterator[int]:
    """Keep other processes of this kind out of a folder, which is made if absent.

    Yields:
        A file descriptor. A subprocess that inherits it (``pass_fds``) keeps
        the lock as long as it runs, even if this process is killed.

    Raises:
        ValueError: Another process has the lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / '.lock', 'w') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f'Another process is running in {folder}. Wait until it ends, '
                'or end it, then start again.'
            ) from None
        yield file.fileno()


@contextmanager
def pass_stop_on() -> Iterator[None]:
    """Pass SIGTERM and SIGHUP on to the tools that :func:`run_tool` runs.

    A training then saves a checkpoint. :func:`run_tool` starts no further
    tool, and raises once those that run have ended.

    Raises:
        SystemExit: After a signal, with code 128 + its number.
    """
    global _stopped_by

    def stop(number: int) -> None:
        global _stopped_by
        _stopped_by = number
        with _starting:
            for process in _running:
                _signal(process, number)
            if not _running:
                raise SystemExit(128 + number)

    try:
        with catch_stop(stop):
            try:
                yield
            finally:  # instead of what else the signal caused
                if _stopped_by:
                    name = signal.Signals(_stopped_by).name
                    print(f'{name}: stopped. Run the same command again to continue.', flush=True)
                _check_stopped()
    finally:
        _stopped_by = 0


def _check_stopped() -> None:
    if _stopped_by:
        raise SystemExit(128 + _stopped_by)


def run_tool(tool: str, *arguments, log: Path, lock: int | None = None, jobs: int = 1) -> None:
    """Run ``python tools/TOOL`` and write its output to a file.

    Args:
        tool: File name, such as ``'train.py'``.
        *arguments: Of the tool.
        log: Overwritten.
        lock: From :func:`lock_folder`.
        jobs: Number of tools that run at the same time. They share the CPU
            cores, unless ``OMP_NUM_THREADS`` is set.

    Raises:
        RuntimeError: The tool failed; the message is its last line.
        SystemExit: A signal stopped it, see :func:`pass_stop_on`.
    """
    path, words = config_root().parent / 'tools' / tool, list(map(str, arguments))
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_bytes(b'')
    with _starting:
        _check_stopped()
        print('$ ' + shlex.join(['python', f'tools/{tool}', *words]), flush=True)
        process = _start(path, words, log.resolve(), lock, jobs)
        _running.add(process)
    try:
        code = _exit_code(process)
    except BaseException:  # Ctrl-C; the tool passes this on to its own ones
        _signal(process, signal.SIGTERM)
        _exit_code(process)
        raise
    finally:
        _running.discard(process)
    _check_stopped()
    if code:
        lines = log.read_text(errors='replace').strip().splitlines() or [f'exit code {code}']
        killed = f'killed by {signal.Signals(-code).name}, after: ' if code < 0 else ''
        raise RuntimeError(f'{killed}{lines[-1]} (log: {log})')


class _Descriptor:
    """A file descriptor that a process takes along."""

    def __init__(self, number: int):
        self.number = number

    def __reduce__(self) -> tuple:
        return _same, (DupFd(self.number),)  # for the process that is being started


def _same(value: Any) -> Any:
    return value


def _start(tool: Path, words: list[str], log: Path, lock: int | None, jobs: int) -> BaseProcess:
    """Start a tool; the first call also starts the process from which all are forked."""
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload([SERVER])
    before = dict(os.environ)
    path = [str(tool.parents[1]), before.get('PYTHONPATH')]
    os.environ['PYTHONPATH'] = os.pathsep.join(filter(None, path))
    os.environ.setdefault('OMP_NUM_THREADS', str(max(1, (os.cpu_count() or 1) // jobs)))
    descriptor = None if lock is None else _Descriptor(lock)
    arguments = (tool, words, log, dict(os.environ), os.getcwd(), descriptor)
    process = context.Process(target=warm.run, args=arguments, name=tool.name)
    try:
        process.start()  # numpy and torch of the first process read the variables
    finally:
        os.environ.clear()
        os.environ.update(before)
    return process


def _signal(process: BaseProcess, number: int) -> None:
    with _starting:  # no two threads may ask for the state of a process at a time
        if process.is_alive() and process.pid is not None:
            os.kill(process.pid, number)


def _exit_code(process: BaseProcess) -> int:
    wait([process.sentinel])
    with _starting:
        process.join()
        return process.exitcode or 0
