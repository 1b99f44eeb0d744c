"""Linear layer, batch norm, ReLU and maximum over the points of groups, as one operation."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm

from .batch_norm import linear_norm, sums_of_rows, update_statistics
from .compiled import in_threads, kernels, use_kernels
from .pooling import find_maxima, maximum

ENTRIES_AT_A_TIME = 2**18  # of the layer's output, which stay in a core's cache


def linear_norm_max(x: Tensor, weight: Tensor, bias: Tensor | None, norm: _BatchNorm) -> Tensor:
    """Linear layer, batch norm, ReLU, and the maximum over the points of groups.

    In training on a CPU in float32, the output of the layer is not kept, and with one thread
    computed a few groups at a time: the norm needs its moments, the maximum the largest value of
    each group and its place, and the gradient no more than that and ``x``.

    Args:
        x: (N, K, C), groups of K points.
        weight: (D, C).
        bias: (D,) or None.
        norm: Of D channels; its running statistics are updated in training.

    Returns:
        (N, D).
    """
    N, K, _ = x.shape
    if (
        norm.training
        and norm.affine
        and norm.track_running_stats
        and bias is None
        and N * K > 1
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled(x.device.type)
        and use_kernels(x)
    ):
        return _PooledNorm.apply(x.contiguous(), weight, norm.weight, norm.bias, norm)
    rows = linear_norm(x.flatten(0, 1), weight, bias, norm, relu=True)
    return maximum(rows.view(N, K, -1))


class _PooledNorm(torch.autograd.Function):
    """The layer, of float32 in training.

    Where the norm has a negative weight, its largest value is that of the smallest input. Such
    channels of the layer change their sign, and the norm takes the absolute value of its weight.
    """

    @staticmethod
    def forward(ctx, x, weight, norm_weight, norm_bias, norm):
        N, K, _ = x.shape
        sign = torch.where(norm_weight < 0, -1.0, 1.0)
        columns = (weight * sign[:, None]).t().contiguous()
        sums = x.new_zeros(2, len(weight), dtype=torch.float64)
        top = x.new_empty(N, len(weight))
        place = torch.empty_like(top, dtype=torch.int32)
        for part in _parts(N, K * len(weight)):
            rows = x[part].flatten(0, 1) @ columns
            sums += sums_of_rows(rows)
            find_maxima(rows.view(-1, K, len(weight)), top[part], place[part])
        mean, square = sums / (N * K)
        var = (square - mean * mean).clamp_(min=0)
        update_statistics(norm, mean * sign, var * (N * K / (N * K - 1)))
        inverse = (var + norm.eps).rsqrt()
        scale = inverse * norm_weight.abs()
        out = torch.addcmul((norm_bias - mean * scale).float(), top, scale.float()).relu_()
        ctx.save_for_backward(x, columns, sign, top, place, out, mean, inverse, scale)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        x, columns, sign, top, place, out, mean, inverse, scale = ctx.saved_tensors
        N, K, C = x.shape
        grad = torch.where(out > 0, grad, 0).double()
        total, dot = grad.sum(0), (grad * (top - mean)).sum(0)
        slope, offset = scale * inverse.square() * dot / (N * K), scale * total / (N * K)
        # The gradient of an output z of the layer is grad * scale at the place of the maximum,
        # plus offset_of_z - slope * z everywhere; with z = x @ columns, the second part of the
        # gradient of x is a product with a matrix (C, C).
        double = columns.double()
        matrix = (double * -slope @ double.T).float()
        shift = (double @ (mean * slope - offset)).float()
        at_places, weight = (grad * scale).float(), columns.t().contiguous()
        x_grad, weight_grad = torch.empty_like(x), torch.zeros_like(double.T)
        products, total_x = double.new_zeros(C, C), double.new_zeros(C)
        for part in _parts(N, K * len(weight)):
            rows = x[part].flatten(0, 1)
            torch.addmm(shift, rows, matrix, out=x_grad[part].view(-1, C))
            products += rows.t() @ rows
            total_x += rows.sum(0)
            tensors = at_places[part], place[part], weight, x[part], x_grad[part]
            weight_grad += _add_at_places(*tensors)
        products -= total_x.outer(total_x) / (N * K)
        weight_grad -= slope[:, None] * (double.T @ products) + offset.outer(total_x)
        weight_grad = (weight_grad * sign[:, None]).float()
        return x_grad, weight_grad, (dot * inverse * sign).float(), total.float(), None


def _parts(num_groups: int, entries: int) -> Iterator[slice]:
    """Groups of so many entries each, a few at a time.

    With several threads all at once: each switch between threads of torch and our own waits.
    """
    few = max(1, ENTRIES_AT_A_TIME // entries)
    step = few if torch.get_num_threads() == 1 else num_groups
    return (slice(start, min(start + step, num_groups)) for start in range(0, num_groups, step))


def _add_at_places(
    grad: Tensor, place: Tensor, weight: Tensor, x: Tensor, x_grad: Tensor
) -> Tensor:
    """Add the gradients of maxima to those of their points; returns the weight's (D, C)."""
    arrays = [each.numpy() for each in (grad, place, weight, x, x_grad)]

    def add(start: int, stop: int) -> Tensor:
        out = torch.zeros_like(weight)
        kernels().add_at_places(start, stop, *arrays, out.numpy())
        return out

    return sum(in_threads(add, len(x), ENTRIES_AT_A_TIME // (x.shape[1] * len(weight))))
