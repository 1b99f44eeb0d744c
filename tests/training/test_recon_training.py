"""ReCon in mmengine's Runner: errors for bad input, and resuming."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from PIL import Image

from mmkd3d.apis.teacher_cache import cache_targets
from mmkd3d.engine.hooks.checkpoint import find_resumable
from mmkd3d.engine.hooks.finite_loss import NonFiniteLossError
from mmkd3d.models.targets.cache import StaleCacheError
from tests.helpers import REPO
from tests.models import stub_teachers
from tests.models.pretrainers.test_ranks import TARGETS
from tests.models.pretrainers.test_recon import SIZES, recon


@pytest.fixture(scope='module')
def shapes(tmp_path_factory):
    """Twelve clouds of two categories, with one image each."""
    root, rng = tmp_path_factory.mktemp('shapes'), np.random.default_rng(0)
    (root / 'images').mkdir()
    for i in range(12):
        folder = root / 'points' / ('mug' if i % 3 else 'sofa')
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / f's{i}.npy', rng.standard_normal((128, 3)))
        pixels = rng.integers(0, 255, (24, 24, 3), dtype='uint8')
        Image.fromarray(pixels).save(root / 'images' / f's{i}.png')
    return root


def config(root, augment=True):
    """Config with three steps per epoch; images, points, rotations and masks are random."""
    return Config(
        dict(
            model=dict(type='mmkd3d.ReCon', targets=TARGETS),
            train_dataloader=dict(
                batch_size=4,
                num_workers=0,
                sampler=dict(type='DefaultSampler', shuffle=True),
                worker_init_fn=dict(type='mmkd3d.seed_worker'),
                dataset=dict(
                    type='mmkd3d.PointCloudFolder',
                    data_root=str(root / 'points'),
                    pipeline=[
                        dict(type='LoadPoints'),
                        dict(type='SamplePoints', num_points=96),
                        dict(type='NormalizePoints'),
                        dict(type='LoadRendering', root=str(root / 'images')),
                        dict(type='AugmentRendering', size=16, resize=20, train=augment),
                        dict(type='PackPoints'),
                    ],
                ),
            ),
        )
    )


class Curve(Hook):
    """Records the loss and sample ids of every step, counted from 1."""

    def __init__(self):
        self.losses, self.samples = {}, {}

    def after_train_iter(self, runner, batch_idx, data_batch, outputs):
        self.losses[runner.iter + 1] = outputs['loss'].item()
        self.samples[runner.iter + 1] = [s.sample_id for s in data_batch['data_samples']]


class Spoil(Hook):
    """Truncates a file at the start of the second epoch."""

    def __init__(self, path):
        self.path = path

    def before_train_epoch(self, runner):
        if runner.epoch == 1:
            content = self.path.read_bytes()
            self.path.write_bytes(content[: len(content) // 2])


def build_runner(work_dir, cfg, *hooks, num_workers=0, **kwargs):
    base = Config.fromfile(REPO / 'configs/_base_/default_runtime.py')
    model = recon(
        targets=cfg.model.targets.to_dict(),
        data_preprocessor=dict(
            type='mmkd3d.PointDataPreprocessor', augments=[dict(type='mmkd3d.RandomRotation')]
        ),
        backbone=dict(
            type='mmkd3d.ReConTransformer', stop_gradient=True, **dict(SIZES, drop_path_rate=0.1)
        ),
    )
    return Runner(
        model=model,
        work_dir=str(work_dir),
        train_dataloader=dict(cfg.train_dataloader, num_workers=num_workers),
        train_cfg=dict(by_epoch=True, max_epochs=2),
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=1e-3)),
        default_hooks=base.default_hooks,
        custom_hooks=base.custom_hooks + list(hooks),
        default_scope='mmkd3d',
        log_level='ERROR',
        randomness=dict(seed=3),
        experiment_name=f'{work_dir.parent.name}_{work_dir.name}',
        **kwargs,
    )


@pytest.mark.slow
@pytest.mark.parametrize('mode, num_workers', [('asked', 1), ('cached', 0)])
def test_a_run_that_a_picture_stops_loses_nothing(shapes, tmp_path, mode, num_workers):
    cfg = config(shapes, augment=mode == 'asked')
    if mode == 'cached':
        folders = cache_targets(cfg, tmp_path / 'cache', device='cpu')
        cfg.merge_from_dict({option: str(folder) for option, folder in folders.items()})
    whole = Curve()
    build_runner(tmp_path / 'whole', cfg, whole, num_workers=num_workers).train()
    assert sorted(whole.losses) == list(range(1, 7))

    path = shapes / 'images' / f'{whole.samples[5][2].split("/")[-1]}.png'
    picture, stopped = path.read_bytes(), Curve()
    work_dir = tmp_path / 'stopped'
    try:
        with pytest.raises(ValueError, match=f'{path.name}: cannot be decoded.* again'):
            build_runner(work_dir, cfg, stopped, Spoil(path), num_workers=num_workers).train()
    finally:
        path.write_bytes(picture)
    # a worker prefetches, so the error may come a step earlier
    assert 3 <= max(stopped.losses) <= 4
    assert find_resumable(work_dir) == str(work_dir / 'epoch_1.pth')

    rest = Curve()
    build_runner(
        work_dir,
        cfg,
        rest,
        num_workers=num_workers,
        load_from=find_resumable(work_dir),
        resume=True,
    ).train()
    assert sorted(rest.losses) == [4, 5, 6]
    assert {**stopped.losses, **rest.losses} == pytest.approx(whole.losses, rel=1e-6)
    assert {**stopped.samples, **rest.samples} == whole.samples


def test_no_teacher_is_saved_or_trained(shapes, tmp_path):
    run = build_runner(tmp_path / 'run', config(shapes))
    nets = [run.model.targets[name].teacher.net for name in TARGETS]
    before = [net.weight.clone() for net in nets]
    run.train()
    assert all(torch.equal(n.weight, b) for n, b in zip(nets, before))
    saved = torch.load(tmp_path / 'run' / 'epoch_2.pth', weights_only=False)
    assert {key.split('.')[0] for key in saved['state_dict']} == {
        'backbone',
        'decoder',
        'to_points',
        'proj',
        'contrast',
    }
    trained = {name for name, _ in run.model.named_parameters()}
    assert not any('teacher' in name for name in trained)
    assert len(saved['optimizer']['state']) == len(trained)


def test_a_stale_cache_is_refused_before_the_first_step(shapes, tmp_path):
    cfg = config(shapes, augment=False)
    folders = cache_targets(cfg, tmp_path / 'cache', device='cpu')
    cfg.model.targets.text.update(cache=str(folders['model.targets.text.cache']), prompts=['{}'])
    text = cfg.model.targets.text
    with pytest.raises(StaleCacheError, match='prompts: the cache has 3, this run has 1'):
        build_runner(tmp_path / 'prompts', cfg)
    text.prompts = stub_teachers.PROMPTS
    text.teacher.seed = 1
    with pytest.raises(StaleCacheError, match='teacher.checksum'):
        build_runner(tmp_path / 'teacher', cfg)
    text.teacher.seed = 0
    build_runner(tmp_path / 'same', cfg).train()  # the cache is still valid


def test_missing_captions_are_told_before_the_first_step(shapes, tmp_path):
    cfg, curve = config(shapes), Curve()
    (tmp_path / 'texts.csv').write_text('id,caption\ns0,a sofa\ns7,a mug\n')
    cfg.model.targets.text.source = 'caption'
    cfg.train_dataloader.dataset.pipeline.insert(
        0, dict(type='LoadCaptions', file=str(tmp_path / 'texts.csv'))
    )
    run = build_runner(tmp_path / 'run', cfg, curve)
    with pytest.raises(ValueError, match='no caption for 10 of 12 samples'):
        run.train()
    del cfg.train_dataloader.dataset.pipeline[0]
    run = build_runner(tmp_path / 'bare', cfg, curve)
    with pytest.raises(ValueError, match='4 of 4 samples have no caption'):
        run.train()
    assert not curve.losses


class Break(Hook):
    """Adds a NaN to the fifth batch, after all checks of the reader."""

    def before_train_iter(self, runner, batch_idx, data_batch):
        if runner.iter == 4:
            data_batch['inputs']['points'][2][40] = float('nan')


def test_a_nan_point_stops_the_run_and_is_named(shapes, tmp_path):
    curve = Curve()
    run = build_runner(tmp_path / 'run', config(shapes), curve, Break())
    with pytest.raises(NonFiniteLossError, match='Iteration 5: .*loss_chamfer=nan.* sample'):
        run.train()
    assert max(curve.losses) == 4
    assert all(torch.isfinite(p).all() for p in run.model.parameters())
    assert find_resumable(run.work_dir).endswith('epoch_1.pth')
