"""Run the tools as subprocesses."""

import fcntl
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .load import config_root


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
    """
    root, words = config_root().parent, list(map(str, arguments))
    env = dict(os.environ)
    env.setdefault('OMP_NUM_THREADS', str(max(1, (os.cpu_count() or 1) // jobs)))
    env['PYTHONPATH'] = os.pathsep.join(filter(None, [str(root), env.get('PYTHONPATH')]))
    print('$ ' + shlex.join(['python', f'tools/{tool}', *words]), flush=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, 'w') as file:
        code = subprocess.run(
            [sys.executable, root / 'tools' / tool, *words],
            stdout=file,
            stderr=subprocess.STDOUT,
            env=env,
            pass_fds=[] if lock is None else [lock],
        ).returncode
    if code:
        lines = log.read_text(errors='replace').strip().splitlines() or [f'exit code {code}']
        raise RuntimeError(f'{lines[-1]} (log: {log})')
