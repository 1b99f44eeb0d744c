"""Faster layers of PointNet++ on a CPU, for stock models of mmdetection3d.

Groups of points are stored as rows of channels, (B, M, K, C) in memory, which torch calls
channels-last. 1x1 convolutions keep this layout, as a matrix product with the batch norm and the
ReLU after it. Models, weights and shapes stay the same; other layers run as before.
"""

from typing import Any

import torch
from torch import Tensor, nn

from .batch_norm import linear_norm
from .compiled import in_threads, kernels, use_kernels
from .dispatch import mode
from .gather import gather

HOOKS = '_forward_hooks', '_forward_pre_hooks', '_backward_hooks', '_backward_pre_hooks'


def group_rows(function: type[torch.autograd.Function]) -> None:
    """Let mmcv's ``GroupingOperation`` return rows on a CPU."""
    stock_forward, stock_backward = function.forward, function.backward

    def forward(ctx, features: Tensor, indices: Tensor, *counts) -> Tensor:
        """Group features (B, C, N) by indices (B, M, K) to (B, C, M, K)."""
        ctx.rows = not any(x is not None for x in counts) and runs_here(features)
        if not ctx.rows:
            return stock_forward(ctx, features, indices, *counts)
        ctx.for_backwards = indices, features.shape[2], len(counts)
        return gather(features.mT.contiguous(), indices).permute(0, 3, 1, 2)

    def backward(ctx, grad: Tensor) -> tuple:
        if not ctx.rows:
            return stock_backward(ctx, grad)
        indices, num_points, num_counts = ctx.for_backwards
        rows = grad.permute(0, 2, 3, 1).float().contiguous().flatten(1, 2)
        out = rows.new_zeros(len(rows), num_points, rows.shape[2])
        arrays = rows.numpy(), indices.flatten(1).numpy(), out.numpy()
        in_threads(lambda start, stop: kernels().add_rows(start, stop, *arrays), len(rows), 1)
        return out.mT.contiguous().to(grad.dtype), None, *[None] * num_counts

    function.forward, function.backward = staticmethod(forward), staticmethod(backward)


def convolve(module: type[nn.Module]) -> None:
    """Let mmcv's ``ConvModule`` run 1x1 convolutions of rows as matrix products."""
    stock = module.forward

    def forward(self, x: Tensor, activate: bool = True, norm: bool = True) -> Tensor:
        if not (activate and norm and _is_rows(x) and is_pointwise(self) and runs_here(x)):
            return stock(self, x, activate, norm)
        rows = x.permute(0, 2, 3, 1)
        weight = self.conv.weight.flatten(1)
        out = linear_norm(rows.flatten(0, 2), weight, self.conv.bias, self.norm, relu=True)
        return out.view(*rows.shape[:3], -1).permute(0, 3, 1, 2)

    forward.__doc__ = stock.__doc__
    module.forward = forward


def runs_here(x: Tensor) -> bool:
    """Whether the layers of this module run on ``x``."""
    return use_kernels(x) and x.dtype in (torch.float32, torch.bfloat16) and mode() != 'mmcv'


def _is_rows(x: Tensor) -> bool:
    """Whether (B, C, H, W) has more than one row of channels, stored one after another."""
    return (
        x.ndim == 4
        and x.numel() > x.shape[1]
        and x.permute(0, 2, 3, 1).is_contiguous()
        and not x.is_contiguous()
    )


def is_pointwise(module: Any) -> bool:
    """Whether a ``ConvModule`` is a plain 1x1 convolution, a batch norm and a ReLU."""
    conv, norm = module.conv, module.norm
    if module.order != ('conv', 'norm', 'act') or not module.with_activation:
        return False
    parts = conv, norm, module.activate
    if tuple(map(type, parts)) != (nn.Conv2d, nn.BatchNorm2d, nn.ReLU):
        return False
    if has_hooks(*parts) or module.with_explicit_padding:
        return False
    shape = conv.kernel_size, conv.stride, conv.padding, conv.groups
    return bool(
        shape == ((1, 1), (1, 1), (0, 0), 1)
        and norm.affine
        and norm.track_running_stats
        and (norm.training or not torch.is_grad_enabled())
    )


def has_hooks(*modules: nn.Module) -> bool:
    """Whether to call the modules themselves."""
    own = any(getattr(module, hooks) for module in modules for hooks in HOOKS)
    return own or torch.nn.modules.module._has_any_global_hook()
