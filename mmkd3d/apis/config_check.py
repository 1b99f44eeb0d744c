"""Find mistakes in a config before models are built and data are read."""

import inspect
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mmengine import registry as roots
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner, TestLoop, ValLoop
from torch.utils.data import DataLoader

from mmkd3d import registry
from mmkd3d.checkpoints import spec_of_config
from mmkd3d.registry import arguments_of, nearest

# Keys at the top of a config, beside the arguments of the runner. Any other
# name may be a variable of the config's author.
TOP = {
    'activation_checkpointing',
    'compile',
    'custom_imports',
    'efficient_conv_bn_eval',
    'find_unused_parameters',
    'input_spec',
    'model_wrapper_cfg',
    'runner_type',
    'sync_bn',
}
VARIABLES = {'eval_dataloader'}  # of mmdetection3d's own configs
HOOKS = {
    'checkpoint',
    'classes',
    'loaders',
    'logger',
    'param_scheduler',
    'runtime_info',
    'sampler_seed',
    'timer',
    'visualization',
}
LOADER = {'dataset', 'num_batch_per_epoch'}
CLIP = {'type', 'max_norm', 'norm_type', 'error_if_nonfinite', 'foreach', 'clip_value'}
RATE = re.compile(r'(.*_)?(drop(out|path|_path|_out)?|dropout_p)(_rate|_ratio|_prob)?')
EVERYWHERE = {'type', '_scope_', '_delete_'}


def check_config(cfg: Config) -> None:
    """Check the names and values of a config.

    Names at the top that resemble a key of the runner, names of arguments of
    data loaders, loops, optimizers and hooks, and of every module of ours;
    rates outside [0, 1], rates of optimizers and bounds of gradients that are
    negative, more patches than points.

    Args:
        cfg: A whole config, with the options of the command line.

    Raises:
        ValueError: A mistake; the message names the key.
    """
    top = {*inspect.signature(Runner).parameters, *TOP} - {'cfg'}
    _refuse_similar(set(cfg) - VARIABLES, top, '')
    _refuse_similar(cfg.get('default_hooks') or {}, HOOKS, 'default_hooks.')
    for split, loops in dict(
        train=(EpochBasedTrainLoop, IterBasedTrainLoop), val=(ValLoop,), test=(TestLoop,)
    ).items():
        _check_loader(cfg.get(f'{split}_dataloader') or {}, f'{split}_dataloader')
        _check_loop(cfg.get(f'{split}_cfg') or {}, loops, f'{split}_cfg')
    _check_optimizer(cfg.get('optim_wrapper') or {})
    scope = cfg.get('default_scope') or 'mmengine'
    for path, part in _parts({key: cfg[key] for key in cfg}, ''):
        _check_arguments(part, path, scope)
        _check_rates(part, path)
    _check_points(cfg)


def _parts(value: Any, path: str) -> Iterator[tuple[str, Mapping]]:
    """Every dict in a config and its path, the outer one first."""
    if isinstance(value, Mapping):
        yield path, value
        for key, inner in value.items():
            yield from _parts(inner, f'{path}.{key}' if path else str(key))
    elif isinstance(value, (list, tuple)):
        for number, inner in enumerate(value):
            yield from _parts(inner, f'{path}[{number}]')


def _refuse_similar(words: Iterable, known: set[str], where: str) -> None:
    """Refuse unknown words that resemble a known one."""
    for word in sorted(map(str, words)):
        found = nearest(word, known, cutoff=0.85)
        if word not in known and found:
            raise ValueError(f'The config has {where}{word}: did you mean {where}{found}?')


def _refuse_unknown(words: Iterable, known: set[str], where: str) -> None:
    """Refuse all words that are not known."""
    for word in words:
        if word not in known | EVERYWHERE:
            found = nearest(str(word), known)
            hint = f'did you mean {found}?' if found else f'expected {", ".join(sorted(known))}.'
            raise ValueError(f'{where}.{word} is not an argument: {hint}')


def _check_loader(loader: Mapping, where: str) -> None:
    if not isinstance(loader, Mapping):
        return
    _refuse_unknown(loader, {*inspect.signature(DataLoader).parameters, *LOADER}, where)
    for name, least in (('batch_size', 1), ('num_workers', 0)):
        value = loader.get(name)
        if isinstance(value, int) and value < least:
            raise ValueError(f'{where}.{name} must be {least} or more, got {value}.')


