"""Run the tools as subprocesses."""

import fcntl
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmkd3d.utils.signals import catch_stop

from .config_files import config_root

_running: set[subprocess.Popen] = set()
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
                process.send_signal(number)
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
    root, words = config_root().parent, list(map(str, arguments))
    env = dict(os.environ)
    env.setdefault('OMP_NUM_THREADS', str(max(1, (os.cpu_count() or 1) // jobs)))
    env['PYTHONPATH'] = os.pathsep.join(filter(None, [str(root), env.get('PYTHONPATH')]))
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, 'w') as file:
        with _starting:
            _check_stopped()
            print('$ ' + shlex.join(['python', f'tools/{tool}', *words]), flush=True)
            process = subprocess.Popen(
                [sys.executable, root / 'tools' / tool, *words],
                stdout=file,
                stderr=subprocess.STDOUT,
                env=env,
                pass_fds=[] if lock is None else [lock],
            )
            _running.add(process)
        try:
            code = process.wait()
        except BaseException:  # Ctrl-C; the tool passes this on to its own ones
            process.terminate()
            process.wait()
            raise
        finally:
            _running.discard(process)
    _check_stopped()
    if code:
        lines = log.read_text(errors='replace').strip().splitlines() or [f'exit code {code}']
        raise RuntimeError(f'{lines[-1]} (log: {log})')
