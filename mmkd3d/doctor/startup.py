"""The optional start-up file: ``import mmkd3d`` whenever Python starts.

mmdetection3d's own ``tools/train.py`` imports ``mmcv.ops`` before it reads a
config, so that ``custom_imports`` comes too late where mmcv has no compiled
operators. A line in ``site-packages`` imports mmkd3d first (about 10 ms; torch
and mmcv are not imported). Nothing else needs it.
"""

import importlib.util
import sysconfig
from pathlib import Path

from mmkd3d.import_hooks import STAND_IN

NAME = 'mmkd3d_startup.pth'
# It runs at every start of Python, also after mmkd3d is uninstalled: no error
# may reach the user's program.
LINE = 'import sys; exec("try:\\n import mmkd3d\\nexcept Exception:\\n pass")\n'


def startup_file() -> Path:
    """Path of the file in this environment, whether it exists or not."""
    return Path(sysconfig.get_path('purelib'), NAME)


def has_compiled_ops() -> bool:
    """Whether mmcv brings its own ``mmcv._ext``. Imports mmcv.

    Raises:
        ImportError: mmcv is not installed, or broken.
    """
    spec = importlib.util.find_spec('mmcv._ext')
    return spec is not None and spec.origin != STAND_IN


def install_startup() -> str:
    """Write the start-up file, only where mmcv has no compiled operators.

    Returns:
        A line that says what was done.
    """
    try:
        if has_compiled_ops():
            return 'mmcv has compiled operators here: no start-up file is needed, none is written.'
    except ImportError as error:
        return f'mmcv cannot be imported ({error}): install mmcv-lite first. Nothing is written.'
    path = startup_file()
    path.write_text(LINE)
    return f'{path} imports mmkd3d whenever Python starts. To remove it: --remove-startup.'


def remove_startup() -> str:
    """Remove the start-up file.

    Returns:
        A line that says what was done.
    """
    path = startup_file()
    if not path.exists():
        return f'There is no {path}.'
    path.unlink()
    return f'{path} is removed.'
