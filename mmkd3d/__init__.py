"""Point-cloud backbones pretrained by image and language teachers, for mmdetection3d."""

from . import import_hooks
from .version import __version__

_LAZY = dict(
    Det3DInferencer='mmkd3d.apis.detect',
    FeatureExtractor='mmkd3d.apis.features',
    config_path='mmkd3d.apis.config_files',
    export_backbone='mmkd3d.checkpoints',
    from_pretrained='mmkd3d.apis.hub',
    get_config='mmkd3d.apis.load',
    get_model='mmkd3d.apis.load',
    list_models='mmkd3d.apis.config_files',
    list_students='mmkd3d.checkpoints',
    load_pretrained='mmkd3d.checkpoints',
    load_student='mmkd3d.apis.load',
    save_pretrained='mmkd3d.apis.hub',
)

__all__ = ['__version__', *_LAZY]


def __getattr__(name: str):
    if name in _LAZY:
        import importlib

        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


import_hooks.install()
