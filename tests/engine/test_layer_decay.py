"""Layer-wise learning rates against rates derived from parameter names."""

import re

import pytest
import torch
import torch.nn as nn
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import build_optim_wrapper

from mmkd3d.registry import MODELS
from tests.helpers import rejects
from tests.models.small_m2ae import student

PLAIN = dict(embed_dims=24, depth=3, num_heads=3, patch_dims=(8, 16))
STUDENTS = dict(
    PointTransformer=dict(PLAIN, type='mmkd3d.PointTransformer'),
    ReConTransformer=dict(PLAIN, type='mmkd3d.ReConTransformer'),
    ThreeDETREncoder=dict(
        type='mmkd3d.ThreeDETREncoder', embed_dims=24, num_heads=3, ffn_dims=8, with_norm=True
    ),
    PointM2AE=student(depths=(1, 2, 1)),
)
RATE, LR = 0.65, 1e-2


class Detector(nn.Module):
    """A student followed by newly initialised layers."""

    def __init__(self, backbone):
        super().__init__()
        self.backbone = MODELS.build(backbone) if isinstance(backbone, dict) else backbone
        self.bbox_head = nn.Sequential(nn.Linear(24, 8), nn.LayerNorm(8))


def optimizer_of(model, optimizer='AdamW', rate=RATE, **paramwise):
    cfg = dict(
        constructor='mmkd3d.LayerDecayOptimWrapperConstructor',
        optimizer=dict(type=optimizer, lr=LR, weight_decay=0.1 if optimizer == 'AdamW' else 0.0),
        paramwise_cfg=dict(layer_decay_rate=rate, **paramwise),
    )
    return build_optim_wrapper(model, cfg)


def settings(model, wrapper, key='lr'):
    names = {p: name for name, p in model.named_parameters()}
    groups = wrapper.optimizer.param_groups
    found = {names[p]: group[key] for group in groups for p in group['params']}
    assert set(found) == set(names.values())
    return found


def naive(name):
    """Learning rate of a parameter for a student with three blocks."""
    if not name.startswith('backbone.'):
        return LR
    block = re.match(r'backbone\.blocks\.(\d+)\.', name)
    if block:
        return LR * RATE ** (3 - int(block[1]))
    if name.startswith('backbone.norm.'):
        return LR
    return LR * RATE**4


def naive_pyramid(name):
    """Learning rate of a parameter for a pyramid with 1 + 2 + 1 blocks."""
    if not name.startswith('backbone.') or '.norms.' in name:
        return LR
    part, level, block = name.split('.')[1:4]
    below = [0, 1, 3][int(level)]
    if part == 'blocks':
        return LR * RATE ** (4 - below - int(block))
    return LR * RATE ** (5 - below)


@pytest.mark.parametrize('kind', STUDENTS)
def test_rates_fall_with_the_depth(kind):
    model = Detector(STUDENTS[kind])
    rates = settings(model, optimizer_of(model))
    expected = naive_pyramid if kind == 'PointM2AE' else naive
    for name, rate in rates.items():
        assert rate == pytest.approx(expected(name)), name
    assert len(set(rates.values())) == (6 if kind == 'PointM2AE' else 5)


def test_what_mmengine_does_with_other_keys_stays():
    model = Detector(STUDENTS['PointTransformer'])
    wrapper = optimizer_of(
        model,
        norm_decay_mult=0.0,
        bias_decay_mult=0.5,
        custom_keys={'pos_embed': dict(lr_mult=10.0), 'cls_': dict(decay_mult=0)},
    )
    rates, decays = (settings(model, wrapper, key) for key in ('lr', 'weight_decay'))
    for name in rates:
        factor = 10 if 'pos_embed' in name else 1
        assert rates[name] == pytest.approx(factor * naive(name)), name
    assert decays['backbone.blocks.1.norm1.weight'] == 0
    assert decays['bbox_head.1.bias'] == decays['backbone.cls_token'] == 0
    assert decays['bbox_head.0.bias'] == pytest.approx(0.05)
    assert decays['backbone.blocks.0.attn.qkv.weight'] == 0.1


def test_a_step_follows_the_rates():
    model = Detector(STUDENTS['PointTransformer'])
    wrapper = optimizer_of(model, 'SGD')
    before = {k: p.detach().clone() for k, p in model.named_parameters()}
    wrapper.update_params(sum(p.sum() for p in model.parameters()))
    for name, p in model.named_parameters():
        expected = torch.full_like(p, naive(name))
        torch.testing.assert_close(before[name] - p, expected, atol=1e-6, rtol=0)
    assert set(settings(model, optimizer_of(model, rate=1)).values()) == {LR}


def test_frozen_parameters_are_left_out_and_ranks_unwrapped(one_process):
    model = Detector(STUDENTS['PointTransformer'])
    model.backbone.patch_embed.requires_grad_(False)
    wrapper = optimizer_of(MMDistributedDataParallel(model))
    names = {p: name for name, p in model.named_parameters()}
    found = {names[g['params'][0]]: g['lr'] for g in wrapper.optimizer.param_groups}
    for name, p in model.named_parameters():
        # mmengine skips frozen parameters
        assert (name in found) == p.requires_grad
        assert not p.requires_grad or found[name] == pytest.approx(naive(name))


@pytest.fixture
def one_process(tmp_path):
    store = f'file://{tmp_path}/store'
    torch.distributed.init_process_group('gloo', init_method=store, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def test_errors_say_what_to_do():
    says = "get_layer_depth.*got Linear in Detector.*custom_keys={'backbone'"
    rejects(says, optimizer_of, Detector(nn.Linear(2, 2)))
    rejects('got NoneType in Linear', optimizer_of, nn.Linear(2, 2))
    model = Detector(STUDENTS['PointTransformer'])
    for rate in (None, 0, 1.5, '0.65'):
        rejects('layer_decay_rate in', optimizer_of, model, rate=rate)
