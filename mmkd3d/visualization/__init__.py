"""Pictures as files; nothing here needs a display."""
from .panels import Cloud, draw_boxes, draw_clouds, draw_sheet
from .writers import write_page, write_ply

__all__ = [
    'Cloud', 'draw_boxes', 'draw_clouds', 'draw_sheet', 'write_page',
    'write_ply'
]