def _check_loop(loop: Mapping, classes: Iterable[type], where: str) -> None:
    if not isinstance(loop, Mapping):
        return
    kind = _find(loop.get('type'), roots.LOOPS)
    if 'type' in loop and kind is None:
        return  # of a project that is not imported yet
    known = {'by_epoch'}
    for one in [kind] if kind else classes:
        known |= arguments_of(one)[0]
    if not (kind and arguments_of(kind)[1]):
        _refuse_unknown(loop, known - {'runner', 'dataloader'}, where)
    for name in ('max_epochs', 'max_iters'):
        if isinstance(loop.get(name), int) and loop[name] < 1:
            raise ValueError(f'{where}.{name} must be 1 or more, got {loop[name]}.')


def _check_optimizer(wrapper: Mapping) -> None:
    where = 'optim_wrapper'
    if not isinstance(wrapper, Mapping):
        return
    kind = _find(wrapper.get('type', 'OptimWrapper'), roots.OPTIM_WRAPPERS)
    if kind is not None and 'constructor' not in wrapper:
        names, anything = arguments_of(kind)
        if not anything:
            _refuse_unknown(wrapper, {*names, 'optimizer', 'paramwise_cfg', 'constructor'}, where)
    optimizer = wrapper.get('optimizer')
    if isinstance(optimizer, Mapping):
        kind = _find(optimizer.get('type'), roots.OPTIMIZERS)
        if kind is not None and not arguments_of(kind)[1]:
            _refuse_unknown(optimizer, arguments_of(kind)[0] - {'params'}, f'{where}.optimizer')
        for name in ('lr', 'weight_decay', 'momentum', 'eps'):
            _check_number(optimizer, name, f'{where}.optimizer', above=False)
    clip = wrapper.get('clip_grad')
    if isinstance(clip, Mapping):
        _refuse_unknown(clip, CLIP, f'{where}.clip_grad')
        for name in ('max_norm', 'clip_value'):
            _check_number(clip, name, f'{where}.clip_grad', above=True)


def _check_number(part: Mapping, name: str, where: str, *, above: bool) -> None:
    """Refuse negative numbers, NaN and infinity, with ``above`` also 0."""
    value = part.get(name)
    if isinstance(value, (int, float)) and not (
        math.isfinite(value) and (value > 0 if above else value >= 0)
    ):
        wanted = 'positive' if above else '0 or more'
        raise ValueError(f'{where}.{name} must be {wanted}, got {value}.')


def _find(kind: Any, root: roots.Registry) -> Any:
    """The class of a type in a config, None if it is not known."""
    if not isinstance(kind, str):
        return kind
    try:
        with DefaultScope.overwrite_default_scope('mmkd3d'):
            with root.switch_scope_and_registry(None) as own:
                return own.get(kind)
    except (ImportError, KeyError):
        return None


def _check_arguments(part: Mapping, path: str, scope: str) -> None:
    """Refuse arguments that no module of ours of this type takes."""
    kind = part.get('type')
    if not isinstance(kind, str):
        return
    given, _, name = kind.rpartition('.')
    if (given or part.get('_scope_') or scope) != 'mmkd3d':
        return
    for one in vars(registry).values():
        if not isinstance(one, registry.Registry):
            continue
        one.import_from_location()
        found = one.module_dict.get(name)
        if found is not None and found.__module__.startswith('mmkd3d.'):
            known = arguments_of(found)[0] | EVERYWHERE | {'priority'}
            for word in part:
                near = nearest(str(word), known)
                if word not in known and near:
                    raise ValueError(f'{path}.{word}: {name} has no {word}, did you mean {near}?')


def _check_rates(part: Mapping, path: str) -> None:
    """Refuse rates of dropout outside [0, 1], and of stochastic depth outside [0, 1)."""
    for name, value in part.items():
        if not RATE.fullmatch(str(name)):
            continue
        for one in value if isinstance(value, (list, tuple)) else [value]:
            depth = 'path' in name
            if isinstance(one, (int, float)) and not (0 <= one < 1 or (one == 1 and not depth)):
                allowed = '[0, 1)' if depth else '[0, 1]'
                raise ValueError(f'{path}.{name} must be in {allowed}, got {one}.')


def _check_points(cfg: Config) -> None:
    """Refuse more patches than a cloud has points."""
    points = spec_of_config(cfg).points
    backbone = (cfg.get('model') or {}).get('backbone') or {}
    for name in ('num_groups', 'group_size', 'group_sizes'):
        value = backbone.get(name)
        most = max(value[:1], default=0) if isinstance(value, (list, tuple)) else value
        if isinstance(points, int) and isinstance(most, int) and most > points:
            raise ValueError(
                f'model.backbone.{name} is {value}, but a cloud has {points} points: lower it, or '
                'raise the number of points of the data set.'
            )
