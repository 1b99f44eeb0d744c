"""Concept distillation from its configs: learning, resuming and caching."""

import copy

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

from mmkd3d.apis.teacher_cache import cache_targets
from mmkd3d.engine.hooks.checkpoint import find_resumable
from mmkd3d.engine.hooks.fit_targets import mean_cosine, spread
from mmkd3d.models.targets.cache import StaleCacheError
from mmkd3d.models.targets.standardizer import unfitted
from mmkd3d.registry import DATASETS, MODELS
from mmkd3d.visualization.pretraining import draw_pretraining
from tests.concept_runs import (
    PRETRAIN,
    SETTINGS,
    STUDENT,
    config,
    mmdet3d_scope,  # noqa: F401
    pretrained,  # noqa: F401
)
from tests.models.stub_teachers import StubDenseTeacher
from tests.runs import Curve, train


def test_the_loss_falls(pretrained):
    _, curve, _ = pretrained
    assert sorted(curve.losses) == list(range(1, 31))
    assert curve.fell(0.95), list(curve.losses.values())


def test_a_stopped_run_goes_on_in_the_same_curve(pretrained, tmp_path):
    """Losses are bit-identical, including the target statistics, which are fitted once."""
    _, whole, _ = pretrained
    stopped, rest = Curve(stop_at=4), Curve(stop_at=9)
    with pytest.raises(KeyboardInterrupt):
        train(PRETRAIN, tmp_path / 'run', stopped)
    found = find_resumable(tmp_path / 'run')
    with pytest.raises(KeyboardInterrupt):
        train(PRETRAIN, tmp_path / 'run', rest, load_from=found, resume=True)
    assert sorted(rest.losses) == list(range(4, 10))
    assert {**stopped.losses, **rest.losses} == {i: whole.losses[i] for i in range(1, 10)}


def test_a_checkpoint_has_the_statistics_and_no_teacher(pretrained):
    saved = torch.load(pretrained[2], weights_only=False)['state_dict']
    assert {key.split('.')[0] for key in saved} == {
        'backbone',
        'extractor',
        'standardizers',
        'head_concept',
        'head_global',
        'loss_global',
    }
    assert saved['standardizers.pictures.count'] == 24 * 2
    assert saved['standardizers.regions.count'] == 24 * 2 * 3


def overfit(work_dir, **options):
    """Train 200 steps on 32 shapes, all in each batch."""
    cfg = config('toy/concept_toy.py', **SETTINGS)
    cfg.merge_from_dict(
        dict(
            model=dict(
                data_preprocessor=dict(augments=[]),
                head_dims=256,
                backbone=dict(drop_path_rate=0.0, embed_dims=128, num_heads=4),
                extractor=dict(embed_dims=128, num_heads=4),
            ),
            train_dataloader=dict(batch_size=32, dataset=dict(num_samples=32, num_points=256)),
            param_scheduler=dict(warmup=20, period=200),
            train_cfg=dict(max_epochs=200),
            default_hooks=dict(checkpoint=dict(interval=200)),
            optim_wrapper=dict(optimizer=dict(lr=2e-3)),
        )
    )
    # no random transforms, so that samples are always the same
    cfg.train_dataloader.dataset.pipeline = [
        dict(type='mmkd3d.KeepViewPoints'),
        dict(type='mmkd3d.NormalizePoints'),
        dict(type='mmkd3d.PackPoints'),
    ]
    cfg.merge_from_dict(options)
    curve = Curve()
    return train(cfg, work_dir, curve), curve, cfg


@pytest.mark.slow
def test_few_shapes_are_learned_by_heart(tmp_path):
    runner, curve, cfg = overfit(tmp_path / 'overfit')
    values = np.array([curve.losses[i] for i in sorted(curve.losses)])
    means = values.reshape(-1, 20).mean(1)
    assert (np.diff(means) < 0).all(), means
    loader = runner.build_dataloader(cfg.train_dataloader, seed=0)
    model = runner.model.eval()
    data = model.data_preprocessor(next(iter(loader)))
    with torch.no_grad():
        losses = model(**data, mode='loss')
    assert losses['retrieval_top1'] == 1
    assert losses['loss_concept'] < 0.1, float(losses['loss_concept'])


