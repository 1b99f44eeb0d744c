"""What a checkpoint is, and the lines of a config that use it."""

from pathlib import Path
from typing import Any

from mmkd3d.checkpoints import SOURCES, read_checkpoint, state_dict_of, stored_spec
from mmkd3d.checkpoints.shipped import list_students, read_card
from mmkd3d.checkpoints.sources import detect
from mmkd3d.checkpoints.weights import find_weights

from .load import find_config


def describe(name: str | Path) -> str:
    """A checkpoint in words, with a backbone and a neck to paste into a config.

    Published weights that are not on this machine are described from the table alone.

    Args:
        name: A name with weights (``mmkd3d.list_models(pretrained=True)``), or a file.

    Raises:
        FileNotFoundError: There is no such checkpoint.
        ValueError: The file is damaged or no checkpoint.
    """
    published = find_weights(str(name))
    if published:
        fields = (
            'name',
            'method',
            'made_by',
            'page',
            'url',
            'task',
            'data',
            'metric',
            'config',
            'note',
        )
        lines = [f'{key}: {value}' for key in fields if (value := getattr(published, key))]
        here = published.path if published.path.is_file() else 'not downloaded yet'
        lines += [f'licence: {published.licence or "not stated"}', f'file: {here}']
        model = find_config(None, None, name).get('model', {})
        return '\n'.join(lines + paste(published.name, model))
    card = read_card(str(name)).splitlines() if str(name) in list_students() else []
    content = read_checkpoint(name)
    state = state_dict_of(content, name)
    source = detect(state)
    numbers = sum(value.numel() for value in state.values())
    lines = [f'file: {len(state)} tensors, {numbers / 1e6:.1f} M numbers']
    if source:
        lines.append(f'published keys: {source}, one of {", ".join(SOURCES)}')
    spec = {k: v for k, v in stored_spec(content)._asdict().items() if v is not None}
    lines.append(f'input: {spec or "not stored"}')
    try:
        model = find_config(None, content, name).get('model', {})
    except ValueError as error:
        return '\n'.join([*card, *lines, f'config: {error}'])
    return '\n'.join([*card, *lines, *paste(str(name), model)])


def paste(name: str, model: Any) -> list[str]:
    """Lines for the config of a detector or of another model."""
    student = model.get('backbone', {})
    kind = student.get('type', '').split('.')[-1]
    if kind == 'PointTransformer':
        width, groups, more = student.get('embed_dims', 384), 1024, ''
    elif kind == 'PointM2AE':
        width, groups = tuple(student.get('level_dims', (96, 192, 384))), (2048, 1024, 256)
        more = ', num_levels=3'
    else:
        return [f'student: {kind or model.get("type", "unknown")}']
    return [
        f'student: {kind}',
        '',
        'In a config of mmdetection3d:',
        '',
        'backbone=dict(',
        '    _delete_=True,',
        "    type='mmkd3d.Student',",
        f'    pretrained={name!r},',
        f'    num_groups={groups},',
        "    fps_rule='mmcv',",
        "    pos_scale='scene'),",
        f"neck=dict(type='mmkd3d.TokensToSeeds', in_channels={width}{more})",
    ]
