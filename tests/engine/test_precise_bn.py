"""PreciseBNHook: the statistics are those of the weights, and training does not notice."""

import copy

import pytest
import torch
import torch.nn as nn
from mmengine.config import Config
from mmengine.dataset import DefaultSampler, pseudo_collate
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmkd3d.engine.hooks.precise_bn import PreciseBNHook, recompute_statistics, shuffled_batches
from mmkd3d.registry import MODELS
from tests import runs
from tests.engine import small_run
from tests.helpers import REPO, rejects

HOOK = dict(type='mmkd3d.PreciseBNHook')
CLASSIFIER = Config.fromfile(REPO / 'configs/toy/classifier_toy.py')


@MODELS.register_module(force=True)
class SmallNorms(BaseModel):
    """Two norms with dropout between them, behind a frozen one."""

    def __init__(self):
        super().__init__(dict(type='mmkd3d.PointDataPreprocessor'))
        self.frozen = nn.BatchNorm1d(3, affine=False)
        self.layers = nn.Sequential(
            *(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Dropout(0.5)),
            *(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)),
        )

    def train(self, mode=True):
        super().train(mode)
        self.frozen.eval()
        return self

    def forward(self, inputs, data_samples=None, mode='tensor'):
        far = self.layers(self.frozen(inputs['points'].flatten(0, 1)))
        return dict(loss_far=(far - 1).square().mean()) if mode == 'loss' else far


class Draws(Hook):
    """Records a random number and the modes after every epoch, and can interrupt a run."""

    priority = 'LOWEST'

    def __init__(self, stop_at=None):
        self.seen, self.stop_at = [], stop_at

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.stop_at:
            raise KeyboardInterrupt

    def after_train_epoch(self, runner):
        self.seen.append((torch.rand(1).item(), [m.training for m in runner.model.modules()]))


def train(folder, *hooks, stop_at=None, **config):
    runner = small_run.make_runner(folder, *hooks, model=dict(type='SmallNorms'), **config)
    draws, watch = Draws(stop_at), small_run.Watch()
    runner.register_hook(draws)
    runner.register_hook(watch)
    try:
        runner.train()
    except KeyboardInterrupt:
        assert stop_at
    return runner, (watch.logs, draws.seen)


def saved(folder, name='epoch_3.pth'):
    return torch.load(folder / name, weights_only=False)['state_dict']


def naive(model, dataset, batch_size):
    """Mean and unbiased variance of the inputs of all norms, averaged over batches."""
    sampler = DefaultSampler(dataset, shuffle=True, seed=0)
    found = {}

    def record(norm, inputs):
        x = inputs[0].detach()
        found.setdefault(norm, []).append((x.mean(0), x.var(0)))

    model = copy.deepcopy(model).eval()
    norms = {n: m for n, m in model.named_modules() if isinstance(m, nn.BatchNorm1d)}
    norms.pop('frozen')
    for norm in norms.values():
        norm.train().register_forward_pre_hook(record)
    loader = DataLoader(dataset, batch_size, sampler=sampler, collate_fn=pseudo_collate)
    for batch in loader:
        model(**model.data_preprocessor(batch))
    return {n: [sum(part) / len(part) for part in zip(*found[m])] for n, m in norms.items()}


def test_statistics_are_those_of_the_weights(tmp_path):
    runner, _ = train(tmp_path, HOOK)
    state = saved(tmp_path)
    expected = naive(runner.model, runner.train_dataloader.dataset, 2)
    assert set(expected) == {'layers.1', 'layers.5'}
    for name, (mean, var) in expected.items():
        torch.testing.assert_close(state[f'{name}.running_mean'], mean)
        torch.testing.assert_close(state[f'{name}.running_var'], var)
        assert state[f'{name}.num_batches_tracked'] == 12  # steps
    assert not state['frozen.running_mean'].any() and (state['frozen.running_var'] == 1).all()


def test_training_does_not_notice(tmp_path):
    _, expected = train(tmp_path / 'plain')
    _, got = train(tmp_path / 'precise', HOOK)
    assert got == expected
    plain, precise = saved(tmp_path / 'plain'), saved(tmp_path / 'precise')
    changed = {key for key in plain if not torch.equal(plain[key], precise[key])}
    assert changed == {f'layers.{i}.running_{kind}' for i in (1, 5) for kind in ('mean', 'var')}


