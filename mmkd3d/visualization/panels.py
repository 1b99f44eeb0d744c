"""Figures of clouds side by side, and of boxes in a room."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from mpl_toolkits.mplot3d.art3d import Line3DCollection

# Corner pairs of a box whose corners are counted as bits (x, y, z).
EDGES = [(a, a | bit) for a in range(8) for bit in (1, 2, 4) if not a & bit]
CORNERS = np.array([[a & 1, a >> 1 & 1, a >> 2 & 1] for a in range(8)]) - 0.5
# Colours of groups of boxes by name; of other groups in order.
BOX_COLORS = dict(truth='limegreen', found='red')
OTHER_COLORS = ('blue', 'orange', 'purple')


class Cloud(NamedTuple):
    """Points (N, 3), y up, with colours (N, 3) in [0, 1].

    A page also draws ``lines`` (L, 2, 3) with ``line_colors`` (L, 3), and
    ``notes``: pairs of a position (3,) and a text.
    """

    points: np.ndarray
    colors: np.ndarray
    lines: np.ndarray = np.empty((0, 2, 3))
    line_colors: np.ndarray = np.empty((0, 3))
    notes: Sequence[tuple] = ()


def draw_clouds(path: str | Path, rows: list[dict], *, up: str = 'y', size: float = 2.0) -> Path:
    """Draw clouds in a grid, one row for each sample.

    Args:
        path: PNG file; its folder is made.
        rows: Dicts from titles to points (N, 3), or to pairs of points and
            values (N,) for their colours. All rows have the same titles.
        up: Axis that points up, ``'y'`` or ``'z'``.
        size: Area of a point, in typographic points squared.

    Returns:
        ``path``.
    """
    titles = list(rows[0])
    figure = Figure(figsize=(3 * len(titles), 3 * len(rows)))
    for r, row in enumerate(rows):
        cells = [c if isinstance(c, tuple) else (c, None) for c in row.values()]
        extent = np.concatenate([np.asarray(p) for p, _ in cells])
        low, high = extent.min(0), extent.max(0)
        for c, (points, values) in enumerate(cells):
            axes = figure.add_subplot(
                len(rows), len(titles), r * len(titles) + c + 1, projection='3d'
            )
            _scatter(axes, points, values, up, size)
            _frame(axes, low, high, up)
            if r == 0:
                axes.set_title(titles[c], fontsize=10)
    return _save(figure, path)


def draw_sheet(
    path: str | Path, rows: dict[str, dict], *, title: str = '', legend: dict | None = None
) -> Path:
    """Draw named rows of images of one shape.

    Args:
        path: PNG file; its folder is made.
        rows: Name of a row -> its cells: title -> a :class:`Cloud`, or an
            image (H, W, 3) in [0, 1]. All clouds have the same axis limits.
        title: Of the figure.
        legend: Text -> colour.

    Returns:
        ``path``.
    """
    clouds = [cell for row in rows.values() for cell in row.values() if isinstance(cell, Cloud)]
    extent = np.concatenate([cloud.points for cloud in clouds])
    low, high = extent.min(0), extent.max(0)
    columns = max(map(len, rows.values()))
    figure = Figure(figsize=(2.4 * columns + 0.3, 2.6 * len(rows) + 0.8))
    figure.suptitle(title, fontsize=11)
    for r, (name, row) in enumerate(rows.items()):
        for c, (caption, cell) in enumerate(row.items()):
            place = len(rows), columns, r * columns + c + 1
            if isinstance(cell, Cloud):
                axes = figure.add_subplot(*place, projection='3d')
                _scatter(
                    axes,
                    cell.points,
                    cell.colors,
                    'y',
                    point_size(len(cell.points)),
                    depthshade=False,
                )
                _frame(axes, low, high, 'y')
            else:
                axes = figure.add_subplot(*place)
                axes.imshow(cell)
                axes.set_axis_off()
            axes.set_title(caption, fontsize=9)
            if c == 0:
                axes.annotate(
                    name,
                    (-0.08, 0.5),
                    xycoords='axes fraction',
                    rotation=90,
                    ha='center',
                    va='center',
                    fontsize=10,
                    fontweight='bold',
                )
    margin = 0
    if legend:
        margin = 0.3 / figure.get_figheight()
        figure.legend(
            handles=[
                Line2D([], [], color=color, marker='o', linestyle='', label=k)
                for k, color in legend.items()
            ],
            loc='lower center',
            ncols=len(legend),
            frameon=False,
            fontsize=9,
        )
    return _save(figure, path, rect=(0, margin, 1, 1))


def point_size(number: int) -> float:
    """Few points are drawn larger; in typographic points squared."""
    return 150 / max(number, 1) ** 0.5


def draw_boxes(
    path: str | Path,
    points: np.ndarray,
    boxes: dict[str, np.ndarray],
    *,
    titles: dict[str, Sequence[str]] | None = None,
    colors: np.ndarray | None = None,
    cut: float = 0.9,
) -> Path:
    """Draw boxes into a room, seen from above at an angle.

    Args:
        path: PNG file; its folder is made.
        points: (N, 3) in metres, z up.
        boxes: Name (``'truth'``, ``'found'``) to boxes (M, 7): gravity centre,
            extents, yaw. At most three other names.
        titles: Name of a group -> texts to write on top of its boxes.
        colors: (N, 3) with values 0 to 255, or None for the height.
        cut: Points above this ratio of the height, the ceiling, are left out.

    Returns:
        ``path``.
    """
    points = np.asarray(points)
    low, high = points.min(0), points.max(0)
    keep = points[:, 2] <= low[2] + cut * (high[2] - low[2])
    values = points[:, 2] if colors is None else np.asarray(colors) / 255
    figure = Figure(figsize=(9, 7))
    axes = figure.add_subplot(projection='3d')
    _scatter(axes, points[keep], values[keep], 'z', 3.0, alpha=0.5)
    legend = []
    for color, (name, group) in zip(group_colors(boxes), boxes.items()):
        group = np.asarray(group).reshape(-1, 7)
        if len(group):  # matplotlib fails on none
            axes.add_collection3d(Line3DCollection(box_edges(group), colors=color, linewidths=1.2))
        tops = group[:, :3] + group[:, 3:6] * (0, 0, 0.5)
        for top, title in zip(tops, (titles or {}).get(name, ())):
            axes.text(*top, title, color=color, fontsize=7, ha='center')
        legend.append(Line2D([], [], color=color, label=f'{name} ({len(group)})'))
    axes.legend(handles=legend, loc='upper right')
    _frame(axes, low, high, 'z', elevation=55)
    return _save(figure, path)


def group_colors(names: Iterable[str]) -> list[str]:
    """Colour of each group of boxes."""
    others = iter(OTHER_COLORS)
    return [BOX_COLORS.get(name) or next(others) for name in names]


def box_corners(box: np.ndarray) -> np.ndarray:
    """(..., 8, 3) corners of boxes (..., 7): gravity centre, extents, yaw."""
    box = np.asarray(box)
    return turn_and_move(CORNERS * box[..., None, 3:6], box)


def turn_and_move(points: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Points (..., P, 3) from the coordinates of boxes (..., 7) to the scene's."""
    x, y, z = np.moveaxis(points, -1, 0)
    cos, sin = np.cos(box[..., 6:7]), np.sin(box[..., 6:7])
    turned = np.stack([cos * x - sin * y, sin * x + cos * y, z], -1)
    return turned + box[..., None, :3]


def box_edges(boxes: np.ndarray) -> np.ndarray:
    """(12 M, 2, 3) ends of the edges of boxes (M, 7)."""
    return box_corners(boxes)[:, EDGES].reshape(-1, 2, 3)


def _scatter(axes, points, values, up, size, **kwargs):
    points = np.asarray(points)
    x, y, z = _turn(points, up).T
    values = z if values is None else np.asarray(values)
    if values.ndim == 1:
        kwargs['cmap'] = 'viridis'
    axes.scatter(x, y, z, c=values, s=size, linewidths=0, **kwargs)


def _turn(points, up):
    return points[:, [2, 0, 1]] if up == 'y' else points


def _frame(axes, low, high, up, elevation=25):
    low, high = _turn(np.stack([low, high]), up)
    center, half = (low + high) / 2, max((high - low).max() / 2, 1e-6)
    for axis, middle in zip('xyz', center):
        getattr(axes, f'set_{axis}lim')(middle - half, middle + half)
    axes.set_box_aspect((1, 1, 1), zoom=1.3)
    axes.view_init(elev=elevation, azim=-60)
    axes.set_axis_off()


def _save(figure, path, **layout):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.tight_layout(**layout)
    figure.savefig(path, dpi=100)
    return path