class Listener:
    """Records the warnings of the logger."""

    def __init__(self, monkeypatch):
        self.said = []
        monkeypatch.setattr(
            MMLogger, 'warning', lambda _, text, *args, **kwargs: self.said.append(str(text))
        )


@pytest.mark.slow
def test_targets_that_are_all_alike_ring_the_alarm(tmp_path, monkeypatch):
    """Without standardisation, such targets are learned at once but carry no information."""
    listener = Listener(monkeypatch)
    same = torch.randn(24)
    monkeypatch.setattr(
        'mmkd3d.models.targets.concepts.ConceptTargets.read',
        lambda self, pictures: same.expand(*pictures.images.shape[:2], 4, 24),
    )
    overfit(tmp_path / 'alike', model=dict(standardize=None))
    assert any(
        'matched_cos is 1' in text or 'matched_cos is 0.99' in text for text in listener.said
    ), listener.said


def test_standardising_targets_that_are_all_alike_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(
        'mmkd3d.models.targets.concepts.ConceptTargets.read',
        lambda self, pictures: torch.ones(*pictures.images.shape[:2], 4, 24),
    )
    with pytest.raises(ValueError, match='are the same'):
        train(PRETRAIN, tmp_path / 'alike')


CACHED = dict(
    model=dict(target=dict(teacher=dict(_delete_=True, type='mmkd3d.StubDenseTeacher'))),
    train_cfg=dict(max_epochs=2),
)


def test_a_cache_teaches_the_same(tmp_path):
    cfg = copy.deepcopy(PRETRAIN)
    cfg.merge_from_dict(copy.deepcopy(CACHED))
    online, looked_up = Curve(), Curve()
    train(cfg, tmp_path / 'online', online)
    folders = cache_targets(cfg, tmp_path / 'cache')
    StubDenseTeacher.images = 0
    cfg.model.target.cache = str(folders['model.target.cache'])
    train(cfg, tmp_path / 'cached', looked_up)
    assert StubDenseTeacher.images == 0
    assert looked_up.losses == pytest.approx(online.losses, abs=1e-5)


def test_a_cache_of_half_the_size_says_the_same_within_its_rounding(tmp_path):
    cfg = copy.deepcopy(PRETRAIN)
    cfg.merge_from_dict(copy.deepcopy(CACHED))
    folders = cache_targets(cfg, tmp_path, dtype='float16')
    features = np.load(folders['model.target.cache'] / 'features.npy')
    assert features.shape == (24, 2, 4, 5) and features.dtype == np.float16
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    batch = pseudo_collate([dataset[i] for i in range(24)])
    points = torch.stack(batch['inputs']['points'])
    target = cfg.model.target
    online, cached = (
        MODELS.build(dict(target, cache=folder))(points, batch['data_samples'])
        for folder in (None, folders['model.target.cache'])
    )
    torch.testing.assert_close(cached, online, rtol=1e-3, atol=1e-4)
    assert not torch.equal(cached, online)


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(teacher=dict(seed=1)), 'teacher.checksum'),
        (dict(num_regions=2), 'transform.num_regions: the cache has 3, this run'),
        (dict(views=dict(renderer=dict(size=32))), 'transform.views.renderer'),
    ],
)
def test_a_cache_of_something_else_is_refused(tmp_path, change, message):
    cfg = copy.deepcopy(PRETRAIN)
    cfg.merge_from_dict(copy.deepcopy(CACHED))
    folders = cache_targets(cfg, tmp_path)
    cfg.merge_from_dict(
        dict(model=dict(target=dict(change, cache=str(folders['model.target.cache']))))
    )
    init_default_scope('mmkd3d')
    with pytest.raises(StaleCacheError, match=message):
        MODELS.build(cfg.model)


def test_statistics_are_of_samples_spread_over_the_training_set():
    assert spread(10, 4) == [0, 3, 6, 9] and spread(3, 9) == [0, 1, 2]
    feats = torch.randn(20, 5)
    cosines = [
        torch.cosine_similarity(feats[i], feats[j], dim=0)
        for i in range(20)
        for j in range(20)
        if i != j
    ]
    assert mean_cosine(feats) == pytest.approx(float(torch.stack(cosines).mean()), abs=1e-5)


