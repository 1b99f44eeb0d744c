"""Optimizer wrapper for mixed precision in bf16."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
import torch.nn as nn
from mmengine.optim import OptimWrapper
from torch.nn.attention import SDPBackend, sdpa_kernel

from mmkd3d.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class Bf16OptimWrapper(OptimWrapper):
    """Mixed precision in bf16 on any device, CPUs included.

    The losses are computed under ``torch.autocast``: matrix products in bf16,
    everything that needs the precision in float32. Weights, gradients and the
    state of the optimizer stay in float32, so a run can be resumed in either
    precision. bf16 has the range of float32: the loss is not scaled, and
    training stops at the first gradient that is not finite. Takes the
    arguments of mmengine's ``OptimWrapper``. Validation stays in float32
    unless ``val_cfg`` has ``fp16=True``, which means bf16 on a CPU.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Context of a forward pass in training."""
        device = self.optimizer.param_groups[0]['params'][0].device
        with ExitStack() as stack:
            stack.enter_context(super().optim_context(model))
            stack.enter_context(torch.autocast(device.type, torch.bfloat16))
            if device.type == 'cpu':  # whose fused attention is slow in bf16, backwards
                stack.enter_context(sdpa_kernel(SDPBackend.MATH))
            yield
