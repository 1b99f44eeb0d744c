"""Mistakes in configs are found before anything is built."""

import copy
from pathlib import Path

import pytest
from mmengine.config import Config

from mmkd3d.apis.config_check import check_config
from mmkd3d.apis.config_files import list_models, shipped_configs
from mmkd3d.apis.load import get_config
from mmkd3d.registry import MODELS
from tests.helpers import rejects
from tools import test, train

MISTAKES = {
    'optim_wraper': (dict(type='OptimWrapper'), 'optim_wraper: did you mean optim_wrapper'),
    'train_cgf': ({}, 'train_cgf: did you mean train_cfg'),
    'costom_hooks': ([], 'did you mean custom_hooks'),
    'train_dataloader.batchsize': (4, 'train_dataloader.batchsize .* mean batch_size'),
    'val_dataloader.batch_size': (0, 'val_dataloader.batch_size must be 1 or more, got 0'),
    'train_cfg.max_epoch': (3, 'train_cfg.max_epoch .* mean max_epochs'),
    'train_cfg.max_epochs': (0, 'train_cfg.max_epochs must be 1 or more'),
    'optim_wrapper.optimizr': ({}, 'optimizr .* mean optimizer'),
    'optim_wrapper.clip_grad': (dict(max_norm=-1.0), 'max_norm must be positive, got -1'),
    'optim_wrapper.optimizer.lr': (-1e-3, 'optimizer.lr must be 0 or more'),
    'optim_wrapper.optimizer.weight_decay': (float('nan'), 'weight_decay must be 0 or more'),
    'optim_wrapper.optimizer.weightdecay': (0.1, 'mean weight_decay'),
    'default_hooks.chekpoint': (dict(interval=2), 'did you mean default_hooks.checkpoint'),
    'default_hooks.checkpoint.intervall': (2, 'no intervall, did you mean interval'),
    'model.backbone.drop_path_rate': (1.0, r'drop_path_rate must be in \[0, 1\), got 1'),
    'model.head.dropout': (1.5, r'model.head.dropout must be in \[0, 1\]'),
    'model.backbone.num_groups': (2000, 'num_groups is 2000, but a cloud has 1024 points'),
    'model.backbone.num_group': (64, 'has no num_group, did you mean num_groups'),
    'train_dataloader.dataset.num_point': (64, 'did you mean num_points'),
    'train_dataloader.dataset.num_samples': (40.5, 'num_samples must be of type int, got 40.5'),
    'train_dataloader.dataset.indices': ([], 'indices is empty'),
    'train_dataloader.dataset.metainfo': (dict(clases=['a']), 'did you mean .*classes'),
    'train_dataloader.sampler.shufle': (True, 'sampler.shufle .* mean shuffle'),
    'train_dataloader.num_workers': ('two', "num_workers must be a whole number, got 'two'"),
    'train_dataloader': (None, 'train_dataloader is None'),
    'train_cfg.val_interval': (0, 'val_interval must be 1 or more, got 0'),
    'optim_wrapper.accumulative_counts': (0, 'accumulative_counts must be 1 or more'),
    'optim_wrapper.optimizer': ('AdamW', 'optimizer must be a dict'),
    'optim_wrapper.optimizer.betas': ([0.9, 2], r'betas must be in \[0, 1\), got'),
    'optim_wrapper.paramwise_cfg': (dict(norm_decay_mlt=0), 'mean .*norm_decay_mult'),
    'param_scheduler.period': ('ten', 'period must be of type int'),
    'default_hooks.logger.intervl': (5, 'logger.intervl .* mean interval'),
    'default_hooks.logger.interval': (0, 'logger.interval must be 1 or more'),
    'custom_hooks': (['EMAHook'], 'custom_hooks must be a list of dict'),
    'model.backbone.depth': (None, 'depth must be of type int, got None'),
    'model.head.num_classes': ([16], r'num_classes must be of type int, got \[16\]'),
    'val_evaluator.xyz': (1, 'val_evaluator.xyz is not an argument'),
    'randomness.sed': (1, 'randomness.sed .* mean seed'),
    'randomness.seed': ('x', "seed must be a whole number, got 'x'"),
    'auto_scale_lr': (dict(base_batch_sze=5), 'did you mean auto_scale_lr.base_batch_size'),
    'env_cfg.cudnn_benchmrk': (True, 'did you mean env_cfg.cudnn_benchmark'),
    'train_dataloader.dataset.pipeline': ([], 'pipeline is empty'),
    'resume': ('maybe', 'resume must be True or False'),
    'launcher': ('foo', 'launcher must be one of none, pytorch'),
    'log_level': ('LOUD', 'log_level must be one of .*INFO'),
}


@pytest.fixture(scope='module')
def classifier():
    return get_config('classifier_toy')


@pytest.mark.parametrize('key', MISTAKES)
def test_a_mistake_is_found_and_named(classifier, key):
    value, says = MISTAKES[key]
    cfg = copy.deepcopy(classifier)
    cfg.merge_from_dict({key: value})
    rejects(says, check_config, cfg)


@pytest.mark.parametrize('main', [train.main, test.main])
def test_a_mistake_ends_in_one_line_before_anything_is_built(tmp_path, main):
    more = ['none.pth'] if main is test.main else []
    option = ['--cfg-options', 'train_cfg.max_epoch=3']
    argv = ['classifier_toy', *more, '--work-dir', str(tmp_path / 'run'), *option]
    rejects('classifier_toy.py: train_cfg.max_epoch .* max_epochs', main, argv, error=SystemExit)
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize('name', list_models('*toy*'))
def test_a_good_config_passes(name):
    check_config(get_config(name))


@pytest.mark.nightly
def test_no_config_of_ours_or_of_mmdetection3d_has_a_mistake():
    mmdet3d = pytest.importorskip('mmdet3d')
    stock = (Path(mmdet3d.__file__).parent / '.mim/configs').rglob('*/*.py')
    broken = 'multiview-fcos3d_r101-dcn_centerhead_16xb2_waymoD5-3d-3class'  # its base is missing
    paths = [p for p in stock if '_base_' not in p.parts and p.stem != broken]
    assert len(paths) > 130
    for path in [*paths, *shipped_configs()]:
        check_config(Config.fromfile(path))


def test_an_unknown_argument_of_a_module_tells_the_nearest():
    part = dict(type='PointMAE', mask_ration=0.6)
    rejects('no argument mask_ration: did you mean masker', MODELS.build, part, error=TypeError)
    part = dict(type='mmkd3d.PointTransformer', embed_dim=3)
    rejects('did you mean embed_dims', MODELS.build, part, error=TypeError)
    part = dict(type='mmkd3d.PointTransformer', xyzw=3)
    rejects('no argument xyzw: expected .*num_groups', MODELS.build, part, error=TypeError)
    with pytest.raises(TypeError, match='invalid combination') as error:  # of another kind
        MODELS.build(dict(type='mmkd3d.PointTransformer', embed_dims='wide'))
    assert 'no argument' not in str(error.value)
