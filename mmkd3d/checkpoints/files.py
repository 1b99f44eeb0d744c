"""Checkpoint files: read them safely, find weights, config and input spec."""

import ast
import pickle
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, ConfigDict

from .input_spec import InputSpec, spec_of_config
from .sources import SOURCES, detect

STATE_KEYS = ('state_dict', 'base_model', 'model_state_dict', 'model')


def read_checkpoint(path: str | Path, *, trust: bool = False) -> dict:
    """Read a checkpoint to the CPU.

    Args:
        path: ``.pth``, ``.pt`` or ``.safetensors``.
        trust: Unpickle whatever is in the file. A pickle can run any code:
            only for files whose author you trust.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged, or it holds more than tensors and
            plain data and ``trust`` is False.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'No checkpoint at {path}.')
    if path.suffix == '.safetensors':
        from safetensors.torch import load_file

        return load_file(path)
    try:
        return torch.load(path, map_location='cpu', weights_only=not trust)
    except pickle.UnpicklingError as error:
        reason = str(error).split('\n')
        found = next((x.strip() for x in reason if 'GLOBAL' in x), reason[0])
        raise ValueError(
            f'{path} holds more than tensors and plain data: {found} If you '
            'trust where the file comes from, pass trust=True '
            '(--trust-checkpoint on the command line).'
        ) from error
    except (EOFError, RuntimeError) as error:
        raise ValueError(
            f'{path} cannot be read ({error}); {path.stat().st_size} bytes. '
            'The download or the write was probably cut off: get it again.'
        ) from error


def state_dict_of(checkpoint: dict) -> dict:
    """The weights in a checkpoint, without the ``module.`` of DataParallel.

    Raises:
        ValueError: There are none.
    """
    for key in STATE_KEYS:
        if isinstance(checkpoint.get(key), dict):
            checkpoint = checkpoint[key]
            break
    state = {k: v for k, v in checkpoint.items() if torch.is_tensor(v)}
    if not state:
        raise ValueError(
            'The checkpoint holds no tensors, neither at its top level nor '
            f'under {", ".join(STATE_KEYS)}; its keys are '
            f'{", ".join(map(str, list(checkpoint)[:10]))}.'
        )
    return {k.removeprefix('module.'): v for k, v in state.items()}


def stored_config(checkpoint: dict) -> Config | None:
    """The config in a checkpoint.

    The text in ``meta['cfg']`` is parsed, not run: a checkpoint is data.

    Args:
        checkpoint: See :func:`read_checkpoint`.

    Returns:
        The whole config; the part that :func:`export_backbone` keeps,
        ``model`` with the ``backbone``; or None.

    Raises:
        ValueError: The text is more than assignments of plain values.
    """
    meta = checkpoint.get('meta')
    if not isinstance(meta, dict):
        return None
    text = meta.get('cfg')
    if isinstance(text, dict):
        return Config(ConfigDict(text))
    if text is None:
        backbone = meta.get('backbone')
        return backbone and Config(dict(model=dict(backbone=backbone)))
    settings = {}
    try:
        for line in ast.parse(text).body:
            (target,), value = line.targets, line.value
            settings[target.id] = plain(value)
    except (AttributeError, SyntaxError, TypeError, ValueError) as error:
        raise ValueError(
            "The text in the checkpoint's meta['cfg'] is more than "
            f'assignments of plain values ({error}). Name the config: a file, '
            'or one of mmkd3d.list_models().'
        ) from error
    return Config(settings)


def stored_spec(checkpoint: dict, config: Config | None = None) -> InputSpec:
    """The input spec in a checkpoint.

    Older files of ours have a config instead; the specs of published files
    are known from their key maps.

    Args:
        checkpoint: See :func:`read_checkpoint`.
        config: Fills in fields that the file does not tell.
    """
    meta = checkpoint.get('meta')
    meta = meta if isinstance(meta, dict) else {}
    source = meta.get('source') or detect(state_dict_of(checkpoint))
    if 'input_spec' in meta:
        known = {k: meta['input_spec'].get(k) for k in InputSpec._fields}
        spec = InputSpec(**known)
    elif source in SOURCES:
        spec = SOURCES[source].input_spec
    else:
        try:
            cfg = stored_config(checkpoint)
        except ValueError:
            cfg = None
        spec = spec_of_config(cfg) if cfg else InputSpec()
    return spec.filled(spec_of_config(config)) if config else spec


def plain(node: ast.AST) -> Any:
    """The value of a literal or of ``dict(...)``, as mmengine writes it.

    Raises:
        ValueError: Anything else.
    """
    if isinstance(node, ast.Call):
        named = isinstance(node.func, ast.Name) and node.func.id == 'dict'
        if not named:
            raise ValueError(f'{ast.unparse(node)[:60]!r} in line {node.lineno}')
        words = {word.arg: plain(word.value) for word in node.keywords}
        return dict(*map(plain, node.args), **words)
    if isinstance(node, ast.Dict):
        return {plain(key): plain(value) for key, value in zip(node.keys, node.values)}
    for kind, make in ((ast.List, list), (ast.Tuple, tuple), (ast.Set, set)):
        if isinstance(node, kind):
            return make(plain(item) for item in node.elts)
    return ast.literal_eval(node)
