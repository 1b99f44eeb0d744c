"""From a config and a checkpoint to pictures."""

from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, MODELS
from torchvision.utils import save_image

from mmkd3d.utils.detections import found_boxes, true_boxes

from .inputs import load_model, read_config, spread
from .panels import draw_clouds
from .scenes import draw_scene
from .writers import write_ply


def draw_pretraining(
    config: str | Path | Config, checkpoint: str | Path, out: str | Path, *, num: int = 4
) -> list[Path]:
    """Draw what a pretrainer predicts for the first clouds of its data.

    Args:
        config: Of a pretraining run.
        checkpoint: Of that run.
        out: Folder of the pictures.
        num: Number of clouds.

    Returns:
        Paths of one PNG, and of a PLY for each part of the first cloud.
    """
    cfg = read_config(config)
    model = load_model(cfg, checkpoint)
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


def draw_detections(
    config: str | Path | Config,
    checkpoint: str | Path,
    out: str | Path,
    *,
    num: int = 1,
    score: float | None = None,
) -> list[Path]:
    """Draw true and found boxes into the first rooms of the test set.

    Args:
        config: Of a detection run of mmdetection3d.
        checkpoint: Of that run.
        out: Folder of the pictures.
        num: Number of rooms.
        score: Boxes below it are left out; None draws as many of the best
            boxes as there are true ones.

    Returns:
        Paths of the files of each room, see
        :func:`~mmkd3d.visualization.scenes.draw_scene`.
    """
    cfg = read_config(config)
    model = load_model(cfg, checkpoint)
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    paths = []
    for index in spread(len(dataset), num):
        item = dataset[index]
        with torch.no_grad():
            result = model.test_step(
                dict(
                    inputs={k: [v] for k, v in item['inputs'].items()},
                    data_samples=[item['data_samples']],
                )
            )[0]
        truth = true_boxes(item['data_samples'].eval_ann_info)
        found = found_boxes(result.pred_instances_3d, score)
        if score is None:
            found = found.take(slice(len(truth.boxes)))
        paths += draw_scene(
            Path(out) / f'boxes_{index}',
            item['inputs']['points'],
            dict(truth=truth, found=found),
            dataset.metainfo['classes'],
        )
    return paths


def draw_views(config: str | Path | Config, out: str | Path, *, num: int = 4) -> list[Path]:
    """Draw the views of training clouds that an image teacher is shown.

    The renderer is that of the config's image target; without one, four
    shaded views.

    Args:
        config: Of a pretraining run, or of a data set alone.
        out: Folder of the picture.
        num: Number of clouds.

    Returns:
        Path of one PNG with a row for each cloud.
    """
    cfg = read_config(config)
    target = (cfg.get('model', {}).get('targets') or {}).get('img') or {}
    renderer = MODELS.build(target.get('renderer') or dict(type='mmkd3d.ViewRenderer', num_views=4))
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    torch.manual_seed(0)
    rows = []
    for index in spread(len(dataset), num):
        item = dataset[index]
        points = item['data_samples'].get('view_points')
        if points is None:
            points = item['inputs']['points'][:, :3]
        rows.append(renderer(points[None])[0])  # (V, 3, H, W)
    path = Path(out) / 'views.png'
    path.parent.mkdir(parents=True, exist_ok=True)
    save_image(torch.cat(rows), path, nrow=len(rows[0]))
    return [path]


def _panels(sample: dict) -> dict:
    """What is drawn of the prediction of a pretrainer, by what it holds."""
    panels = dict(input=sample['input'])
    for name, title in (('visible', 'visible'), ('coarse', 'coarse'), ('pred', 'predicted')):
        if name in sample:
            panels[title] = sample[name]
    if 'visible' in sample and 'pred' in sample:
        panels['both'] = torch.cat([sample['visible'], sample['pred']])
    if 'cosine' in sample:
        panels['cosine'] = (sample['masked'], sample['cosine'])
    return panels
