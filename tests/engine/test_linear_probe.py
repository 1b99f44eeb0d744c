"""LinearProbeHook."""

import copy
import os
import random

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmkd3d.engine.hooks.linear_probe import LinearProbeHook
from mmkd3d.evaluation.features import extract_features
from mmkd3d.evaluation.probes import knn_accuracy, linear_svm
from mmkd3d.registry import DATASETS
from tests.engine import small_run  # noqa: F401  (registers SmallNet)
from tests.helpers import rejects


def shapes(split, num, **kwargs):
    draw = dict(type='mmkd3d.SamplePoints', num_points=48)
    return dict(
        type='mmkd3d.ToyShapes',
        split=split,
        num_samples=num,
        num_points=64,
        categories=('table', 'mug', 'lamp'),
        pipeline=[draw, dict(type='mmkd3d.PackPoints')],
        **kwargs,
    )


CONFIG = dict(
    model=dict(
        type='mmkd3d.PointMAE',
        backbone=dict(
            type='mmkd3d.PointTransformer',
            embed_dims=12,
            depth=1,
            num_heads=2,
            num_groups=6,
            group_size=8,
            patch_dims=(8, 8),
            drop_path_rate=0.5,
        ),
        masker=dict(type='mmkd3d.RandomMasker', ratio=0.5),
        decoder=dict(type='mmkd3d.MaskedDecoder', embed_dims=12, depth=1, num_heads=2),
        loss=dict(type='mmkd3d.ChamferLoss'),
    ),
    train_dataloader=dict(
        batch_size=4,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=True),
        collate_fn=dict(type='pseudo_collate'),
        dataset=shapes('train', 8),
    ),
    train_cfg=dict(by_epoch=True, max_epochs=3),
    optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3)),
    visualizer=dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')]),
    randomness=dict(seed=0),
    default_scope='mmkd3d',
    log_level='ERROR',
)


def probe(**kwargs):
    sets = dict(train_dataset=shapes('val', 12), test_dataset=shapes('test', 9))
    return dict(type='mmkd3d.LinearProbeHook', **sets, C=1.0, k=1) | kwargs


class Generators(Hook):
    """Records the next random numbers and the training modes after each epoch."""

    def __init__(self):
        self.draws, self.modes = [], []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        getattr(runner.model, 'module', runner.model).decoder.eval()

    def after_train_epoch(self, runner):
        states = (random.getstate(), np.random.get_state(), torch.get_rng_state())
        self.draws.append((random.random(), np.random.rand(), torch.rand(1).item()))
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        self.modes.append([m.training for m in runner.model.modules()])


def run(folder, *hooks, **config):
    names = dict(work_dir=str(folder), experiment_name=str(folder))
    cfg = dict(CONFIG, **names, custom_hooks=list(hooks)) | config
    runner = Runner.from_cfg(Config(copy.deepcopy(cfg)))
    runner.register_hook(watch := Generators(), priority='LOWEST')
    runner.train()
    return runner, watch


def values(runner, name):
    return runner.message_hub.get_scalar(f'probe/{name}').data[0].tolist()


def test_training_does_not_notice(tmp_path):
    epochs = dict(train_cfg=dict(by_epoch=True, max_epochs=2))
    plain, expected = run(tmp_path / 'plain', **epochs)
    probed, watch = run(tmp_path / 'probed', probe(interval=1, few_labels=(1,)), **epochs)
    assert watch.draws == expected.draws and watch.modes == expected.modes
    assert {True, False} == set(watch.modes[0])
    for (key, a), b in zip(plain.model.state_dict().items(), probed.model.state_dict().values()):
        assert torch.equal(a, b), key
    assert len(values(probed, 'knn')) == 2


def test_values_are_those_of_a_probe_afterwards(tmp_path):
    runner, _ = run(tmp_path, probe(interval=2, methods=('svm', 'knn')))
    assert len(values(runner, 'svm')) == 2  # after epochs 2 and 3
    np.random.seed(0)
    data = [DATASETS.build(shapes(*half)) for half in (('val', 12), ('test', 9))]
    halves = [extract_features(runner.model, half) for half in data]
    accuracy = linear_svm(*halves[0], *halves[1], C=1.0)[0]
    assert values(runner, 'svm')[-1] == pytest.approx(accuracy)
    accuracy = knn_accuracy(*halves[0], *halves[1], k=1)[0]
    assert values(runner, 'knn')[-1] == pytest.approx(accuracy)
    scalars = next(tmp_path.rglob('scalars.json')).read_text()
    assert '"probe/svm"' in scalars and '"step": 2' in scalars


def test_shapes_that_are_learned_from_are_refused(tmp_path):
    pretraining = probe(test_dataset=shapes('train', 9))
    rejects('8 of 9 .* the pretraining data', run, tmp_path, pretraining)
    same = probe(test_dataset=shapes('val', 12))
    rejects('12 of 12 .* split of the probe', run, tmp_path, same)
    one_epoch = dict(by_epoch=True, max_epochs=1)
    runner, _ = run(tmp_path, dict(pretraining, allow_shared_shapes=True), train_cfg=one_epoch)
    assert len(values(runner, 'svm')) == 1


def test_bad_arguments(tmp_path):
    halves = shapes('val', 4), shapes('test', 4)
    rejects('at least 1 epoch, got 0', LinearProbeHook, *halves, interval=0)
    rejects(r"\['forest'\], there are", LinearProbeHook, *halves, methods=('svm', 'forest'))
    small = dict(type='mmkd3d.SmallNet')
    rejects('got a SmallNet: remove', run, tmp_path, probe(), model=small)


def one_run(rank, cfg):
    os.environ['LOCAL_RANK'] = str(rank)
    runner, watch = run(
        cfg['folder'],
        *cfg['hooks'],
        launcher='pytorch',
        model_wrapper_cfg=dict(
            type='MMDistributedDataParallel',
            device_ids=None,
            broadcast_buffers=False,
            find_unused_parameters=True,
        ),
    )
    weights = [p.detach().flatten() for p in runner.model.parameters()]
    known = 'probe/knn' in runner.message_hub.log_scalars
    return torch.cat(weights), watch.draws, known


@pytest.mark.slow
@pytest.mark.xdist_group('ranks')
def test_one_of_two_processes_computes(ranks, tmp_path):
    plain, probed = (
        ranks(one_run, dict(folder=str(tmp_path / name), hooks=hooks))
        for name, hooks in (('plain', []), ('probed', [probe(interval=1)]))
    )
    for rank in range(2):
        assert torch.equal(plain[rank][0], probed[rank][0])
        assert plain[rank][1] == probed[rank][1]
        assert probed[rank][2] == (rank == 0)
