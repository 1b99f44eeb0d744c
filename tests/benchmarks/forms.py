"""A model beside its published form."""

import copy

import torch
from timm.layers import DropPath

from benchmarks.published import make_published, parts_of


def with_published(model, forms):
    """``model`` in double precision with norms that do something, and a copy.

    In float32 rounding may choose another one of two maxima. No block is
    dropped at random.
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
    """The largest difference in each parameter, as a share of its largest gradient.

    Before a norm over the batch, a bias has only rounding for gradient: ``smallest``.
    """
    assert ours.keys() == published.keys() and len(ours) > at_least
    for name, gradient in ours.items():
        scale = gradient.abs().max().clamp(min=smallest)
        assert (gradient - published[name]).abs().max() <= tolerance * scale, name
