"""Draw to files; no display is needed."""

from .panels import Cloud, draw_boxes, draw_clouds, draw_sheet
from .scenes import draw_scene
from .writers import write_box_ply, write_page, write_ply

__all__ = [
    'Cloud',
    'draw_boxes',
    'draw_clouds',
    'draw_scene',
    'draw_sheet',
    'write_box_ply',
    'write_page',
    'write_ply',
]
