"""Published schedules and weight-decay groups."""

import math

import pytest
import torch
import torch.nn as nn
from mmengine.config import Config
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS
from timm.scheduler import CosineLRScheduler

from mmkd3d.engine.optim.warmup_cosine import WarmupCosineLR
from tests.helpers import REPO, rejects


def rates(base=1e-3, epochs=301, **kwargs):
    weight = nn.Parameter(torch.zeros(1))
    wrapper = OptimWrapper(torch.optim.SGD([weight], lr=base))
    scheduler = WarmupCosineLR(wrapper, **kwargs)
    used = []
    for _ in range(epochs):
        used.append(wrapper.param_groups[0]['lr'])
        wrapper.update_params((weight * 0).sum())
        scheduler.step()
    return used


def test_rates_are_those_of_the_published_table():
    used = rates(1e-3, period=300, min_lr=1e-7)
    for epoch, expected in {
        0: 1e-6,
        1: 1e-6,
        2: 1.009e-4,
        10: 9.001e-4,
        11: 9.972612e-4,
        150: 5.052854e-4,
        299: 2.096473e-7,
        300: 1.274126e-7,
    }.items():
        assert used[epoch] == pytest.approx(expected, rel=1e-5)
    assert rates(5e-4, period=300, min_lr=1e-7)[11] == pytest.approx(4.986307e-4, rel=1e-5)
    rejects('period=5', rates, period=5, warmup=10)


def test_the_schedule_is_timms_one_epoch_late():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.5)
    warmup = dict(warmup_t=10, warmup_lr_init=1e-6)
    timms = CosineLRScheduler(optimizer, t_initial=40, lr_min=1e-6, **warmup)
    expected = [optimizer.param_groups[0]['lr']]
    for epoch in range(40):
        timms.step(epoch)
        expected.append(optimizer.param_groups[0]['lr'])
    used = rates(0.5, epochs=41, period=40)
    assert used == pytest.approx(expected, rel=1e-9)


def published_3detr(step, base, length, epochs=1080, warm_epochs=9):
    """Rate at ``step`` (from 0) with ``length`` steps per epoch (detection, section 5)."""
    done = step / (epochs * length)  # fraction of training
    if done < warm_epochs / epochs:
        return 1e-6 + done * epochs * (base - 1e-6) / warm_epochs
    return 1e-6 + 0.5 * (base - 1e-6) * (1 + math.cos(math.pi * done))


def test_the_schedule_of_3detr_is_the_published_formula():
    base = 7e-4
    config = Config.fromfile(REPO / 'configs/_base_/schedules/3detr_1080e.py')
    length = 7
    wrapper = OptimWrapper(torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=base))
    given = dict(optimizer=wrapper, epoch_length=length, end=config.train_cfg.max_epochs)
    scheduler = PARAM_SCHEDULERS.build(config.param_scheduler, default_args=given)
    assert not scheduler.by_epoch
    used = []
    for _ in range(1080 * length):
        used.append(wrapper.param_groups[0]['lr'])
        scheduler.step()
    expected = [published_3detr(i, base, length) for i in range(1080 * length)]
    assert used == pytest.approx(expected, rel=1e-12)
    assert used[0] == 1e-6 and max(used) == pytest.approx(base, rel=2e-4)
    # mmengine's warm-up and cosine are close; there, the cosine starts after the warm-up.
    after = 100 * length
    late = (after - 9 * length) / (1071 * length)
    stock = 1e-6 + 0.5 * (base - 1e-6) * (1 + math.cos(math.pi * late))
    assert 0 < stock / used[after] - 1 < 0.02


def test_all_parameters_of_3detr_decay_norms_and_biases_too():
    config = Config.fromfile(REPO / 'configs/_base_/schedules/3detr_1080e.py')
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    (group,) = wrapper.optimizer.param_groups
    assert group['weight_decay'] == 0.1 and len(group['params']) == 4
    assert wrapper.clip_grad_kwargs == dict(max_norm=0.1, norm_type=2)


def test_weight_decay_groups_are_the_published_ones():
    config = Config.fromfile(REPO / 'configs/_base_/schedules/pretrain_300e.py')
    model = nn.Module()
    for name in ('cls_token', 'mask_token', 'cls_pos'):
        setattr(model, name, nn.Parameter(torch.zeros(1, 1, 4)))
    model.layer, model.norm = nn.Linear(4, 4), nn.LayerNorm(4)
    model.scale = nn.Parameter(torch.zeros(4))
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    names = {id(p): n for n, p in model.named_parameters()}
    decayed = [g['params'] for g in wrapper.optimizer.param_groups if g['weight_decay']]
    assert {names[id(p)] for group in decayed for p in group} == {'cls_pos', 'layer.weight'}
