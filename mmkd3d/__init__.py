"""Teachers for point clouds: a pretraining plugin for mmdetection3d."""
from .version import __version__

__all__ = ['__version__']
