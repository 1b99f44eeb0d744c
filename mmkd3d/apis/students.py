"""The student of any config, with the weights of any checkpoint."""

from pathlib import Path

import torch
import torch.nn as nn
from mmengine.config import Config
from mmengine.registry import init_default_scope

from .model_hub import get_config

ConfigLike = Config | str | Path | None


def load_student(
    config: ConfigLike,
    checkpoint: str | Path | dict | None = None,
    *,
    device: str | torch.device | None = None,
    trust: bool = False,
) -> nn.Module:
    """Build a student and load its weights, without a Runner.

    It is the student alone, so that no teacher's weights are asked for; the
    whole model where the method has no student (ACT's stage I).

    Args:
        config: Of a pretraining or of a task, whose ``model.backbone`` is the
            student: a ``Config``, the name of a shipped one, or a ``.py``
            file; None: the config that the checkpoint carries.
        checkpoint: Ours, whole or exported, or a published one; or a dict as
            read from it. None: random weights.
        device: Of the model; None: the CPU.
        trust: See :func:`~mmkd3d.checkpoints.read_checkpoint`.

    Returns:
        A model with ``extract_feat(points (B, N, 3+F), level)``, see
        :class:`BasePretrainer`, in eval mode; its student is ``backbone``.

    Raises:
        FileNotFoundError: There is no such config or checkpoint.
        ValueError: No config is known, it has no model, or the weights do not
            fit.
    """
    from mmkd3d.checkpoints import load_pretrained, read_checkpoint

    name = 'the given dict' if isinstance(checkpoint, dict) else checkpoint
    if not isinstance(checkpoint, (dict, type(None))):
        checkpoint = read_checkpoint(checkpoint, trust=trust)
    cfg = find_config(config, checkpoint, name)
    init_default_scope(cfg.get('default_scope', 'mmkd3d'))
    model = build_student(cfg.model)
    if checkpoint is not None:
        if hasattr(model, 'backbone'):
            load_pretrained(model.backbone, checkpoint)
        else:
            load_pretrained(model, checkpoint, prefix='')
    return model.to(device or 'cpu').eval()


def find_config(
    config: ConfigLike, checkpoint: dict | None = None, name: str | Path | None = None
) -> Config:
    """The config as an object, see :func:`load_student`.

    Args:
        config: The same.
        checkpoint: As read; asked where ``config`` is None.
        name: What the error calls it.
    """
    if config is None:
        from mmkd3d.checkpoints.stored import stored_config

        cfg = checkpoint and stored_config(checkpoint)
        if not cfg:
            given = f'{name} carries no' if name else 'There is no'
            raise ValueError(
                f'{given} config: name the one that the student was trained '
                'with, a file or one of mmkd3d.list_models().'
            )
    elif isinstance(config, (str, Path)):
        cfg = get_config(config)
    else:
        cfg = config
    if 'model' not in cfg:
        raise ValueError(
            f'The config {cfg.filename or name or ""} has no model, only '
            f'{", ".join(cfg)}: give that of a pretraining or of a task.'
        )
    return cfg


def build_student(cfg: dict) -> nn.Module:
    """A pretrainer around the student that a model's config names."""
    from mmkd3d.models.pretrainers.base import BasePretrainer
    from mmkd3d.registry import MODELS

    if 'backbone' not in cfg:
        return MODELS.build(cfg)
    preprocessor = cfg.get('data_preprocessor')
    # mmdetection3d's takes lists of scenes, a student takes stacked clouds
    if preprocessor and preprocessor.get('type', '').endswith('Det3DDataPreprocessor'):
        preprocessor = None
    return BasePretrainer(cfg['backbone'], data_preprocessor=preprocessor)