def test_a_model_without_targets_to_fit_is_named(tmp_path):
    cfg = config('toy/point-mae_toy.py')
    cfg.merge_from_dict(
        dict(
            train_dataloader=SETTINGS['train_dataloader'],
            model=dict(backbone=dict(num_groups=8, group_size=8)),
        )
    )
    cfg.custom_hooks = [dict(type='mmkd3d.FitTargetsHook')]
    with pytest.raises(AttributeError, match='PointMAE has no standardizers'):
        train(cfg, tmp_path / 'run')


class MeanLoss(Hook):
    """Mean loss of 12 draws of masks and frames, before and after the training."""

    def measure(self, runner):
        model, batch = runner.model, next(iter(runner.train_dataloader))
        with torch.no_grad():
            losses = [model(**model.data_preprocessor(batch, True), mode='loss') for _ in range(12)]
        found = [value.item() for each in losses for k, value in each.items() if 'loss_' in k]
        return sum(found) / 12

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == 0:  # the targets are fitted
            self.before = self.measure(runner)

    def after_train(self, runner):
        self.after = self.measure(runner)


@pytest.mark.slow
def test_parts_of_rooms_learn_from_the_frame_that_shows_them(tmp_path, mmdet3d_scope):
    cfg = config('toy/concept_rooms_toy.py')
    cfg.train_dataloader.dataset.data_root = str(tmp_path / 'rooms')
    cfg.train_dataloader.dataset.pipeline[3].root = str(tmp_path / 'rooms/posed_images')
    cfg.train_dataloader.dataset.rooms = dict(num_train=6, num_val=1, num_points=6000, frames=3)
    cfg.merge_from_dict(
        dict(
            model=dict(
                backbone=dict(STUDENT),
                extractor=SETTINGS['model']['extractor'],
                target=dict(teacher=dict(random_weights=True)),
            ),
            train_dataloader=dict(batch_size=6),
            train_cfg=dict(max_epochs=24),
            default_hooks=dict(checkpoint=dict(interval=24)),
            optim_wrapper=dict(optimizer=dict(lr=2e-3)),
        )
    )
    loss = MeanLoss()
    runner = train(cfg, tmp_path / 'run', loss)
    assert loss.after < 0.99 * loss.before  # 0.92 to 0.98 with four seeds; one step varies by 0.05
    assert runner.model.standardizers['pictures'].count == 6


def test_a_student_of_point_mae_goes_on_with_concepts(tmp_path):
    """Starts from Point-MAE's full checkpoint; the target statistics are still fitted."""
    cfg = config('toy/point-mae_toy.py')
    cfg.merge_from_dict(
        dict(
            model=dict(backbone=STUDENT, decoder=dict(embed_dims=32, depth=1, num_heads=2)),
            train_dataloader=SETTINGS['train_dataloader'],
            train_cfg=dict(max_epochs=1),
        )
    )
    train(cfg, tmp_path / 'mae')
    cfg = copy.deepcopy(PRETRAIN)
    cfg.merge_from_dict(
        dict(
            train_cfg=dict(max_epochs=1),
            optim_wrapper=dict(accumulative_counts=2, optimizer=dict(lr=0.0)),
        )
    )
    cfg.param_scheduler = []
    path = tmp_path / 'mae/epoch_1.pth'
    model = train(cfg, tmp_path / 'concept', load_from=str(path)).model
    assert not unfitted(model)
    saved = torch.load(path, weights_only=False)['state_dict']
    for name, weight in model.backbone.named_parameters():
        torch.testing.assert_close(weight.data, saved[f'backbone.{name}'])
    cfg.dump(tmp_path / 'config.py')
    drawn = draw_pretraining(
        str(tmp_path / 'config.py'), str(tmp_path / 'concept/epoch_1.pth'), tmp_path / 'out', num=2
    )
    assert drawn and all(path.stat().st_size for path in drawn)