def test_a_resumed_run_saves_the_same_statistics(tmp_path):
    train(tmp_path / 'whole', HOOK)
    train(tmp_path / 'parts', HOOK, stop_at=6)
    train(tmp_path / 'parts', HOOK, resume=True)
    whole, parts = saved(tmp_path / 'whole'), saved(tmp_path / 'parts')
    for key, value in whole.items():
        assert torch.equal(value, parts[key]), key


def test_iterations_are_saved_with_their_statistics(tmp_path):
    checkpoint = dict(type='mmkd3d.CheckpointHook', interval=3, by_epoch=False)
    loops = dict(train_cfg=dict(by_epoch=False, max_iters=5))
    loops['default_hooks'] = dict(checkpoint=checkpoint)
    runner, _ = train(tmp_path, HOOK, **loops)
    for name in ('iter_3.pth', 'iter_5.pth'):
        state = saved(tmp_path, name)
        runner.model.load_state_dict(state)
        for norm, (mean, _) in naive(runner.model, runner.train_dataloader.dataset, 2).items():
            torch.testing.assert_close(state[f'{norm}.running_mean'], mean)


def few_labels(folder):
    """Config of 20 shapes in 4 classes and 30 steps, tested on the same shapes."""
    cfg = copy.deepcopy(CLASSIFIER)
    cfg.merge_from_dict(runs.RUNTIME)
    small = dict(embed_dims=24, depth=1, num_groups=16, group_size=8, patch_dims=(16, 32))
    cfg.model.backbone.update(small)
    cfg.model.head.update(in_channels=24, num_classes=4, **runs.HIDDEN)
    data = dict(num_samples=20, num_points=128, categories=['chair', 'lamp', 'airplane', 'mug'])
    cfg.train_dataloader.update(batch_size=20)
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.dataset.update(split='train', **data)
    cfg.test_dataloader = cfg.val_dataloader
    cfg.merge_from_dict(dict(param_scheduler=dict(period=30), work_dir=str(folder)))
    cfg.merge_from_dict(dict(train_cfg=dict(max_epochs=30, val_interval=30)))
    cfg.merge_from_dict(dict(default_hooks=dict(checkpoint=dict(interval=30))))
    cfg.experiment_name = folder.name
    return cfg


def test_few_labels_give_what_was_learned(tmp_path):
    cfg = few_labels(tmp_path)
    assert cfg.default_hooks.pop('precise_bn').type == 'mmkd3d.PreciseBNHook'
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.test()['acc/overall'] == 25  # one class for all shapes
    recompute_statistics(runner.model.train(), runner.train_dataloader)
    assert runner.test()['acc/overall'] > 80


def on_rank(rank):
    """Statistics of the first norm, recomputed by both processes, and those of its own batches."""
    loader = DataLoader(small_run.RandomClouds(), 2, collate_fn=pseudo_collate)
    model = SmallNorms()
    expected = naive(model, loader.dataset, 2)['layers.1']
    recompute_statistics(model.train(), shuffled_batches(loader))
    return [model.layers[1].running_mean, model.layers[1].running_var], expected


@pytest.mark.slow
@pytest.mark.xdist_group('ranks')
def test_two_processes_average_their_statistics(ranks):
    (first, own), (second, other) = ranks(on_rank)
    for a, b, parts in zip(first, second, zip(own, other)):
        assert torch.equal(a, b) and not torch.equal(*parts)
        torch.testing.assert_close(a, sum(parts) / 2)


def test_no_samples_are_refused():
    rejects('at least 1, got 0', PreciseBNHook, num_samples=0)


@pytest.mark.parametrize(
    'number, drop_last, sizes',
    [
        (6, True, [6]),  # an endless sampler fills its batches of 32 with them
        (33, False, [32]),
        (34, False, [32, 2]),
        (34, True, [32]),
        (32, True, [32]),
    ],
)
def test_batches_are_neither_none_nor_of_one(number, drop_last, sizes):
    data = torch.randn(number, 1)
    loader = DataLoader(data, batch_size=32, drop_last=drop_last)
    assert [len(batch) for batch in shuffled_batches(loader)] == sizes
