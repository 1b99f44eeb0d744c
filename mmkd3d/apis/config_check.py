"""Find mistakes in a config before models are built and data are read."""

import inspect
import logging
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
from mmkd3d.apis.config_types import check_types, check_whole
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
    'strategy',
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
EVERYWHERE = {'type', '_scope_', '_delete_', 'priority', 'convert_to_iter_based'}
# Their classes in mmengine are checked as ours are.
STOCK = (roots.HOOKS, roots.DATA_SAMPLERS, roots.DATASETS, roots.METRICS, roots.EVALUATOR)
LOGGER = dict(interval=1)
LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')
# Keys of dicts that may have others, too.
KNOWN = dict(
    auto_scale_lr={'base_batch_size', 'enable'},
    env_cfg={'cudnn_benchmark', 'dist_cfg', 'mp_cfg', 'resource_limit'},
    metainfo={'classes', 'palette'},
    paramwise_cfg={
        'bias_decay_mult',
        'bias_lr_mult',
        'bypass_duplicate',
        'custom_keys',
        'dcn_offset_lr_mult',
        'dwconv_decay_mult',
        'flat_decay_mult',
        'layer_decay_rate',
        'norm_decay_mult',
    },
)
WRAPPER = {'optimizer', 'paramwise_cfg', 'constructor'}  # read by the builder of a wrapper
DICTS = ('optimizer', 'clip_grad', 'paramwise_cfg')


def check_config(cfg: Config) -> None:
    """Check the names and values of a config.

    Names at the top that resemble a key of the runner, names of arguments of
    data loaders, loops, optimizers and hooks, and of every module of ours;
    values of another type than these take; rates outside [0, 1], rates of optimizers and bounds of gradients that are
    negative, more patches than points.

    Args:
        cfg: A whole config, with the options of the command line.

    Raises:
        ValueError: A mistake; the message names the key.
    """
    top = {*inspect.signature(Runner).parameters, *TOP} - {'cfg'}
    _refuse_similar(set(cfg) - VARIABLES, top, '')
    _refuse_similar(cfg.get('default_hooks') or {}, HOOKS, 'default_hooks.')
    check_whole(
        (cfg.get('default_hooks') or {}).get('logger') or {}, 'default_hooks.logger', LOGGER
    )
    _check_runner(cfg)
    for split, loops in dict(
        train=(EpochBasedTrainLoop, IterBasedTrainLoop), val=(ValLoop,), test=(TestLoop,)
    ).items():
        _check_loader(cfg.get(f'{split}_dataloader') or {}, f'{split}_dataloader')
        _check_loop(cfg.get(f'{split}_cfg') or {}, loops, f'{split}_cfg')
    _check_optimizer(cfg.get('optim_wrapper') or {})
    scope = cfg.get('default_scope') or 'mmengine'
    for path, part in _parts({key: cfg[key] for key in cfg}, ''):
        known = KNOWN.get(path.rpartition('.')[2])
        if known:
            _refuse_similar(part, known, f'{path}.')
        check_whole(part, path)
        _check_empty(part, path)
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


def _check_runner(cfg: Config) -> None:
    """Check the settings of the runner itself."""
    for split, third in dict(
        train='optim_wrapper', val='val_evaluator', test='test_evaluator'
    ).items():
        parts = (f'{split}_dataloader', f'{split}_cfg', third)
        lacks = [key for key in parts if key in cfg and cfg[key] is None]
        if lacks and any(cfg.get(key) is not None for key in parts):
            raise ValueError(f'The config needs {", ".join(parts)} or none: {lacks[0]} is None.')
    if cfg.get('launcher', 'none') not in LAUNCHERS:
        raise ValueError(f'launcher must be one of {", ".join(LAUNCHERS)}, got {cfg.launcher!r}.')
    level = cfg.get('log_level', 'INFO')
    if not isinstance(level, int) and level not in logging._nameToLevel:
        raise ValueError(
            f'log_level must be one of {", ".join(logging._nameToLevel)}, got {level!r}.'
        )
    known = inspect.signature(Runner.set_randomness).parameters
    randomness = cfg.get('randomness') or {}
    _refuse_unknown(randomness, {*known} - {'self'}, 'randomness')
    if not isinstance(randomness.get('seed'), (int, type(None))):
        raise ValueError(f'randomness.seed must be a whole number, got {randomness["seed"]!r}.')
    if not isinstance(cfg.get('resume', False), bool):
        raise ValueError(f'resume must be True or False, got {cfg.resume!r}.')
    hooks = cfg.get('custom_hooks') or []
    for hook in hooks if isinstance(hooks, (list, tuple)) else []:
        if isinstance(hook, str):
            raise ValueError(f'custom_hooks must be a list of dict(type=...), got {hook!r} in it.')


