"""Write clouds to files."""
import base64
import json
from html import escape
from pathlib import Path
from string import Template
from typing import Optional, Sequence, Union

import numpy as np

from .panels import Cloud, point_size

TEMPLATE = Path(__file__).parent / 'page.html'


def write_ply(path: Union[str, Path],
              points: np.ndarray,
              colors: Optional[np.ndarray] = None) -> Path:
    """Write a cloud as binary PLY.

    Args:
        path: The file; its folder is made.
        points: (N, 3).
        colors: (N, 3) with values 0 to 255, or None.

    Returns:
        ``path``.
    """
    import trimesh
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if colors is not None:
        colors = np.asarray(colors).astype(np.uint8)
    trimesh.PointCloud(np.asarray(points), colors=colors).export(path)
    return path


def write_page(path: Union[str, Path],
               sheets: Sequence[tuple[str, dict]],
               pictures: Sequence[Path],
               *,
               title: str) -> Path:
    """Write an HTML page of pictures and of clouds that can be turned.

    The page stands on its own: it asks for nothing from elsewhere.

    Args:
        path: The file; its folder is made.
        sheets: Of each shape its name, which another may have too, and the
            rows of :func:`draw_sheet`; their clouds are drawn.
        pictures: PNG file of each shape.
        title: Of the page.

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
                    colors=_base64(255 * cell.colors, 'u1'))
                for row in rows.values() for caption, cell in row.items()
                if isinstance(cell, Cloud)
            ]) for (name, rows), picture in zip(sheets, pictures)
    ]
    # In a script, nothing but this could be taken for the end of it.
    data = json.dumps(shapes).replace('<', '\\u003c')
    page = Template(TEMPLATE.read_text()).substitute(
        title=escape(title), shapes=data)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page)
    return path


def _base64(data, dtype: Optional[str] = None) -> str:
    """Bytes, or an array as numbers of one type, as text."""
    if dtype is not None:
        data = np.asarray(data).astype(dtype).tobytes()
    return base64.b64encode(data).decode()
