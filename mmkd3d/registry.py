"""Registries of mmkd3d: children of mmengine's roots, filled on first use.

Because every registry names its ``locations``, ``type='mmkd3d.X'`` resolves
in any mmengine config without ``custom_imports``.
"""

import difflib

from mmengine import registry as root
from mmengine.registry import Registry as _Registry


class Registry(_Registry):
    """An mmengine registry that suggests names when one is not found."""

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
