"""Weight decay and learning rates of I2P-MAE's configs (spec, section 9)."""

import math

import pytest
import torch.nn as nn
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper

from mmkd3d.checkpoints import published_name
from mmkd3d.registry import MODELS, PARAM_SCHEDULERS
from tests.helpers import REPO
from tests.parity.test_recon_optimizer import without_weights

PRETRAIN = 'i2p-mae-b_1xb64-300e_shapenet55'
# Our config, the source with the published names, lr and t_initial.
RUNS = [
    (PRETRAIN, 'i2p_mae', 1e-3, 400),
    ('point-m2ae-b_1xb128-300e_shapenet55', 'point_m2ae', 1e-3, 400),
    ('benchmarks/cls_i2p-mae-b_1xb32-300e_modelnet40', 'point_m2ae_classifier', 5e-4, 300),
    (
        'benchmarks/cls_i2p-mae-b_1xb32-300e_scanobjectnn-hardest',
        'point_m2ae_classifier',
        5e-4,
        300,
    ),
    ('benchmarks/partseg_i2p-mae-b_1xb16-300e_shapenetpart', 'point_m2ae_partseg', 2e-4, 300),
]
runs = pytest.mark.parametrize('name, source, lr, period', RUNS, ids=[run[0] for run in RUNS])


def build(name):
    cfg = Config.fromfile(REPO / 'configs/i2p_mae' / f'{name}.py')
    if 'target' in cfg.model:
        cfg.model.target = dict(type='mmkd3d.TeacherNotRead')
    model = MODELS.build({'_scope_': 'mmkd3d', **without_weights(cfg.model)})
    return model, build_optim_wrapper(model, cfg.optim_wrapper)


def published_decay(name, parameter):
    """Published weight decay of a parameter, by its published name."""
    free = parameter.ndim == 1 or name.endswith('.bias') or 'token' in name
    return 0.0 if free else 0.05


@runs
def test_what_has_no_decay_is_as_published(name, source, lr, period):
    model, wrapper = build(name)
    groups = {id(p): group for group in wrapper.param_groups for p in group['params']}
    decays = set()
    for ours, p in model.named_parameters():
        theirs = published_name(ours, source)
        # It gets no gradient in the published code; here it is frozen.
        if theirs.startswith('h_encoder.encoder_norms.0') and ('shapenet55' in name):
            assert not p.requires_grad
            continue
        group = groups[id(p)]
        assert p.requires_grad
        assert group['weight_decay'] == published_decay(theirs, p), theirs
        assert group['lr'] == lr
        assert group['betas'] == (0.9, 0.999) and group['eps'] == 1e-8
        decays.add((theirs.split('.')[0], group['weight_decay']))
    assert {('h_encoder', 0.0), ('h_encoder', 0.05)} <= decays
    if source == 'i2p_mae':
        assert ('mask_token', 0.0) in decays
        assert ('token_prop', 0.0) in decays
        assert ('token_prop', 0.05) not in decays


def spec_rate(epoch, base, period):
    """Section 9: timm's cosine schedule, stepped with the epoch index after each epoch."""
    t = max(epoch - 1, 0)
    if t < 10:
        return 1e-6 + t * (base - 1e-6) / 10
    return 1e-6 + 0.5 * (base - 1e-6) * (1 + math.cos(math.pi * t / period))


@runs
def test_the_learning_rate_is_as_published(name, source, lr, period):
    cfg = Config.fromfile(REPO / 'configs/i2p_mae' / f'{name}.py')
    wrapper = build_optim_wrapper(nn.Linear(2, 2), cfg.optim_wrapper)
    scheduler = PARAM_SCHEDULERS.build(cfg.param_scheduler, default_args=dict(optimizer=wrapper))
    last = cfg.train_cfg.max_epochs - 1
    assert last == 300 - ('partseg' in name)
    used = {}
    for epoch in range(last + 1):
        rates = {group['lr'] for group in wrapper.param_groups}
        assert len(rates) == 1
        used[epoch] = rates.pop()
        wrapper.step()  # no-op without gradients
        scheduler.step()
    for epoch in (0, 1, 2, 10, 11, 150, last):
        assert used[epoch] == pytest.approx(spec_rate(epoch, lr, period), rel=1e-9)
    if name == PRETRAIN:
        by_hand = {
            0: 1e-6,
            1: 1e-6,
            2: 1.009e-4,
            10: 9.001e-4,
            11: 9.98460e-4,
            150: 6.95269e-4,
            300: 1.50085e-4,
        }
        assert {epoch: used[epoch] for epoch in by_hand} == pytest.approx(by_hand, rel=1e-5)


@runs
def test_the_gradient_is_clipped_in_finetuning_only(name, source, lr, period):
    clip = Config.fromfile(REPO / 'configs/i2p_mae' / f'{name}.py').optim_wrapper.get('clip_grad')
    pretraining = 'shapenet55' in name
    assert clip == (None if pretraining else dict(max_norm=10, norm_type=2))
