"""What users call from Python."""

from .model_hub import config_path, get_config, get_model, list_models
from .students import load_student

__all__ = [
    'Det3DInferencer',
    'FeatureExtractor',
    'config_path',
    'get_config',
    'get_model',
    'list_models',
    'load_student',
]


def __getattr__(name: str):
    if name == 'FeatureExtractor':  # brings all models and data sets
        from .feature_extractor import FeatureExtractor

        return FeatureExtractor
    if name == 'Det3DInferencer':
        from .detection import Det3DInferencer

        return Det3DInferencer
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