def _check_loader(loader: Mapping, where: str) -> None:
    if not isinstance(loader, Mapping):
        return
    _refuse_unknown(loader, {*inspect.signature(DataLoader).parameters, *LOADER}, where)


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


def _check_optimizer(wrapper: Mapping) -> None:
    where = 'optim_wrapper'
    if not isinstance(wrapper, Mapping):
        return
    kind = _find(wrapper.get('type', 'OptimWrapper'), roots.OPTIM_WRAPPERS)
    if kind is not None and 'constructor' not in wrapper:
        names, anything = arguments_of(kind)
        if not anything:
            _refuse_unknown(wrapper, names | WRAPPER, where)
    for name in DICTS:
        if not isinstance(wrapper.get(name), (Mapping, type(None))):
            raise ValueError(f'{where}.{name} must be a dict, got {wrapper[name]!r}.')
    optimizer = wrapper.get('optimizer')
    if isinstance(optimizer, Mapping):
        kind = _find(optimizer.get('type'), roots.OPTIMIZERS)
        if kind is not None and not arguments_of(kind)[1]:
            _refuse_unknown(optimizer, arguments_of(kind)[0] - {'params'}, f'{where}.optimizer')
            check_types(optimizer, f'{where}.optimizer', kind)
        betas = optimizer.get('betas', ())
        if not all(isinstance(beta, (int, float)) and 0 <= beta < 1 for beta in betas):
            raise ValueError(f'{where}.optimizer.betas must be in [0, 1), got {betas}.')
        for name in ('lr', 'weight_decay', 'momentum', 'eps'):
            _check_number(optimizer, name, f'{where}.optimizer', above=False)
    clip = wrapper.get('clip_grad')
    if isinstance(clip, Mapping):
        _refuse_unknown(clip, CLIP, f'{where}.clip_grad')
        for name in ('max_norm', 'clip_value'):
            _check_number(clip, name, f'{where}.clip_grad', above=True)


def _check_number(part: Mapping, name: str, where: str, *, above: bool) -> None:
    """Refuse negative numbers, NaN and infinity, with ``above`` also 0."""
    value = part.get(name, 1)
    if not isinstance(value, (int, float)):
        raise ValueError(f'{where}.{name} must be a number, got {value!r}.')
    if not (math.isfinite(value) and (value > 0 if above else value >= 0)):
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
    """Check names and types of the arguments of a module of ours or of mmengine."""
    kind = part.get('type')
    if not isinstance(kind, str):
        return
    given, _, name = kind.rpartition('.')
    ours = (given or part.get('_scope_') or scope) == 'mmkd3d'
    for one in vars(registry).values() if ours else ():
        if not isinstance(one, registry.Registry):
            continue
        found = one.find(name)
        if found is not None and found.__module__.startswith('mmkd3d.'):
            names, anything = arguments_of(found)
            if one is registry.OPTIM_WRAPPERS:
                names |= WRAPPER
            known = names | EVERYWHERE
            for word in part:
                near = nearest(str(word), known)
                if word not in known and near:
                    raise ValueError(f'{path}.{word}: {name} has no {word}, did you mean {near}?')
            if not anything:
                _refuse_unknown(part, names, path)
            check_types(part, path, found)
            if isinstance(part.get('pipeline'), (list, tuple)) and not part['pipeline']:
                raise ValueError(f'{path}.pipeline is empty: add dict(type=...) of transforms.')
            return
    for root in STOCK if given in ('', 'mmengine') else ():
        found = root.module_dict.get(name)
        if found is not None and found.__module__.startswith('mmengine.'):
            names, anything = arguments_of(found)
            if not anything:
                _refuse_unknown(part, names, path)
            check_types(part, path, found)


def _check_empty(part: Mapping, path: str) -> None:
    """Refuse lists that leave no data."""
    for name in ('datasets', 'indices'):
        if isinstance(part.get(name), (list, tuple)) and not part[name]:
            raise ValueError(f'{path}.{name} is empty: leave it out, or fill it.')


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
