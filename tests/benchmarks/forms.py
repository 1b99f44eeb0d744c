"""Compare a model with its published implementation."""

import copy

import torch
from timm.layers import DropPath

from benchmarks.published import make_published, parts_of


def with_published(model, forms):
    """``model`` with random norm parameters, and a copy in its published form.

    Both are in float64, because rounding in float32 can swap two nearly equal
    maxima. Stochastic depth is off.
    """
    model.double()
    for part in parts_of(model):
        if isinstance(part, DropPath):
            part.drop_prob = 0.0
        for name, parameter in part.named_parameters(recurse=False):
            if 'Norm' in type(part).__name__:
                parameter.data += 0.3 * torch.randn_like(parameter)
    published = copy.deepcopy(model)
    make_published(published, forms)
    return model, published


def gradients_of(model):
    """Gradients by name."""
    found = {name: p.grad for name, p in model.named_parameters()}
    return {name: grad for name, grad in found.items() if grad is not None}


def check_gradients(ours, published, at_least, tolerance, smallest=0.0):
    """Compare gradients relative to the largest gradient of each parameter.

    ``smallest`` bounds the scale from below: the gradient of a bias before a
    batch norm is only rounding error.
    """
    assert ours.keys() == published.keys() and len(ours) > at_least
    for name, gradient in ours.items():
        scale = gradient.abs().max().clamp(min=smallest)
        assert (gradient - published[name]).abs().max() <= tolerance * scale, name
