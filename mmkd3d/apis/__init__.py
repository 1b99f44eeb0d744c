"""What users call from Python."""
from .model_hub import config_path, get_config, get_model, list_models
from .students import load_student

__all__ = ['config_path', 'get_config', 'get_model', 'list_models', 'load_student']
