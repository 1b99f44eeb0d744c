"""Makes imports of ``mmcv._ext`` find our operators too.

Nothing of mmcv or torch is imported before somebody imports ``mmcv.ops``.
"""

import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

NAME = 'mmcv._ext'


class StandInLoader(Loader):
    """Loads :mod:`mmkd3d.ops.mmcv_ext` as ``mmcv._ext``."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        from mmkd3d.ops.mmcv_ext import make_stand_in

        return make_stand_in()

    def exec_module(self, module: ModuleType) -> None:
        from mmkd3d.ops.mmcv_ext import replace_wrappers

        replace_wrappers()


class CompiledLoader(Loader):
    """Loads the compiled ``mmcv._ext``, then wraps it.

    Args:
        loader: The loader that the compiled module has anyway.
    """

    def __init__(self, loader: Loader):
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self.loader.exec_module(module)
        from mmkd3d.ops.mmcv_ext import wrap_compiled

        wrap_compiled(module)


class Finder(MetaPathFinder):
    """Answers for ``mmcv._ext`` alone, compiled or not."""

    def find_spec(self, name, path=None, target=None) -> ModuleSpec | None:
        if name != NAME:
            return None
        for other in sys.meta_path:
            if other is self or not hasattr(other, 'find_spec'):
                continue
            spec = other.find_spec(name, path, target)
            if spec is not None:
                break
        else:
            return stand_in_spec()
        if not isinstance(spec.loader, StandInLoader):
            spec.loader = CompiledLoader(spec.loader)
        return spec


def stand_in_spec() -> ModuleSpec:
    """How to import our stand-in as ``mmcv._ext``."""
    return ModuleSpec(NAME, StandInLoader(), origin='mmkd3d.ops.mmcv_ext')


def watch_mmcv() -> None:
    """See to it that mmcv's operators fall back to ours from now on."""
    loaded = sys.modules.get(NAME)
    if loaded is None:
        if not any(isinstance(finder, Finder) for finder in sys.meta_path):
            sys.meta_path.insert(0, Finder())
    elif not isinstance(loaded.__spec__.loader, (StandInLoader, CompiledLoader)):
        from mmkd3d.ops.mmcv_ext import wrap_compiled

        wrap_compiled(loaded)
