"""Write clouds and boxes to PLY and HTML files."""

import base64
import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template

import numpy as np

from .panels import CORNERS, EDGES, Cloud, box_corners, point_size, turn_and_move

TEMPLATE = Path(__file__).parent / 'page.html'
# Triangles of a box, by the indices of its corners.
TRIANGLES = np.array(
    [
        [0, 2, 1],
        [1, 2, 3],
        [4, 5, 6],
        [5, 7, 6],
        [0, 1, 4],
        [1, 5, 4],
        [2, 6, 3],
        [3, 6, 7],
        [0, 4, 2],
        [2, 4, 6],
        [1, 3, 5],
        [3, 7, 5],
    ]
)


def write_ply(
    path: str | Path,
    points: np.ndarray,
    colors: np.ndarray | None = None,
    *,
    origin: np.ndarray | None = None,
) -> Path:
    """Write a cloud as binary PLY.

    Args:
        path: The file; its folder is made.
        points: (N, 3).
        colors: (N, 3) with values 0 to 255, or None.
        origin: (3,) to add in double precision, or None.

    Returns:
        ``path``.
    """
    import trimesh

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if colors is not None:
        colors = np.asarray(colors).astype(np.uint8)
    trimesh.PointCloud(np.asarray(points), colors=colors).export(path)
    return _add_origin(path, origin)


def write_box_ply(
    path: str | Path,
    boxes: np.ndarray,
    color: Sequence[int],
    *,
    width: float = 0.02,
    origin: np.ndarray | None = None,
) -> Path:
    """Write the edges of boxes as a binary PLY of thin bars.

    Few viewers draw lines, and solid boxes would hide the points inside.

    Args:
        path: The file; its folder is made.
        boxes: (M, 7): gravity centre, extents, yaw.
        color: Red, green and blue, 0 to 255.
        width: Of the bars, in the unit of the boxes.
        origin: See :func:`write_ply`.

    Returns:
        ``path``.
    """
    import trimesh

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    vertices = box_corners(edge_bars(boxes, width)).reshape(-1, 3)
    first = np.arange(0, len(vertices), 8)[:, None, None]
    trimesh.Trimesh(
        vertices,
        (first + TRIANGLES).reshape(-1, 3),
        vertex_colors=np.tile(np.uint8(color), (len(vertices), 1)),
        process=False,
    ).export(path)
    return _add_origin(path, origin)


def _add_origin(path: Path, origin: np.ndarray | None) -> Path:
    """Add an origin, if there is one, to the vertices of a PLY file, which become doubles."""
    if origin is None or not np.any(origin):
        return path
    from plyfile import PlyData, PlyElement

    data = PlyData.read(path)
    old = data['vertex'].data
    wide = [(name, 'f8' if name in 'xyz' else old.dtype[name]) for name in old.dtype.names]
    vertices = old.astype(wide)
    for name, shift in zip('xyz', origin):
        vertices[name] += shift
    others = [element for element in data.elements if element.name != 'vertex']
    PlyData([PlyElement.describe(vertices, 'vertex'), *others], byte_order='<').write(path)
    return path


def edge_bars(boxes: np.ndarray, width: float) -> np.ndarray:
    """The edges of boxes (M, 7) as thin boxes (12 M, 7)."""
    boxes = np.asarray(boxes, dtype=float).reshape(-1, 7)
    ends = CORNERS[np.array(EDGES)]  # (12, 2, 3)
    size = boxes[:, None, 3:6]
    centers = turn_and_move(ends.mean(1) * size, boxes)
    extents = width + np.abs(ends[:, 0] - ends[:, 1]) * size
    yaw = np.broadcast_to(boxes[:, None, 6:], (len(boxes), len(EDGES), 1))
    return np.concatenate([centers, extents, yaw], axis=2).reshape(-1, 7)


def write_page(
    path: str | Path,
    sheets: Sequence[tuple[str, dict]],
    pictures: Sequence[Path],
    *,
    title: str,
    side: int = 260,
) -> Path:
    """Write an HTML page with images and with clouds that can be rotated.

    The page needs no other files and no network.

    Args:
        path: The file; its folder is made.
        sheets: Name of each shape, not necessarily unique, and its rows, see
            :func:`draw_sheet`; their clouds are drawn.
        pictures: PNG file of each shape.
        title: Of the page.
        side: Side of the canvas of a cloud, in pixels.

    Returns:
        ``path``.
    """
    shapes = [
        dict(
            name=name,
            picture=_base64(picture.read_bytes()),
            clouds=[
                dict(
                    title=caption,
                    size=point_size(len(cell.points)),
                    points=_base64(cell.points, '<f4'),
                    colors=_base64(255 * cell.colors, 'u1'),
                    lines=_base64(cell.lines, '<f4'),
                    lineColors=_base64(255 * cell.line_colors, 'u1'),
                    notes=[dict(at=np.asarray(at).tolist(), text=text) for at, text in cell.notes],
                )
                for row in rows.values()
                for caption, cell in row.items()
                if isinstance(cell, Cloud)
            ],
        )
        for (name, rows), picture in zip(sheets, pictures)
    ]
    # `</script>` in a name must not end the script
    data = json.dumps(shapes).replace('<', '\\u003c')
    page = Template(TEMPLATE.read_text()).substitute(title=escape(title), shapes=data, side=side)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page)
    return path


def _base64(data, dtype: str | None = None) -> str:
    """Encode bytes, or an array of a dtype, as text."""
    if dtype is not None:
        data = np.asarray(data).astype(dtype).tobytes()
    return base64.b64encode(data).decode()
