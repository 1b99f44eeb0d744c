"""A training that would train nothing, or an evaluation of nothing, is an error."""

import copy
from types import SimpleNamespace

import pytest
from mmengine.config import Config
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmkd3d.apis.cli import complete_hooks
from mmkd3d.engine.hooks.loaders import CheckLoadersHook, check_training
from mmkd3d.models.heads.classification import ClsHead
from mmkd3d.registry import DATASETS
from tests.engine.small_run import CONFIG, RandomClouds
from tests.helpers import rejects
from tools import train

EPOCHS, ITERS = dict(by_epoch=True, max_epochs=1), dict(by_epoch=False, max_iters=2)
SAMPLER = dict(type='InfiniteSampler')
CLOUDS = dict(type='mmkd3d.WrappedClouds')


@DATASETS.register_module(force=True)
class WrappedClouds(RandomClouds):
    """With what wrappers of mmengine call."""

    def full_init(self):
        pass


def runner(work_dir, loop=EPOCHS, data=CLOUDS, **loader):
    cfg = copy.deepcopy(CONFIG)
    cfg['train_dataloader'].update(dataset=dict(data), **loader)
    cfg.update(train_cfg=dict(loop), work_dir=str(work_dir), experiment_name=str(work_dir))
    cfg.update(default_hooks=dict(loaders=dict(type='mmkd3d.CheckLoadersHook')))
    cfg['param_scheduler'] = []
    return Runner.from_cfg(Config(cfg))


WRAPPERS = dict(
    plain=CLOUDS,
    repeated=dict(type='RepeatDataset', times=2, dataset=dict(CLOUDS, num=4)),
    joined=dict(type='ConcatDataset', datasets=[dict(CLOUDS, num=3), dict(CLOUDS, num=5)]),
)


@pytest.mark.parametrize('loop', [EPOCHS, ITERS])
@pytest.mark.parametrize('data', WRAPPERS)
def test_fewer_samples_than_a_batch_are_an_error(tmp_path, loop, data):
    run = runner(tmp_path, loop, WRAPPERS[data], batch_size=9, drop_last=True)
    says = '8 samples, and batch_size=9 with drop_last=True leaves none. Set .*batch_size=8 or'
    rejects(says, run.train)
    assert not list(tmp_path.glob('*.pth'))


def test_what_gives_batches_passes_and_no_samples_do_not(tmp_path):
    check_training(runner(tmp_path / 'a', batch_size=9, drop_last=False))
    check_training(runner(tmp_path / 'b', ITERS, batch_size=9, drop_last=True, sampler=SAMPLER))
    empty = dict(CLOUDS, num=0)
    rejects('0 samples. Check data_root', check_training, runner(tmp_path / 'c', data=empty))
    none = dict(by_epoch=True, max_epochs=0)
    rejects('max_epochs must be 1 or more', check_training, runner(tmp_path / 'd', none))
    rejects('nothing to train: the config has no', check_training, SimpleNamespace(train_loop=None))
    loop = SimpleNamespace(dataloader=DataLoader([1], batch_size=2, drop_last=True))
    run = SimpleNamespace(val_loop=loop, test_loop=loop)
    for hook, name in (('before_val', 'val'), ('before_test', 'test')):
        rejects(f'{name}_dataloader gives no batch', getattr(CheckLoadersHook(), hook), run)


def test_a_sampler_without_an_end_needs_a_loop_that_counts_iterations(tmp_path):
    run = runner(tmp_path, batch_size=2, sampler=SAMPLER)
    rejects('train_dataloader.sampler .* never ends.*IterBasedTrainLoop', check_training, run)
    loop = SimpleNamespace(dataloader=run.train_loop.dataloader)
    run = SimpleNamespace(val_loop=loop)
    rejects('val_dataloader.sampler .* never ends', CheckLoadersHook().before_val, run)


def test_processes_with_different_numbers_of_batches_are_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(
        'mmkd3d.engine.hooks.loaders.all_gather_object', lambda number: [number, number - 1]
    )
    rejects(r'gives \[4, 3\] batches .* round_up', check_training, runner(tmp_path))


def test_a_last_batch_of_one_is_an_error_only_for_a_head_with_batch_norm(tmp_path):
    for size, drop, hidden, found in (
        (7, False, (4,), True),
        (1, True, (4,), True),
        (7, True, (4,), False),
        (7, False, (), False),
        (6, False, (4,), False),
    ):
        run = runner(tmp_path, batch_size=size, drop_last=drop)
        run.model.head = ClsHead(6, 2, hidden_dims=hidden)
        if found:
            rejects('batch of 1 of 8 samples.* model.head .*drop_last=True', check_training, run)
        else:
            check_training(run)


def test_custom_keys_of_no_parameter_are_told(tmp_path, monkeypatch):
    run = runner(tmp_path)
    run.cfg.optim_wrapper.paramwise_cfg = dict(custom_keys=dict(backbonne={}, backbone={}))
    told = []
    monkeypatch.setattr(run.logger, 'warning', told.append)
    CheckLoadersHook().before_train(run)
    assert len(told) == 1 and "'backbonne'" in told[0]


def test_the_tool_says_so_before_schedulers_need_the_length_of_an_epoch(tmp_path):
    argv = ['classifier_toy', '--work-dir', str(tmp_path), '--cfg-options']
    argv += ['train_dataloader.dataset.num_samples=24', 'train_dataloader.drop_last=True']
    argv += ['train_dataloader.batch_size=32', 'log_level=ERROR']
    rejects('24 samples, and batch_size=32', train.main, argv, error=SystemExit)


def test_configs_of_mmdetection3d_get_the_hooks_that_a_training_needs():
    checkpoint = dict(type='CheckpointHook', interval=-1)
    cfg = Config(dict(default_scope='mmdet3d', default_hooks=dict(checkpoint=checkpoint)))
    complete_hooks(cfg)
    assert cfg.default_hooks.checkpoint.type == 'mmkd3d.CheckpointHook'
    assert cfg.default_hooks.checkpoint.max_keep_ckpts == -1
    assert [h.type for h in cfg.custom_hooks] == [
        'mmkd3d.CheckLoadersHook',
        'mmkd3d.FiniteLossHook',
    ]
    complete_hooks(cfg)
    assert len(cfg.custom_hooks) == 2
