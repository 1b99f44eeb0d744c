"""What a checkpoint says about the training that it comes from."""

import ast
from typing import Any

from mmengine.config import Config, ConfigDict

from .files import state_dict_of
from .input_spec import InputSpec, spec_of_config
from .sources import SOURCES, detect


def stored_config(checkpoint: dict) -> Config | None:
    """The config that a model was trained with.

    The text in ``meta['cfg']`` is read, not run: a checkpoint is data.

    Args:
        checkpoint: As :func:`read_checkpoint` returns it.

    Returns:
        The whole config, or what :func:`export_backbone` keeps of it:
        ``model`` with the ``backbone``; None if the file carries none.

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
    """What the student in a checkpoint was trained on.

    Older files of ours carry a config and no spec; what published files
    were trained on is known by their kind.

    Args:
        checkpoint: As :func:`read_checkpoint` returns it.
        config: What fills in what the file does not say.
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
    """The value of a literal, with ``dict(...)`` as mmengine writes it.

    ``ValueError`` for anything else.
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
