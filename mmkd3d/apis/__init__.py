"""What users call from Python."""
from .model_hub import config_path, get_config, get_model, list_models

__all__ = ['config_path', 'get_config', 'get_model', 'list_models']
