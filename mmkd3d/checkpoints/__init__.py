"""Reading weights: ours and the published ones, with a strict account."""

from .export import export_backbone
from .files import read_checkpoint, state_dict_of
from .input_spec import InputSpec, spec_of_config
from .loading import LoadReport, load_pretrained
from .sources import SOURCES, convert, detect, our_name, published_name, to_published
from .stored import stored_config, stored_spec

__all__ = [
    'InputSpec',
    'LoadReport',
    'SOURCES',
    'convert',
    'detect',
    'export_backbone',
    'load_pretrained',
    'our_name',
    'published_name',
    'read_checkpoint',
    'spec_of_config',
    'state_dict_of',
    'stored_config',
    'stored_spec',
    'to_published',
]
