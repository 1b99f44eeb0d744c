"""Registries of mmkd3d: children of mmengine's roots.

``type='mmkd3d.X'`` resolves in any mmengine config without ``custom_imports``:
the module that registers ``X`` is imported when ``X`` is asked for, others are not.
"""

import difflib
import importlib
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from mmengine import registry as root
from mmengine.registry import Registry as _Registry

from mmkd3d.utils.discovery import registered_modules


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
    """An mmengine registry that suggests names of types and arguments.

    Args:
        modules: Name -> module that registers it.
        kwargs: Of mmengine's.
    """

    def __init__(self, *args, modules: Mapping[str, str], **kwargs):
        super().__init__(*args, **kwargs)
        self.modules = modules

    @property
    def names(self) -> list[str]:
        """All names, also of modules that are not imported yet."""
        return [*{**self.modules, **self.module_dict}]

    def find(self, name: str) -> Any:
        """What is registered here under a name without a scope; None: nothing."""
        if name not in self.module_dict and name in self.modules:
            importlib.import_module(self.modules[name])
        return self.module_dict.get(name)

    def _register_module(self, module, module_name=None, force=False) -> None:
        """Register, after what mmkd3d has under the same name: so ``force=True`` replaces it."""
        names = [module_name] if isinstance(module_name, str) else module_name
        for name in names or [module.__name__]:
            if self.modules.get(name, module.__module__) != module.__module__:
                self.find(name)
        super()._register_module(module, module_name, force)

    def import_from_location(self) -> None:
        """Do nothing: :meth:`find` imports what is needed."""

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
        found = self._find_anywhere(key)
        if found is None and '.' not in key:
            near = difflib.get_close_matches(key, self.names, n=3)
            hint = f' Did you mean {", ".join(near)}?' if near else ''
            raise KeyError(
                f"'{key}' is not a {self.name} of mmkd3d or of its parents."
                f'{hint} A part of mmdetection3d is written with its scope: '
                f"type='mmdet3d.{key}'."
            )
        return found

    def __contains__(self, key: str) -> bool:
        return self._find_anywhere(key) is not None

    def _find_anywhere(self, key: str) -> Any:
        scope, name = self.split_scope_key(key)
        if scope in (None, self.scope):
            self.find(name)
        return super().get(key)


def _child(registry: str) -> Registry:
    parent = getattr(root, registry)
    modules = registered_modules().get(registry, {})
    return Registry(parent.name, parent=parent, scope='mmkd3d', modules=modules)


MODELS = _child('MODELS')
TASK_UTILS = _child('TASK_UTILS')
DATASETS = _child('DATASETS')
TRANSFORMS = _child('TRANSFORMS')
METRICS = _child('METRICS')
HOOKS = _child('HOOKS')
PARAM_SCHEDULERS = _child('PARAM_SCHEDULERS')
OPTIM_WRAPPERS = _child('OPTIM_WRAPPERS')
OPTIM_WRAPPER_CONSTRUCTORS = _child('OPTIM_WRAPPER_CONSTRUCTORS')
STRATEGIES = _child('STRATEGIES')
LOOPS = _child('LOOPS')
FUNCTIONS = _child('FUNCTIONS')

# Register empty children too: mmengine warns for each that is missing.
for _name in (
    'DATA_SAMPLERS',
    'EVALUATOR',
    'LOG_PROCESSORS',
    'MODEL_WRAPPERS',
    'OPTIMIZERS',
    'RUNNERS',
    'RUNNER_CONSTRUCTORS',
    'VISBACKENDS',
    'VISUALIZERS',
    'WEIGHT_INITIALIZERS',
):
    _child(_name)
