"""Read a config, its model and some of its shapes for drawing."""

from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.registry import DATASETS, MODELS, init_default_scope
from torch import nn

from mmkd3d.checkpoints import load_pretrained

# Steps of the config's pipeline that other shapes go through, too.
GEOMETRY = ('SamplePoints', 'NormalizePoints')


def read_config(config: str | Path | Config) -> Config:
    """Read a config, if it is a file, and set its default scope."""
    cfg = config if isinstance(config, Config) else Config.fromfile(config)
    init_default_scope(cfg.get('default_scope', 'mmkd3d'))
    return cfg


def load_model(cfg: Config, checkpoint: str | Path) -> nn.Module:
    """Build the model of a config and load its weights; in eval mode."""
    model = MODELS.build(cfg.model)
    load_pretrained(model, checkpoint, prefix='')
    return model.eval()


def spread(length: int, num: int) -> list[int]:
    """``num`` indices, evenly spread over a data set."""
    return np.linspace(0, length - 1, min(num, length)).astype(int).tolist()


def load_shapes(cfg: Config, data: str | None, num: int) -> dict:
    """Load some shapes as a batch for a data preprocessor.

    Args:
        cfg: Of a pretraining run.
        data: An npz file with the array ``points``, whose clouds are sampled
            and normalised as those of the config; or another config with a
            data set; None: that of the config.
        num: Number of shapes, spread over the data set.

    Returns:
        dict: ``inputs`` and ``data_samples``.

    Raises:
        ValueError: There is no data set of shapes.
    """
    dataset = DATASETS.build(data_config(cfg, data))
    items = [dataset[i] for i in spread(len(dataset), num)]
    return dict(
        inputs=dict(points=[item['inputs']['points'] for item in items]),
        data_samples=[item['data_samples'] for item in items],
    )


def data_config(cfg: Config, data: str | None) -> dict:
    """Config of the data set, see :func:`load_shapes`."""
    own = (cfg.get('train_dataloader') or {}).get('dataset') or {}
    kind = Path(data or 'own.py').suffix
    if kind == '.npz':
        steps = [
            dict(step)
            for step in own.get('pipeline', ())
            if step['type'].split('.')[-1] in GEOMETRY
        ]
        return dict(
            type='mmkd3d.NpzPoints',
            file=data,
            pipeline=[dict(type='mmkd3d.LoadPoints'), *steps, dict(type='mmkd3d.PackPoints')],
        )
    if kind != '.py':
        raise ValueError(f'Shapes come from an npz file or a config (.py), got {data}.')
    if data is not None:
        own = Config.fromfile(data).get('train_dataloader', {}).get('dataset')
    if not own:
        raise ValueError(
            f'{data or cfg.filename or "The config"} has no '
            'train_dataloader with a data set, so there are no shapes to '
            'draw: give --data an npz file, or a config such as '
            'configs/_base_/datasets/toy_shapes.py.'
        )
    return own
