"""Reading weights: ours and the published ones, with a strict account."""
from .files import read_checkpoint, state_dict_of
from .loading import LoadReport, load_pretrained
from .sources import SOURCES, convert

__all__ = [
    'LoadReport', 'SOURCES', 'convert', 'load_pretrained', 'read_checkpoint',
    'state_dict_of'
]
