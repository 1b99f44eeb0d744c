"""From a config and a checkpoint to pictures."""
from pathlib import Path
from typing import Union

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import (DATASETS, MODELS, DefaultScope,
                               init_default_scope)

from mmkd3d.checkpoints import load_pretrained

from .panels import draw_boxes, draw_clouds
from .writers import write_ply


def draw_pretraining(config: Union[str, Path, Config],
                     checkpoint: Union[str, Path],
                     out: Union[str, Path],
                     *,
                     num: int = 4) -> list[Path]:
    """Draw what a pretrainer predicts for the first clouds of its data.

    Args:
        config: Of a pretraining run.
        checkpoint: Of that run.
        out: Folder of the pictures.
        num: Number of clouds.

    Returns:
        Paths of one PNG, and of a PLY for each part of the first cloud.
    """
    cfg, model = _load(config, checkpoint)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    torch.manual_seed(0)
    drawn = []
    for index in _spread(len(dataset), num):
        item = dataset[index]
        data = dict(
            inputs=dict(points=[item['inputs']['points']]),
            data_samples=[item['data_samples']])
        data = model.data_preprocessor(data, training=False)
        drawn += model(**data, mode='predict')
    rows = [_panels(sample) for sample in drawn]
    out = Path(out)
    paths = [draw_clouds(out / 'pretraining.png', rows)]
    for title, cell in rows[0].items():
        points = cell[0] if isinstance(cell, tuple) else cell
        paths.append(write_ply(out / f'pretraining_{title}.ply', points))
    return paths


def draw_detections(config: Union[str, Path, Config],
                    checkpoint: Union[str, Path],
                    out: Union[str, Path],
                    *,
                    num: int = 1,
                    score: float = 0.3) -> list[Path]:
    """Draw true and found boxes into the first rooms of the test set.

    Args:
        config: Of a detection run of mmdetection3d.
        checkpoint: Of that run.
        out: Folder of the pictures.
        num: Number of rooms.
        score: Boxes below it are left out.

    Returns:
        Paths of one PNG for each room.
    """
    cfg, model = _load(config, checkpoint)
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    paths = []
    for index in _spread(len(dataset), num):
        item = dataset[index]
        with torch.no_grad():
            result = model.test_step(
                dict(
                    inputs={k: [v] for k, v in item['inputs'].items()},
                    data_samples=[item['data_samples']]))[0]
        pred = result.pred_instances_3d
        boxes = dict(
            truth=_centered(item['data_samples'].eval_ann_info['gt_bboxes_3d']),
            found=_centered(pred.bboxes_3d[pred.scores_3d >= score]))
        points = np.asarray(item['inputs']['points'])[:, :3]
        paths.append(
            draw_boxes(Path(out) / f'boxes_{index}.png', points, boxes))
    return paths


def _load(config, checkpoint):
    cfg = config if isinstance(config, Config) else Config.fromfile(config)
    scope = cfg.get('default_scope', 'mmkd3d')
    init_default_scope(scope)
    if scope == 'mmdet3d' and DefaultScope.get_current_instance():
        from mmdet3d.utils import register_all_modules
        register_all_modules(init_default_scope=False)
    model = MODELS.build(cfg.model)
    load_pretrained(model, checkpoint, prefix='')
    return cfg, model.eval()


def _spread(length: int, num: int) -> list[int]:
    """``num`` indices, evenly over the data set."""
    return np.linspace(0, length - 1, min(num, length)).astype(int).tolist()


def _panels(sample: dict) -> dict:
    if 'pred' in sample:
        return dict(
            input=sample['input'],
            visible=sample['visible'],
            predicted=sample['pred'],
            both=torch.cat([sample['visible'], sample['pred']]))
    return dict(
        input=sample['input'], cosine=(sample['masked'], sample['cosine']))


def _centered(boxes) -> np.ndarray:
    """Boxes of mmdetection3d (bottom centre) as (M, 7), gravity centre."""
    return torch.cat([boxes.gravity_center, boxes.tensor[:, 3:7]], 1).numpy()
