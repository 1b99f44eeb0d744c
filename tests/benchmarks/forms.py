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
