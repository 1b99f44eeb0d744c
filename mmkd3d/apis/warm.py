"""The process from which :func:`~mmkd3d.apis.jobs.run_tool` forks tools, and its forks."""

import atexit
import gc
import importlib
import multiprocessing
import os
import runpy
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmkd3d.utils.discovery import registered_modules
from mmkd3d.utils.signals import STOP_SIGNALS

PACKAGES = (
    'torch._dynamo',
    'mmengine.runner',
    'mmdet3d.datasets',
    'mmdet3d.evaluation',
    'mmdet3d.models',
    'mmdet3d.visualization',
    'matplotlib.backends.backend_agg',
    'torch.utils.tensorboard',
)


_handlers: dict[int, Any] = {}  # of signals, in the tools
_is_warm = False


def ignore_stop() -> None:
    """Let the process that is forked outlive the tools.

    A cluster sends signals to all processes of a job.
    """
    _handlers.update({number: signal.signal(number, signal.SIG_IGN) for number in STOP_SIGNALS})


def prepare() -> None:
    """Import what most tools need, once, in the process that is forked.

    Only on Linux without a GPU: elsewhere system libraries may not survive a
    fork, and CUDA does not, which starts as soon as mmengine looks for a GPU.
    """
    global _is_warm
    if sys.platform != 'linux':
        return
    import torch

    if torch.cuda.is_available():
        return
    own = {name for modules in registered_modules().values() for name in modules.values()}
    for name in (*PACKAGES, *sorted(own)):
        try:
            importlib.import_module(name)
        except Exception:  # a tool that needs it reports the error
            pass
    gc.collect()
    gc.freeze()  # memory stays shared with the forks
    _is_warm = True


def run(
    tool: Path, words: Sequence[str], log: Path, env: Mapping[str, str], folder: str, lock: Any
) -> None:
    """Run a tool in a fork of this process, as ``python TOOL`` would.

    Args:
        tool: Path of the script.
        words: Its arguments.
        log: File to which stdout and stderr are appended.
        env: All environment variables.
        folder: Working directory.
        lock: Of a file descriptor to keep open, from ``multiprocessing.reduction``; or None.
    """
    descriptor = lock and lock.detach()
    with open(log, 'ab') as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    for number, handler in _handlers.items():
        signal.signal(number, handler)
    if not _is_warm:
        if descriptor is not None:
            os.set_inheritable(descriptor, True)
        os.execv(sys.executable, [sys.executable, str(tool), *words])
    import numpy as np
    import torch

    multiprocessing.set_start_method(None, force=True)  # it was forkserver
    np.random.seed()  # as in a new process, not the state of this one
    torch.seed()
    if env['OMP_NUM_THREADS'].isdecimal():
        torch.set_num_threads(int(env['OMP_NUM_THREADS']))
    sys.argv = [str(tool), *words]
    sys.path.insert(0, str(tool.parent))
    try:
        runpy.run_path(str(tool), run_name='__main__')
    finally:
        atexit._run_exitfuncs()  # multiprocessing does so from Python 3.13 on
