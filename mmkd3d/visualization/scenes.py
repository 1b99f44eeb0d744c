"""A scan with boxes as files: a picture, a page, PLY. The way to draw it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.colors import to_rgb

from mmkd3d.utils.detections import Detections

from .colors import by_height
from .panels import Cloud, box_edges, draw_boxes, group_colors
from .writers import write_box_ply, write_page, write_ply

# Points in a picture or a page; a PLY has all.
MOST_POINTS = 20000


def draw_scene(
    stem: str | Path, points: np.ndarray, groups: dict[str, Detections], classes: Sequence[str]
) -> list[Path]:
    """Write a scan and its boxes for any viewer; no display is needed.

    Args:
        stem: Path of the files, apart from their ends.
        points: (N, 3 or more) in metres, z up.
        groups: Name (``'truth'``, ``'found'``) to boxes; others than these at
            most three.
        classes: Names of the labels.

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
    sheet = {'': {caption(groups): cloud_with_boxes(shown, groups, titles)}}
    page = write_page(
        with_end(stem, '.html'), [(stem.name, sheet)], [picture], title=stem.name, side=700
    )
    return [
        picture,
        page,
        write_ply(with_end(stem, '_points.ply'), points),
        *(
            write_box_ply(
                with_end(stem, f'_{name}.ply'), found.boxes, np.multiply(to_rgb(color), 255)
            )
            for color, (name, found) in zip(group_colors(groups), groups.items())
        ),
    ]


def cloud_with_boxes(
    points: np.ndarray, groups: dict[str, Detections], titles: dict[str, list[str]]
) -> Cloud:
    """What a page draws, turned from z up to y up."""
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
    """How many boxes of which colour there are."""
    return ', '.join(
        f'{name}: {len(found.boxes)} ({color})'
        for color, (name, found) in zip(group_colors(groups), groups.items())
    )


def y_up(places: np.ndarray) -> np.ndarray:
    """Places (..., 3) with z up, turned so that y is."""
    x, y, z = np.moveaxis(np.asarray(places), -1, 0)
    return np.stack([x, z, -y], axis=-1)


def with_end(stem: Path, end: str) -> Path:
    """The path with text behind its name, which may hold dots."""
    return stem.with_name(stem.name + end)
