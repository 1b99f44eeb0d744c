"""Find shipped configs and models by name."""

from difflib import get_close_matches
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


def shipped_configs() -> list[Path]:
    """Files of the shipped configs, without those to inherit from."""
    return sorted(path for path in config_root().rglob('*.py') if '_base_' not in path.parts)


def list_models(pattern: str = '*') -> list[str]:
    """Names of the shipped configs.

    Args:
        pattern: Wildcards, matched against the name: ``'point-mae*'``.
    """
    names = sorted(path.stem for path in shipped_configs())
    return [name for name in names if fnmatch(name, pattern)]


def config_path(name: str | Path) -> Path:
    """Path of a config.

    Args:
        name: A file, or the name of a shipped config, with or without its
            folder and ``.py``: ``'act_toy'``, ``'toy/act_toy.py'``.

    Raises:
        FileNotFoundError: There is no such file and no such config; the
            message lists similar names.
    """
    if Path(name).is_file():
        return Path(name)
    wanted = Path(name).as_posix().removesuffix('.py')
    for path in shipped_configs():
        if f'/{path.with_suffix("").as_posix()}'.endswith(f'/{wanted}'):
            return path
    similar = get_close_matches(wanted.split('/')[-1], list_models(), n=3, cutoff=0.5)
    hint = f'Did you mean {", ".join(similar)}? ' if similar else ''
    raise FileNotFoundError(
        f'No file and no shipped config {str(name)!r}. {hint}mmkd3d.list_models() lists all names.'
    )


def get_config(name: str | Path) -> Config:
    """Read a config, with its bases merged.

    Args:
        name: See :func:`config_path`.
    """
    return Config.fromfile(config_path(name))


def get_model(name: str | Path, *, checkpoint: str | None = None) -> nn.Module:
    """Build the model of a config.

    Args:
        name: See :func:`config_path`.
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
