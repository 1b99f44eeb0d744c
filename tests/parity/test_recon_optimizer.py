"""Trained parameters and optimizer settings of ReCon's configs against the published code."""

import json

import numpy as np
import pytest
import torch.nn as nn
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper

from mmkd3d.checkpoints import published_name
from mmkd3d.registry import MODELS, PARAM_SCHEDULERS
from tests.helpers import REPO, parity_cases

FINETUNE = 'benchmarks/cls_recon-{}_1xb32-300e_scanobjectnn-hardest'
# Run: our config, and the checkpoint source with the published names.
RUNS = dict(
    full=(FINETUNE.format('b'), 'recon_classifier'),
    mlp3=(FINETUNE.format('b'), 'recon_classifier'),
    linear=(FINETUNE.format('b'), 'recon_classifier'),
    pretrain=('recon-b_1xb128-300e_shapenet55', 'recon'),
    twotower_finetune=(FINETUNE.format('twotower'), 'recon_twotower_classifier'),
)
# Options of the protocol, as in the README of ReCon.
MLP3 = {'model.transfer_type': 'mlp-3', 'optim_wrapper.optimizer.lr': 1e-4}
OPTIONS = dict(
    mlp3=MLP3, linear=MLP3 | {'model.transfer_type': 'linear', 'model.head.hidden_dims': []}
)


@MODELS.register_module()
class TeacherNotRead(nn.Module):
    """Placeholder target with a width only."""

    dims = 768


def without_weights(cfg: dict) -> dict:
    """Model config without checkpoint files and teachers."""
    cfg.backbone.pop('init_cfg', None)
    for name in cfg.get('targets', ()):
        cfg.targets[name] = dict(type='mmkd3d.TeacherNotRead')
    return cfg


@pytest.mark.parametrize('run', RUNS)
@pytest.mark.parametrize('case', parity_cases('recon/optimizer'), ids=lambda p: p.name)
def test_what_is_trained_and_how_fast_is_as_published(case, run):
    expected = json.loads((case / 'manifest.json').read_text())[run]
    name, source = RUNS[run]
    cfg = Config.fromfile(REPO / 'configs/recon' / f'{name}.py')
    cfg.merge_from_dict(OPTIONS.get(run, {}))
    model = MODELS.build({'_scope_': 'mmkd3d', **without_weights(cfg.model)})
    names = {
        id(p): published_name(n, source) for n, p in model.named_parameters() if p.requires_grad
    }
    assert sorted(names.values()) == sorted(expected['trainable'])
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    groups = {
        names[id(p)]: i
        for i, group in enumerate(wrapper.param_groups)
        for p in group['params']
        if id(p) in names
    }
    assert groups.keys() == set(expected['trainable'])
    scheduler = PARAM_SCHEDULERS.build(cfg.param_scheduler, default_args=dict(optimizer=wrapper))
    assert cfg.train_cfg.max_epochs == len(expected['lr_used_in_epoch'])
    ours = {key: wrapper.param_groups[i] for key, i in groups.items()}
    for group in expected['groups']:
        for key in group['params']:
            assert ours[key]['weight_decay'] == group['weight_decay'], key
            assert ours[key]['betas'] == tuple(group['betas'])
            assert ours[key]['eps'] == group['eps']
    for rates in expected['lr_used_in_epoch']:
        for rate, group in zip(rates, expected['groups']):
            used = {ours[key]['lr'] for key in group['params']}
            np.testing.assert_allclose(list(used), [rate] * len(used), rtol=1e-9)
        wrapper.step()  # there are no gradients
        scheduler.step()


def test_the_gradient_is_clipped_in_finetuning_only():
    clips = {
        run: Config.fromfile(REPO / 'configs/recon' / f'{name}.py').optim_wrapper.get('clip_grad')
        for run, (name, _) in RUNS.items()
    }
    assert clips.pop('pretrain') is None
    assert all(clip == dict(max_norm=10, norm_type=2) for clip in clips.values())


def test_part_segmentation_trains_what_is_called_a_convolution_faster():
    cfg = Config.fromfile(
        REPO / 'configs/recon/benchmarks/partseg_recon-b_1xb16-300e_shapenetpart.py'
    )
    model = MODELS.build({'_scope_': 'mmkd3d', **without_weights(cfg.model)})
    groups = build_optim_wrapper(model, cfg.optim_wrapper).param_groups
    names = {id(p): n for n, p in model.named_parameters()}
    for group in groups:
        for parameter in group['params']:
            name = names.get(id(parameter))
            if name is None:
                continue  # mmengine's own parameter, which holds the base settings
            theirs = published_name(name, 'recon_partseg')
            fast = 'conv' in theirs and 'encoder' not in theirs
            decays = fast or not (parameter.ndim == 1 or 'token' in theirs)
            assert group['lr'] == pytest.approx(1e-3 if fast else 1e-4)
            assert group['weight_decay'] == (0.05 if decays else 0.0), theirs
