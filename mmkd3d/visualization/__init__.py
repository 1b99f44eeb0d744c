"""Pictures as files; nothing here needs a display."""
from .panels import draw_boxes, draw_clouds
from .writers import write_ply

__all__ = ['draw_boxes', 'draw_clouds', 'write_ply']
