"""Draw predictions of a pretrainer."""

from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import DATASETS

from mmkd3d.models.pretrainers.base import BasePretrainer

from .inputs import load_model, read_config, spread
from .panels import draw_clouds
from .writers import write_ply


def draw_pretraining(
    config: str | Path | Config, checkpoint: str | Path, out: str | Path, *, num: int = 4
) -> list[Path]:
    """Draw predictions of a pretrainer for some clouds of its data.

    Args:
        config: Of a pretraining run.
        checkpoint: Of that run.
        out: Output folder.
        num: Number of clouds.

    Returns:
        Paths of one PNG, and of a PLY for each part of the first cloud.

    Raises:
        ValueError: The config is not of a pretraining.
    """
    cfg = read_config(config)
    model = load_model(cfg, checkpoint)
    if not isinstance(model, BasePretrainer):
        raise ValueError(
            f'{type(model).__name__} is not a pretraining method: give the config of a '
            'pretraining, or draw boxes of a detector.'
        )
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    torch.manual_seed(0)
    drawn = []
    for index in spread(len(dataset), num):
        item = dataset[index]
        data = dict(
            inputs=dict(points=[item['inputs']['points']]), data_samples=[item['data_samples']]
        )
        data = model.data_preprocessor(data, training=False)
        drawn += model(**data, mode='predict')
    rows = [_panels(sample) for sample in drawn]
    out = Path(out)
    paths = [draw_clouds(out / 'pretraining.png', rows)]
    for title, cell in rows[0].items():
        points = cell[0] if isinstance(cell, tuple) else cell
        paths.append(write_ply(out / f'pretraining_{title}.ply', points))
    return paths


def _panels(sample: dict) -> dict:
    """Parts of a prediction to draw, by title."""
    panels = dict(input=sample['input'])
    for name, title in (('visible', 'visible'), ('coarse', 'coarse'), ('pred', 'predicted')):
        if name in sample:
            panels[title] = sample[name]
    if 'visible' in sample and 'pred' in sample:
        panels['both'] = torch.cat([sample['visible'], sample['pred']])
    if 'cosine' in sample:
        panels['cosine'] = (sample['masked'], sample['cosine'])
    return panels
