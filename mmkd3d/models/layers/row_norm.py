"""Batch normalisation of rows that keeps its precision on a CPU."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

BLOCK = 2**20  # entries that stay in the cache while they are used twice


class RowBatchNorm(nn.BatchNorm1d):
    """``BatchNorm1d`` over rows (N, C).

    On a CPU torch adds up the rows of this layout one after the other in
    float32: with 262,144 rows, which the patches of one batch have, its
    outputs are off by 3e-3 and more. Here the sums are those of
    ``torch.sum``, which adds pairs; all else is torch's.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Norm rows (N, C)."""
        if x.device.type != 'cpu' or not self.training or x.dtype != torch.float32:
            return super().forward(x)
        if len(x) < 2:
            raise ValueError(
                'Batch statistics need more than one row, got '
                f'{tuple(x.shape)}: use a larger batch.'
            )
        y, mean, var = _Normalize.apply(x, self.weight, self.bias, self.eps)
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(var * (len(x) / (len(x) - 1)), self.momentum)
        return y


class _Normalize(torch.autograd.Function):
    """Norm by the mean and the variance of the batch, which it returns."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor, eps: float):
        mean = x.mean(0)
        var = sum((rows - mean).square_().sum(0) for rows in _blocks(x))
        var /= len(x)
        ctx.save_for_backward(x, weight, mean, (var + eps).rsqrt())
        ctx.mark_non_differentiable(mean, var)
        return F.batch_norm(x, mean, var, weight, bias, eps=eps), mean, var

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor, *_):
        x, weight, mean, scale = ctx.saved_tensors
        grad_bias = grad.sum(0)
        grad_weight = scale * sum(
            (rows - mean).mul_(g).sum(0) for rows, g in zip(_blocks(x), _blocks(grad))
        )
        slope = scale * grad_weight / len(x)
        offset = grad_bias / len(x)
        grad_x = torch.empty_like(x)
        for out, rows, g in zip(*map(_blocks, (grad_x, x, grad))):
            torch.sub(g, offset, out=out)
            out.addcmul_(rows - mean, slope, value=-1).mul_(weight * scale)
        return grad_x, grad_weight, grad_bias, None


def _blocks(x: Tensor) -> tuple[Tensor, ...]:
    return x.split(max(1, BLOCK // x.shape[1]))
