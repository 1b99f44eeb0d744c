"""Registries of mmkd3d: children of mmengine's roots, filled on first use.

Because every registry names its ``locations``, ``type='mmkd3d.X'`` resolves
in any mmengine config without ``custom_imports``.
"""

import difflib
import inspect
from collections.abc import Iterable
from typing import Any

from mmengine import registry as root
from mmengine.registry import Registry as _Registry


def nearest(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The most similar known word, if any is similar."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return found[0] if found else None


def arguments_of(kind: Any) -> tuple[set[str], bool]:
    """The arguments that a class or function takes by name.

    Where a class passes ``**kwargs`` on, those of its bases count, too.

    Returns:
        The names, and whether any other name is possible.
    """
    names: set[str] = set()
    inits = [kind]
    if inspect.isclass(kind):
        inits = [vars(base)['__init__'] for base in kind.__mro__[:-1] if '__init__' in vars(base)]
    for init in inits:
        try:
            parameters = inspect.signature(init).parameters.values()
        except ValueError:  # of C code
            break
        names |= {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            return names - {'self'}, False
    return names - {'self'}, True


class Registry(_Registry):
    """An mmengine registry that suggests names of types and arguments."""

    def build(self, cfg: dict, *args, **kwargs) -> Any:
        """Build as mmengine does.

        Raises:
            TypeError: An unknown argument; the message names the most similar
                one.
        """
        try:
            return super().build(cfg, *args, **kwargs)
        except TypeError as error:
            kind = cfg.get('type') if hasattr(cfg, 'get') else None
            if kind is None:
                raise
            names, anything = arguments_of(self.get(kind) if isinstance(kind, str) else kind)
            wrong = [word for word in cfg if word not in {*names, 'type', '_scope_'}]
            if anything or not wrong:
                raise
            near = nearest(wrong[0], names, cutoff=0.5)
            hint = f'did you mean {near}?' if near else f'expected {", ".join(sorted(names))}.'
            raise TypeError(f'{error}. {kind} has no argument {wrong[0]}: {hint}') from error

    def get(self, key: str):
        found = super().get(key)
        if found is None and '.' not in key:
            near = difflib.get_close_matches(key, self.module_dict, n=3)
            hint = f' Did you mean {", ".join(near)}?' if near else ''
            raise KeyError(
                f"'{key}' is not a {self.name} of mmkd3d or of its parents."
                f'{hint} A part of mmdetection3d is written with its scope: '
                f"type='mmdet3d.{key}'."
            )
        return found

    def __contains__(self, key: str) -> bool:
        return super().get(key) is not None


def _child(name: str, parent: _Registry, *locations: str) -> Registry:
    return Registry(
        name,
        parent=parent,
        scope='mmkd3d',
        locations=[f'mmkd3d.{location}' for location in locations],
    )


MODELS = _child('model', root.MODELS, 'models')
TASK_UTILS = _child('task util', root.TASK_UTILS, 'models')
DATASETS = _child('dataset', root.DATASETS, 'datasets')
TRANSFORMS = _child('transform', root.TRANSFORMS, 'datasets.transforms')
METRICS = _child('metric', root.METRICS, 'evaluation')
HOOKS = _child('hook', root.HOOKS, 'engine')
PARAM_SCHEDULERS = _child('parameter scheduler', root.PARAM_SCHEDULERS, 'engine')
OPTIM_WRAPPERS = _child('optimizer wrapper', root.OPTIM_WRAPPERS, 'engine')
OPTIM_WRAPPER_CONSTRUCTORS = _child(
    'optimizer wrapper constructor', root.OPTIM_WRAPPER_CONSTRUCTORS, 'engine'
)
STRATEGIES = _child('strategy', root.STRATEGIES, 'engine')
LOOPS = _child('loop', root.LOOPS, 'engine')
FUNCTIONS = _child('function', root.FUNCTIONS, 'engine')

# Register empty children too: mmengine warns for each that is missing. Without
# a location it would look for `mmkd3d.utils.register_all_modules`.
for _parent in (
    root.DATA_SAMPLERS,
    root.EVALUATOR,
    root.LOG_PROCESSORS,
    root.MODEL_WRAPPERS,
    root.OPTIMIZERS,
    root.RUNNERS,
    root.RUNNER_CONSTRUCTORS,
    root.VISBACKENDS,
    root.VISUALIZERS,
    root.WEIGHT_INITIALIZERS,
):
    _child(_parent.name, _parent, 'registry')
