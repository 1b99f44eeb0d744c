"""Extend torch, mmengine, mmcv and mmdet3d on ``import mmkd3d``.

Each addition runs right after its module is imported, or at once if it is
loaded already, so that ``import mmkd3d`` itself imports none of them.
"""

import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType

STAND_IN = 'mmkd3d.ops.mmcv_ext'  # origin of `mmcv._ext` where it is ours
# Booleans, integers, floats and strings: metrics, palettes and class names
# are made of these. No objects.
_DTYPE_CODES = '?bBhHiIlLqQefdU'


def _history_statistic(owner: type, name: str):
    """Replace ``getattr`` where a checkpoint asks for it.

    A pickled ``HistoryBuffer`` holds its methods as ``getattr(HistoryBuffer,
    'mean')``. Allowing ``getattr`` itself would allow far more than that.
    """
    import pickle

    from mmengine.logging import HistoryBuffer

    if owner is not HistoryBuffer or name.startswith('_'):
        raise pickle.UnpicklingError(
            f'refusing getattr({owner!r}, {name!r}) in a checkpoint; only '
            'statistics of mmengine.logging.HistoryBuffer are expected'
        )
    return getattr(owner, name)


def allow_mmengine_checkpoints() -> None:
    """Let ``torch.load`` read the checkpoints of mmengine's Runner.

    Since torch 2.6, ``torch.load`` builds only objects of types known to be
    safe. A checkpoint of mmengine holds its log history and numpy scalars, so
    that mmengine 0.10.7 can neither resume from nor test its own files. This
    adds these few types and keeps the safe mode for everything else.

    Does nothing where torch is not loaded, or where torch, numpy or mmengine
    are broken: ``python -m mmkd3d.doctor`` reports the error then.
    """
    if 'torch' not in sys.modules:
        return
    try:
        import numpy as np
        import torch
        from mmengine.config import ConfigDict
        from mmengine.logging import HistoryBuffer
    except Exception:
        return
    if tuple(map(int, torch.__version__.split('.')[:2])) < (2, 6):
        return  # neither restricted, nor able to take names with the types

    # numpy 2 moved numpy.core to numpy._core; files written with either name
    # open. Reading the functions off an array avoids the deprecated name.
    moved = (np.empty(0).__reduce__()[0], np.float64(0).__reduce__()[0])
    torch.serialization.add_safe_globals(
        [
            HistoryBuffer,
            ConfigDict,  # in the metainfo of mmdet3d's segmentation data sets
            (_history_statistic, 'builtins.getattr'),
            np.ndarray,
            np.dtype,
            *{type(np.dtype(code)) for code in _DTYPE_CODES},
            *(
                (function, f'numpy.{core}.multiarray.{function.__name__}')
                for function in moved
                for core in ('core', '_core')
            ),
        ]
    )


def register_configs() -> None:
    """Let ``_base_ = 'mmkd3d::...'`` work in configs, as ``'mmdet3d::...'`` does.

    mmengine searches for ``.mim`` in the folder of the distribution that it is
    given; for an editable install that is ``site-packages``, without any. With
    a module that is no distribution it takes the folder of the module's file.
    """
    from mmengine.config.utils import MODULE2PACKAGE

    MODULE2PACKAGE['mmkd3d'] = 'mmkd3d.registry'


def after_torch(torch: ModuleType) -> None:
    allow_mmengine_checkpoints()


def after_mmengine_config(config: ModuleType) -> None:
    register_configs()
    allow_mmengine_checkpoints()


def after_mmcv_ext(compiled: ModuleType) -> None:
    from mmkd3d.ops.mmcv_ext import wrap_compiled

    wrap_compiled(compiled)


def after_mmdet3d_dataset(module: ModuleType) -> None:
    from mmkd3d.datasets.stock import explain

    explain(getattr(module, 'Det3DDataset', None) or module.Seg3DDataset)


def after_mmdet3d_set_abstraction(module: ModuleType) -> None:
    from mmkd3d.ops.set_abstraction import abstract

    abstract(module.BasePointSAModule)


HOOKS: dict[str, Callable[[ModuleType], None]] = {
    'torch': after_torch,
    'mmengine.config': after_mmengine_config,
    'mmcv._ext': after_mmcv_ext,
    'mmdet3d.models.layers.pointnet_modules.point_sa_module': after_mmdet3d_set_abstraction,
    'mmdet3d.datasets.det3d_dataset': after_mmdet3d_dataset,
    'mmdet3d.datasets.seg3d_dataset': after_mmdet3d_dataset,
}


class HookedLoader:
    """Load a module with its own loader, then run its hook."""

    def __init__(self, loader, hook: Callable[[ModuleType], None]):
        self.loader, self.hook = loader, hook

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # nothing is left to see of this class
        module.__loader__ = module.__spec__.loader = self.loader
        self.loader.exec_module(module)
        self.hook(module)


class StandInLoader:
    """Load :mod:`mmkd3d.ops.mmcv_ext` as ``mmcv._ext``."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        from mmkd3d.ops.mmcv_ext import make_stand_in

        return make_stand_in()

    def exec_module(self, module: ModuleType) -> None:
        from mmkd3d.ops.mmcv_ext import replace_wrappers

        replace_wrappers()


class Finder:
    """Add the hooks to what the other finders find."""

    def find_spec(self, name, path=None, target=None) -> ModuleSpec | None:
        if name not in HOOKS:
            return None
        for other in sys.meta_path:
            if other is self or not hasattr(other, 'find_spec'):
                continue
            spec = other.find_spec(name, path, target)
            if spec is not None:
                spec.loader = HookedLoader(spec.loader, HOOKS[name])
                return spec
        if name == 'mmcv._ext':
            return ModuleSpec(name, StandInLoader(), origin=STAND_IN)
        return None


def install() -> None:
    """Run the hooks of modules that are loaded, and those of others later."""
    if any(isinstance(finder, Finder) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, Finder())
    for name, hook in HOOKS.items():
        if sys.modules.get(name) is not None:
            hook(sys.modules[name])
