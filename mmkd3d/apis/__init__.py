"""What users call from Python, imported when it is used."""

import importlib

_LAZY = dict(
    Det3DInferencer='detect',
    FeatureExtractor='features',
    config_path='config_files',
    get_config='load',
    get_model='load',
    list_models='config_files',
    load_student='load',
)

__all__ = list(_LAZY)


def __getattr__(name: str):
    if name in _LAZY:
        return getattr(importlib.import_module(f'{__name__}.{_LAZY[name]}'), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
