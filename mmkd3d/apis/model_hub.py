"""Find shipped configs and models by name."""

from fnmatch import fnmatch
from pathlib import Path

import torch.nn as nn
from mmengine.config import Config
from mmengine.registry import init_default_scope

PACKAGE = Path(__file__).resolve().parents[1]


def config_root() -> Path:
    """Folder of the shipped configs: the checkout's, or the wheel's.

    Raises:
        FileNotFoundError: The installation carries no configs.
    """
    for folder in (PACKAGE.parent / 'configs', PACKAGE / '.mim' / 'configs'):
        if (folder / '_base_' / 'default_runtime.py').is_file():
            return folder
    raise FileNotFoundError(
        f'No configs beside {PACKAGE} nor in {PACKAGE / ".mim"}: the '
        'installation is incomplete, install mmkd3d again.'
    )


def list_models(pattern: str = '*') -> list[str]:
    """Names of the shipped configs, those without an underscore folder.

    Args:
        pattern: Wildcards, matched against the name: ``'point-mae*'``.
    """
    names = (path.stem for path in config_root().rglob('*.py') if '_base_' not in path.parts)
    return sorted(name for name in names if fnmatch(name, pattern))


def config_path(name: str) -> Path:
    """Path of a shipped config, by its file name without ``.py``."""
    found = [path for path in config_root().rglob(f'{name}.py') if '_base_' not in path.parts]
    if not found:
        raise FileNotFoundError(
            f'No shipped config is called {name!r}; mmkd3d.list_models() lists them.'
        )
    return found[0]


def get_config(name: str) -> Config:
    """A shipped config, with its bases merged."""
    return Config.fromfile(config_path(name))


def get_model(name: str, *, checkpoint: str | None = None) -> nn.Module:
    """Build the model of a shipped config.

    Args:
        name: See :func:`list_models`.
        checkpoint: Weights of the whole model, from our training.

    Returns:
        The model in eval mode, on the CPU.
    """
    from mmkd3d.checkpoints import load_pretrained
    from mmkd3d.registry import MODELS

    config = get_config(name)
    init_default_scope(config.get('default_scope', 'mmkd3d'))
    model = MODELS.build(config.model)
    if checkpoint is not None:
        load_pretrained(model, checkpoint, prefix='')
    return model.eval()
