"""Compare a model with its published implementation."""

import copy

import torch
from timm.layers import DropPath

from benchmarks.methods import METHODS, Mode
from benchmarks.published import make_published, parts_of
from benchmarks.steps import Case, build_model, make_batch, shipped_config
from tests.small_models import shrink


def shrink_views(cfg):
    """Also draw views of 32 pixels for a teacher of that size."""
    cfg = shrink(cfg)
    if cfg['type'] == 'I2PMAE':
        cfg['target']['projector']['size'] = 32
        sizes = cfg['target']['teacher']['model_kwargs']
        sizes['vision_cfg'].update(image_size=32, patch_size=8)
        sizes['embed_dim'] = 24
    return cfg


CASE = Case(batch_size=6, shrink=shrink_views, num_threads=torch.get_num_threads())


def small_model(name):
    """Small model of a benchmark in train mode, and its batch."""
    method = METHODS[name]
    cfg = shipped_config(method.config)
    batch = make_batch(cfg, method, Mode(), CASE)
    return build_model(cfg, method, Mode(), CASE, batch), batch


def with_published(model, name):
    """``model`` with random norms, and a copy in the published form of a method.

    Both are in float64, because rounding in float32 can swap two nearly equal
    maxima. Stochastic depth is off.
    """
    model.double()
    for part in parts_of(model):
        if isinstance(part, DropPath):
            part.drop_prob = 0.0
        if 'Norm' not in type(part).__name__:
            continue
        for _, parameter in part.named_parameters(recurse=False):
            parameter.data += 0.3 * torch.randn_like(parameter)
        for key, buffer in part.named_buffers(recurse=False):
            if key in ('running_mean', 'running_var'):
                buffer += 0.3 * torch.rand_like(buffer)
    published = copy.deepcopy(model)
    make_published(published, METHODS[name].forms())
    return model, published


def check_forms(published, name):
    """No part of a model lacks its published form; returns the names of forms that it does not use."""
    found = {type(part) for part in (*parts_of(published), published.masker)}
    assert not found & {form.__base__ for form in METHODS[name].forms()}
    return {form.__name__ for form in {*METHODS[name].forms()} - found}


def gradients_of(model):
    """Gradients by name."""
    found = {name: p.grad for name, p in model.named_parameters()}
    return {name: grad for name, grad in found.items() if grad is not None}


def check_gradients(ours, published, at_least, tolerance, smallest=0.0):
    """Compare gradients relative to the largest gradient of each parameter.

    ``smallest`` bounds the scale from below: the gradient of a bias before a
    batch norm is only rounding error.
    """
    assert ours.keys() == published.keys()
    assert len(ours) > at_least
    for name, gradient in ours.items():
        scale = gradient.abs().max().clamp(min=smallest)
        assert (gradient - published[name]).abs().max() <= tolerance * scale, name
