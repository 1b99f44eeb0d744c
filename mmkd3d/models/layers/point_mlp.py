"""MLPs that are shared by all points."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mmkd3d.ops import three_interpolate
from mmkd3d.ops.batch_norm import batch_norm, linear_norm

from .patches import RowBatchNorm


def shared_mlp(*dims: int, bias: bool = True) -> list[nn.Module]:
    """Linear, BatchNorm, ReLU from width to width, over rows of points."""
    layers = []
    for width, out in zip(dims, dims[1:]):
        layers += [nn.Linear(width, out, bias=bias), RowBatchNorm(out), nn.ReLU(inplace=True)]
    return layers


def run_mlp(mlp: nn.Sequential, x: Tensor) -> Tensor:
    """Run an MLP over rows (N, C), each norm in one step with its linear layer and ReLU."""
    layers = list(mlp)
    while layers:
        layer = layers.pop(0)
        if isinstance(layer, nn.Linear) and layers and isinstance(layers[0], RowBatchNorm):
            norm, relu = layers.pop(0), _pop_relu(layers)
            x = linear_norm(x, layer.weight, layer.bias, norm, relu=relu)
        elif isinstance(layer, RowBatchNorm):
            x = batch_norm(x, layer, relu=_pop_relu(layers))
        else:
            x = layer(x)
    return x


def _pop_relu(layers: list[nn.Module]) -> bool:
    """Remove the first layer if it is a ReLU."""
    if layers and isinstance(layers[0], nn.ReLU):
        layers.pop(0)
        return True
    return False


def on_rows(mlp: nn.Sequential, x: Tensor) -> Tensor:
    """Run an MLP with norms over rows on (B, N, D)."""
    return run_mlp(mlp, x.flatten(0, 1)).view(*x.shape[:2], -1)


def carry_to_points(
    mlp: nn.Sequential,
    points: Tensor,
    centers: Tensor,
    tokens: Tensor,
    features: Tensor | None = None,
) -> Tensor:
    """Run ``mlp`` on [coordinates, features, interpolated tokens] of points.

    The first layer is linear, and so is the interpolation: tokens go through
    it at their centres, before they are interpolated.

    Args:
        mlp: From :func:`shared_mlp`, for 3 [+ F] + C channels to D.
        points: (B, N, 3).
        centers: (B, G, 3) of the tokens.
        tokens: (B, G, C).
        features: (B, N, F) of the points.

    Returns:
        (B, N, D); tokens are interpolated by inverse squared distances to the
        three nearest centres.
    """
    layer = mlp[0]
    own = points
    if features is not None:
        own = torch.cat([points, features], dim=2)
    of_points, of_tokens = layer.weight.split([own.shape[2], tokens.shape[2]], dim=1)
    x = F.linear(own, of_points, layer.bias) + three_interpolate(
        points, centers, F.linear(tokens, of_tokens), squared=True
    )
    return on_rows(mlp[1:], x)
