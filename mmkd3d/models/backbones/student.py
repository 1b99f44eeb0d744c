"""A pretrained student as a backbone, by its name."""

from collections.abc import Mapping
from typing import Any

import torch.nn as nn

from mmkd3d.registry import MODELS


@MODELS.register_module(name='Student')
def student(pretrained: str, **changes: Any) -> nn.Module:
    """Build the student of a checkpoint; ``init_weights`` loads it.

    ``backbone=dict(type='mmkd3d.Student', pretrained='joint-mini', num_groups=256,
    fps_rule='mmcv', pos_scale='scene')`` in a config of mmdetection3d needs no sizes: they
    come with the weights.

    Args:
        pretrained: A name with weights (``mmkd3d.list_models(pretrained=True)``), or a file
            of ours.
        changes: Arguments of the student that differ from its pretraining.

    Raises:
        FileNotFoundError: There is no such checkpoint, or it cannot be downloaded.
        ValueError: The changes do not fit the weights, or the file has no config.
    """
    from mmkd3d.checkpoints import read_checkpoint
    from mmkd3d.checkpoints.loading import our_state

    content = read_checkpoint(pretrained)
    stored = stored_student(pretrained, content)
    init_cfg = dict(type='Pretrained', checkpoint=str(pretrained))
    if changes.get('with_cls_token') is False:
        init_cfg['allow_unexpected'] = ['cls_']
    model = MODELS.build({**stored, **changes, 'init_cfg': init_cfg})
    state, _ = our_state(content, pretrained)
    shapes = {key.removeprefix('backbone.'): value.shape for key, value in state.items()}
    wrong = [k for k, v in model.state_dict().items() if shapes.get(k, v.shape) != v.shape]
    if wrong:
        known = {key: stored[key] for key in changes if key in stored}
        raise ValueError(
            f'The weights {pretrained} do not fit {changes}, for example {wrong[0]}. Their student '
            f'has {known}: leave out what decides the sizes of weights, it comes with them.'
        )
    return model


def stored_student(name: str, content: dict | None = None) -> dict:
    """Config of the student of a checkpoint; ``content`` is that of its file, if it was read."""
    from mmkd3d.apis.load import find_config

    found = find_config(None, content, name).model.backbone.to_dict()
    if '.' not in found['type']:  # whatever the scope of the config is
        found['type'] = f'mmkd3d.{found["type"]}'
    return found


def without_name(cfg: Mapping) -> Mapping:
    """A backbone's config with the type and the sizes in place of a name with weights.

    Only of names: nothing is downloaded, and no other file is read. Other configs are
    returned as they are.
    """
    from mmkd3d.apis.load import has_weights
    from mmkd3d.checkpoints import read_checkpoint
    from mmkd3d.checkpoints.weights import find_weights

    name = cfg.get('pretrained')
    if not (isinstance(name, str) and has_weights(name)):
        return cfg
    content = None if find_weights(name) else read_checkpoint(name)
    changes = {k: v for k, v in cfg.items() if k not in ('type', 'pretrained')}
    return {**stored_student(name, content), **changes}
