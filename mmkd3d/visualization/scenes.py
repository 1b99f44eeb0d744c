"""Draw boxes in scans as PNG, HTML and PLY files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.colors import to_rgb
from mmengine.config import Config
from mmengine.registry import DATASETS

from mmkd3d.utils.detections import Detections, found_boxes, true_boxes

from .colors import by_height
from .inputs import load_model, read_config, spread
from .panels import Cloud, box_edges, draw_boxes, group_colors
from .writers import write_box_ply, write_page, write_ply

# Points in an image or a page; PLY files have all points.
MOST_POINTS = 20000


def draw_scene(
    stem: str | Path,
    points: np.ndarray,
    groups: dict[str, Detections],
    classes: Sequence[str],
    *,
    origin: np.ndarray | None = None,
) -> list[Path]:
    """Write files that show a scan and its boxes; no display is needed.

    Args:
        stem: Path of the files without their suffixes.
        points: (N, 3 or more) in metres, z up.
        groups: Name (``'truth'``, ``'found'``, at most three others) -> boxes.
        classes: Names of the labels.
        origin: (3,) float64 of points and boxes. PLY files have it added, in
            double precision; the page names it.

    Returns:
        Paths of ``STEM.png``, ``STEM.html`` (to be turned in a browser),
        ``STEM_points.ply`` and a ``STEM_GROUP.ply`` for each group.
    """
    stem = Path(stem)
    points = np.asarray(points, dtype=np.float32)[:, :3]
    shown = points[np.linspace(0, len(points) - 1, min(len(points), MOST_POINTS)).astype(int)]
    titles = {k: x.titles(classes) for k, x in groups.items()}
    picture = draw_boxes(
        with_end(stem, '.png'), shown, {k: x.boxes for k, x in groups.items()}, titles=titles
    )
    text = caption(groups)
    if origin is not None and np.any(origin):
        text += f'; coordinates relative to {tuple(np.asarray(origin).tolist())}'
    sheet = {'': {text: cloud_with_boxes(shown, groups, titles)}}
    page = write_page(
        with_end(stem, '.html'), [(stem.name, sheet)], [picture], title=stem.name, side=700
    )
    return [
        picture,
        page,
        write_ply(with_end(stem, '_points.ply'), points, origin=origin),
        *(
            write_box_ply(
                with_end(stem, f'_{name}.ply'),
                found.boxes,
                np.multiply(to_rgb(color), 255),
                origin=origin,
            )
            for color, (name, found) in zip(group_colors(groups), groups.items())
        ),
    ]


def draw_detections(
    config: str | Path | Config,
    checkpoint: str | Path,
    out: str | Path,
    *,
    num: int = 1,
    score: float | None = None,
) -> list[Path]:
    """Draw true and predicted boxes into some rooms of the test set.

    Args:
        config: Of a detection run of mmdetection3d.
        checkpoint: Of that run.
        out: Output folder.
        num: Number of rooms.
        score: Minimum score of a box; None draws as many boxes, the best ones,
            as there are true ones.

    Returns:
        Paths of the files of each room, see :func:`draw_scene`.
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


def cloud_with_boxes(
    points: np.ndarray, groups: dict[str, Detections], titles: dict[str, list[str]]
) -> Cloud:
    """Points and boxes for a page, turned from z up to y up."""
    lines = [box_edges(found.boxes) for found in groups.values()]
    colors = [
        np.tile(to_rgb(color), (len(edges), 1)) for color, edges in zip(group_colors(groups), lines)
    ]
    notes = [
        (y_up(box[:3]), text)
        for name, found in groups.items()
        for box, text in zip(found.boxes, titles[name])
    ]
    points = y_up(points)
    return Cloud(
        points, by_height(points), y_up(np.concatenate(lines)), np.concatenate(colors), notes
    )


def caption(groups: dict[str, Detections]) -> str:
    """Number and colour of the boxes of each group."""
    return ', '.join(
        f'{name}: {len(found.boxes)} ({color})'
        for color, (name, found) in zip(group_colors(groups), groups.items())
    )


def y_up(points: np.ndarray) -> np.ndarray:
    """Turn points (..., 3) from z up to y up."""
    x, y, z = np.moveaxis(np.asarray(points), -1, 0)
    return np.stack([x, z, -y], axis=-1)


def with_end(stem: Path, end: str) -> Path:
    """Append a suffix to a path whose name may contain dots."""
    return stem.with_name(stem.name + end)
