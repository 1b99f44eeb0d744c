"""Load weights, ours and published ones, with an account of every key."""

import importlib

_LAZY = dict(
    InputSpec='input_spec',
    LoadReport='loading',
    SOURCES='sources',
    convert='sources',
    detect='sources',
    export_backbone='export',
    list_students='shipped',
    load_pretrained='loading',
    our_name='sources',
    published_name='sources',
    read_card='shipped',
    read_checkpoint='files',
    spec_of_config='input_spec',
    split_teacher='export',
    stage_of='loading',
    state_dict_of='files',
    stored_config='stored',
    stored_spec='stored',
    to_published='sources',
)

__all__ = list(_LAZY)


def __getattr__(name: str):
    if name in _LAZY:
        return getattr(importlib.import_module(f'{__name__}.{_LAZY[name]}'), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
