"""Reading weights: ours and the published ones, with a strict account."""
from .export import export_backbone
from .files import read_checkpoint, state_dict_of
from .fingerprint import frozen_fingerprint
from .loading import LoadReport, load_pretrained
from .sources import (SOURCES, convert, detect, our_name, published_name,
                      to_published)

__all__ = [
    'LoadReport', 'SOURCES', 'convert', 'detect', 'export_backbone',
    'frozen_fingerprint', 'load_pretrained', 'our_name', 'published_name', 'read_checkpoint',
    'state_dict_of', 'to_published'
]
