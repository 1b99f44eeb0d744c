"""Linear layer, batch norm and ReLU over rows, with exact sums on a CPU."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .compiled import in_threads, kernels, use_kernels

ROWS_PER_THREAD = 2**17  # times the width: entries that take some 0.1 ms


def linear_norm(
    x: Tensor, weight: Tensor, bias: Tensor | None, norm: _BatchNorm, *, relu: bool
) -> Tensor:
    """Linear layer and batch norm of rows, and ReLU.

    In evaluation without gradients the norm becomes part of the weights.

    Args:
        x: (N, C).
        weight: (D, C).
        bias: (D,) or None.
        norm: Of D channels; its running statistics are updated in training.
        relu: Whether a ReLU follows.

    Returns:
        (N, D).
    """
    in_evaluation = not norm.training and not torch.is_grad_enabled()
    if in_evaluation and norm.track_running_stats and norm.affine:
        scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
        shift = norm.bias - norm.running_mean * scale
        if bias is not None:
            shift = shift + bias * scale
        x = F.linear(x, (weight * scale[:, None]).to(weight.dtype), shift.to(weight.dtype))
        return x.relu_() if relu else x
    # With contiguous columns, the gradient of a narrow weight is ten times as fast.
    columns = weight.t().contiguous()
    x = x @ columns if bias is None else torch.addmm(bias, x, columns)
    return batch_norm(x, norm, relu=relu)


def batch_norm(x: Tensor, norm: _BatchNorm, *, relu: bool = False) -> Tensor:
    """Batch norm of rows (N, C), and ReLU.

    In training on a CPU, torch sums rows of this layout one after another in
    float32, and loses up to four digits over the 262,144 rows of a batch of
    patches. This sums in float64.

    Args:
        x: (N, C).
        norm: Of C channels; its running statistics are updated in training.
        relu: Whether a ReLU follows.

    Returns:
        (N, C).
    """
    # In bf16, torch's norm is three times as fast, and loses less than bf16 does by rounding.
    if norm.training and x.device.type == 'cpu' and len(x) > 1 and x.dtype != torch.bfloat16:
        if use_kernels(x) and x.dtype == torch.float32 and norm.affine and x.numel():
            return _batch_norm(x, norm, relu)
        # the same norm over (1, C, N) is exact
        x = _stock(x.T.contiguous()[None], norm)[0].T.contiguous()
    else:
        x = _stock(x, norm)
    return x.relu_() if relu else x


def _stock(x: Tensor, norm: _BatchNorm) -> Tensor:
    """Torch's batch norm of (N, C) or (1, C, N), by a norm of any number of dimensions."""
    missing = 4 - x.ndim if isinstance(norm, nn.BatchNorm2d) else 0
    return _BatchNorm.forward(norm, x.reshape(*x.shape, *[1] * missing)).view_as(x)


def _batch_norm(x: Tensor, norm: _BatchNorm, relu: bool) -> Tensor:
    rows = x.contiguous()
    mean, square = sums_of_rows(rows.detach()) / len(x)
    var = (square - mean * mean).clamp_(min=0)
    if norm.track_running_stats:
        update_statistics(norm, mean, var * (len(x) / (len(x) - 1)))
    return _BatchNormRows.apply(rows, norm.weight, norm.bias, mean, var, norm.eps, relu)


def sums_of_rows(x: Tensor) -> Tensor:
    """Sums of float32 rows (N, C) and of their squares, (2, C), in float64."""
    rows = x.numpy()

    def add(start: int, stop: int) -> Tensor:
        sums = x.new_zeros(2, x.shape[1], dtype=torch.float64)
        kernels().moments(start, stop, rows, *sums.numpy())
        return sums

    return sum(in_threads(add, len(x), ROWS_PER_THREAD // x.shape[1]))


@torch.no_grad()
def update_statistics(norm: _BatchNorm, mean: Tensor, var: Tensor) -> None:
    """Update the running statistics with a mean and an unbiased variance, as torch does."""
    norm.num_batches_tracked.add_(1)
    factor = 1 / norm.num_batches_tracked.item() if norm.momentum is None else norm.momentum
    for running, new in ((norm.running_mean, mean), (norm.running_var, var)):
        running.copy_(running.double() * (1 - factor) + new * factor)


class _BatchNormRows(torch.autograd.Function):
    """Batch norm of float32 rows (N, C) with given moments, and ReLU."""

    @staticmethod
    def forward(ctx, x, weight, bias, mean, var, eps, relu):
        inverse = (var + eps).rsqrt()
        scale = (inverse * weight).float()
        shift = (bias - mean * scale).float()
        out = torch.empty_like(x)
        arrays = x.detach().numpy(), scale.numpy(), shift.numpy(), relu, out.numpy()
        in_threads(
            lambda start, stop: kernels().scale_rows(start, stop, *arrays),
            len(x),
            ROWS_PER_THREAD // x.shape[1],
        )
        ctx.save_for_backward(x, scale, shift, mean.float(), inverse, weight, bias)
        ctx.relu, ctx.eps = relu, eps
        return out

    @staticmethod
    def backward(ctx, grad):
        if torch.is_grad_enabled():  # create_graph=True
            return *_BatchNormRows._differentiable(ctx, grad), None, None, None, None
        x, scale, shift, mean, inverse, *_ = ctx.saved_tensors
        least = ROWS_PER_THREAD // x.shape[1]
        arrays = [each.numpy() for each in (grad.contiguous(), x, scale, shift, mean)]

        def add(start: int, stop: int) -> Tensor:
            sums = inverse.new_zeros(2, x.shape[1])
            kernels().norm_gradient_sums(start, stop, *arrays, ctx.relu, *sums.numpy())
            return sums

        total, dot = sum(in_threads(add, len(x), least))
        slope = (scale * inverse.square() * dot / len(x)).float().numpy()
        offset = (scale * total / len(x)).float().numpy()
        out = torch.empty_like(x)
        arrays += slope, offset, ctx.relu, out.numpy()
        in_threads(lambda start, stop: kernels().norm_gradient(start, stop, *arrays), len(x), least)
        return out, (dot * inverse).float(), total.float(), None, None, None, None

    @staticmethod
    def _differentiable(ctx, grad):
        """Gradients of torch's norm, which have gradients themselves."""
        x, *_, weight, bias = ctx.saved_tensors
        out = F.batch_norm(x, None, None, weight, bias, training=True, eps=ctx.eps)
        out = out.relu() if ctx.relu else out
        needed = [part for part in (x, weight, bias) if part.requires_grad]
        found = iter(torch.autograd.grad(out, needed, grad, create_graph=True))
        return [next(found) if part.requires_grad else None for part in (x, weight, bias)]
