"""Caches of random features, in place of those of a teacher."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch.nn as nn
from mmengine.config import ConfigDict


def use_caches(model_cfg: dict, options: Sequence[str], samples: Sequence, folder: Path) -> None:
    """Let targets of a model read caches of random features.

    Args:
        model_cfg: Changed in place.
        options: Of the targets, such as ``'targets.img'``.
        samples: Of the batch.
        folder: In which the caches are written.
    """
    from mmkd3d.models.targets.cache import CacheWriter
    from mmkd3d.registry import MODELS

    cfg = ConfigDict(dict(model=model_cfg))
    for option in options:
        target_cfg = cfg
        for name in f'model.{option}'.split('.'):
            target_cfg = target_cfg[name]
        target = MODELS.build(target_cfg)
        is_text = hasattr(target, 'templates')
        keys = [sample.category if is_text else sample.sample_id for sample in samples]
        keys = [*dict.fromkeys(keys)]
        shape = (len(target.templates), target.dims) if is_text else target.shape
        path = folder / option
        writer = CacheWriter(path, keys, shape, identity=target.identity(), dtype='float16')
        writer.write(np.random.rand(len(keys), *shape).astype(np.float32) * 0.1)
        target_cfg.cache = str(path)
    model_cfg.update(cfg.model.to_dict())


def trust_caches(model: nn.Module) -> None:
    """Do not compare the inputs of the teachers with those of the caches, which have none."""
    for part in model.modules():
        if getattr(part, 'cache', None) is not None:
            part.cache._checked[:] = True
