"""Helpers for distributed training."""

import torch.nn as nn
from mmengine.model import is_model_wrapper


def unwrap_model(model: nn.Module) -> nn.Module:
    """Return the model inside ``DistributedDataParallel`` or a similar wrapper."""
    return model.module if is_model_wrapper(model) else model
