"""Load weights, ours and published ones, with an account of every key."""

from .export import export_backbone, split_teacher
from .files import read_checkpoint, state_dict_of
from .input_spec import InputSpec, spec_of_config
from .loading import LoadReport, load_pretrained, stage_of
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
    'split_teacher',
    'stage_of',
    'state_dict_of',
    'stored_config',
    'stored_spec',
    'to_published',
]
