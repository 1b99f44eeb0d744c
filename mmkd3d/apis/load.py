"""Configs, and models with their weights."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

import torch
import torch.nn as nn
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import print_log
from mmengine.registry import init_default_scope
from torch.nn.modules.module import register_module_parameter_registration_hook

from mmkd3d.apis.config_files import config_path
from mmkd3d.checkpoints.weights import Weights, find_weights, similar_names

ConfigLike: TypeAlias = Config | str | Path | None


def get_config(name: str | Path) -> Config:
    """Read a config and its bases.

    Args:
        name: See :func:`config_path`.

    Raises:
        FileNotFoundError: There is no such config, or one of its bases is missing.
        ValueError: Python cannot run the file.
    """
    path = config_path(name)
    try:
        return Config.fromfile(path)
    except FileNotFoundError:
        raise
    except Exception as error:  # the file is code
        raise ValueError(
            f'{path} cannot be read as a config: {type(error).__name__}: {error}.'
        ) from error


def published_config(weights: Weights) -> Config:
    """The config that fits published weights."""
    from mmkd3d.apis.cli import read_options

    config = get_config(weights.config)
    config.merge_from_dict(read_options(list(weights.options)))
    return config


def get_model(name: str, *, checkpoint: str | None = None) -> nn.Module:
    """Build the model of a config.

    Args:
        name: See :func:`get_config`; or published weights of a whole model, such as
            ``'3detr-scannet'``, see :func:`list_models`.
        checkpoint: Weights of the whole model, from our training. None: random
            weights, with a warning, if ``name`` has none.

    Returns:
        The model in eval mode, on the CPU.
    """
    from mmkd3d.checkpoints import load_pretrained
    from mmkd3d.registry import MODELS

    published = find_weights(name) if checkpoint is None else None
    config = published_config(published) if published else get_config(name)
    checkpoint = published.name if published else checkpoint
    init_default_scope(config.get('default_scope', 'mmkd3d'))
    model = MODELS.build(config.model)
    if checkpoint is not None:
        load_pretrained(model, checkpoint, prefix='')
    else:
        warn_of_random_weights(model)
    return model.eval()


def load_student(
    config: ConfigLike,
    checkpoint: str | Path | dict | None = None,
    *,
    pretrained: bool | None = None,
    device: str | torch.device | None = None,
    trust: bool = False,
    name: str | Path | None = None,
    return_info: bool = False,
) -> Any:
    """Build a student and load its weights, without a Runner.

    Only the student is built, so that no weights of a teacher are needed; the
    whole model where the method has no student (ACT's stage I).

    Args:
        config: Of a pretraining or of a downstream task, whose
            ``model.backbone`` is the student: a ``Config``, or see
            :func:`get_config`; None: the config stored in the checkpoint. Or
            a name with weights, of a shipped student or a published one
            (``mmkd3d.list_models(pretrained=True)``), such as ``'joint-mini'`` or
            ``'act'``. Published weights are downloaded when first used.
        checkpoint: One of ours, whole or exported, or a published one; or its
            content as a dict. None: random weights, with a warning, if
            ``config`` is no name with weights.
        pretrained: False: random weights. True: an error for a name that has none.
        device: None: the CPU.
        trust: See :func:`~mmkd3d.checkpoints.read_checkpoint`; also build what the
            checkpoint's own config names, without a check.
        name: Of the checkpoint, for messages, if its content is given.
        return_info: Also return what is known of the weights, as a dict: the entry of
            the table of published ones, or the card of a shipped student.

    Returns:
        A model with ``extract_feat(points (B, N, 3+F), level)``, see
        :class:`BasePretrainer`, in eval mode; its student is ``backbone``.

    Raises:
        FileNotFoundError: There is no such config or checkpoint.
        ValueError: No config is known, it has no model, or the weights do not
            fit.
    """
    from mmkd3d.checkpoints.files import check_content, read_checkpoint
    from mmkd3d.checkpoints.loading import load_pretrained

    if checkpoint is None and isinstance(config, str) and has_weights(config):
        published = find_weights(config) if pretrained is False else None
        if published:  # nothing to download
            config = published_config(published)
        else:
            config, checkpoint = None, config
    if pretrained and checkpoint is None:
        raise ValueError(
            f'No weights of {config!r} are known: give a checkpoint, or one of '
            'mmkd3d.list_models(pretrained=True).'
        )
    info = about_weights(checkpoint) if return_info else None
    if isinstance(checkpoint, (str, Path)):
        name = checkpoint
        checkpoint = read_checkpoint(checkpoint, trust=trust)
    elif checkpoint is not None:
        name = name or 'the given dict'
        check_content(checkpoint, name)
    try:
        cfg = find_config(config, checkpoint, name, trust=trust)
    except FileNotFoundError as error:
        similar = ', '.join(similar_names(str(config)))
        raise FileNotFoundError(
            f'{error}{similar and f" Names with weights: {similar}."}'
        ) from None
    init_default_scope(cfg.get('default_scope', 'mmkd3d'))
    if config is None and checkpoint is not None and not trust:
        with stored_model(checkpoint, str(name)):
            model: Any = build_student(cfg.model)
    else:
        model = build_student(cfg.model)
    if checkpoint is not None and pretrained is not False:
        if hasattr(model, 'backbone'):
            load_pretrained(model.backbone, checkpoint, name=name)
        else:
            load_pretrained(model, checkpoint, prefix='', name=name)
    elif pretrained is None:
        warn_of_random_weights(model)
    model = model.to(device_of(device or 'cpu')).eval()
    return (model, info) if return_info else model


def has_weights(name: str) -> bool:
    """Whether it is the name of a shipped student or of published weights."""
    from mmkd3d.checkpoints.shipped import list_students

    return name in list_students() or find_weights(name) is not None


def about_weights(name: Any) -> dict:
    """What is known of a name with weights, as plain data; empty for other checkpoints."""
    from mmkd3d.checkpoints.shipped import list_students, read_card

    published = find_weights(name) if isinstance(name, str) else None
    if published:
        return asdict(published)
    return dict(name=name, card=read_card(name)) if name in list_students() else {}


@contextmanager
def stored_model(checkpoint: dict, name: str) -> Iterator[None]:
    """Build a model from the config in a checkpoint, which may be wrong or far too large.

    Raises:
        ValueError: In place of any error of the body; or the model has many
            more weights than the file.
    """
    from mmkd3d.checkpoints import state_dict_of

    sizes = [value.numel() for value in state_dict_of(checkpoint, name).values()]
    left = [2 * len(sizes) + 1000, 2 * sum(sizes) + 10**7]  # weights, and their numbers

    def count(module: nn.Module, key: str, weight: nn.Parameter | None) -> None:
        left[0] -= 1
        left[1] -= 0 if weight is None else weight.numel()
        if min(left) < 0:
            raise ValueError(f'it has many more weights than the {len(sizes)} in the file')

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    except Exception as error:
        raise ValueError(
            f'The model of the config in {name} cannot be built ({type(error).__name__}: '
            f'{error}). Name the config, a file or one of mmkd3d.list_models().'
        ) from error
    finally:
        hook.remove()


def warn_of_random_weights(model: nn.Module) -> None:
    student = getattr(model, 'backbone', model)
    if any(True for _ in student.parameters()):
        print_log(
            f'{type(student).__name__} has random weights: no checkpoint was given.',
            'current',
            logging.WARNING,
        )


def device_of(device: str | torch.device | None) -> torch.device:
    """The device of a name; None: a GPU if there is one.

    Raises:
        ValueError: An unknown device, or a GPU that is not there.
    """
    try:
        found = torch.device(device or get_device())
        torch.empty(0, device=found)
    except (AssertionError, NotImplementedError, RuntimeError) as error:
        known = ', '.join(['cpu', *(f'cuda:{i}' for i in range(torch.cuda.device_count()))])
        raise ValueError(f'device is one of {known}, got {device!r}.') from error
    return found


def find_config(
    config: ConfigLike,
    checkpoint: dict | None = None,
    name: str | Path | None = None,
    *,
    detector: bool = False,
    trust: bool = False,
) -> Config:
    """Read a config with a model, from its name or from a checkpoint.

    Args:
        config: See :func:`load_student`.
        checkpoint: Content of a checkpoint, used where ``config`` is None.
        name: Of the checkpoint, for errors.
        detector, trust: For the config of a checkpoint, see
            :func:`~mmkd3d.checkpoints.stored_config`.

    Raises:
        FileNotFoundError: There is no such config.
        ValueError: No config is known, it has no model, or that of the
            checkpoint is not safe to build.
    """
    published = find_weights(str(name)) if config is None and name else None
    if published:  # its file has no config
        cfg = published_config(published)
    elif config is None:
        from mmkd3d.checkpoints import stored_config

        cfg = None
        if checkpoint:
            cfg = stored_config(
                checkpoint, name or 'The checkpoint', detector=detector, trust=trust
            )
        if not cfg:
            given = f'{name} carries no' if name else 'There is no'
            raise ValueError(
                f'{given} config: name the one that the student was trained '
                'with, a file or one of mmkd3d.list_models().'
            )
    else:
        cfg = config if isinstance(config, Config) else get_config(config)
    if 'model' not in cfg:
        raise ValueError(
            f'The config {cfg.filename or name or ""} has no model, only '
            f'{", ".join(cfg)}: give that of a pretraining or of a task.'
        )
    if detector and 'type' not in cfg.model:
        raise ValueError(f'{name} is an exported student: name the config of the whole detector.')
    return cfg


def build_student(cfg: dict) -> nn.Module:
    """Build a plain pretrainer around the student of a model's config."""
    from mmkd3d.models.pretrainers.base import BasePretrainer
    from mmkd3d.registry import MODELS

    if 'backbone' not in cfg:
        return MODELS.build(cfg)
    preprocessor = cfg.get('data_preprocessor')
    # mmdetection3d's takes lists of scenes, a student takes stacked clouds
    if preprocessor and preprocessor.get('type', '').endswith('Det3DDataPreprocessor'):
        preprocessor = None
    return BasePretrainer(cfg['backbone'], data_preprocessor=preprocessor)
