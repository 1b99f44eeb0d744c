"""DistillationHook with stock models of mmdetection3d on ToyRooms."""

import copy
import sys

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from mmkd3d.datasets.scannet_layout import CLASSES
from mmkd3d.datasets.toy_rooms import write_toy_rooms
from tests.engine.small_run import Watch
from tests.helpers import REPO
from tools import cache_teacher

pytest.importorskip('mmdet3d')

ROOMS = dict(num_train=4, num_val=1, num_points=3000, frames=3)
SIZE = (48, 64)
TEACHER = dict(type='mmkd3d.TimmTeacher', model_name='resnet10t', random_weights=True)
POSED = dict(type='mmkd3d.PosedFrames', num_views=2, size=SIZE)
# Small PointNet++ levels.
BACKBONE = dict(num_points=(128, 64, 32, 16), num_samples=(8, 8, 8, 8))
RUNTIME = dict(
    default_hooks=dict(logger=dict(interval=100), checkpoint=dict(interval=1)),
    visualizer=dict(vis_backends=[]),
    log_level='ERROR',
)


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return write_toy_rooms(tmp_path_factory.mktemp('distill') / 'rooms', **ROOMS)


@pytest.fixture(scope='module')
def vectors(tmp_path_factory):
    """Text features of all detection classes except one, under ScanNet's names."""
    path = tmp_path_factory.mktemp('texts') / 'texts.npz'
    names = ('wall', 'floor', *CLASSES[:-1], 'otherfurniture')
    values = np.random.default_rng(0).normal(size=(len(names), 16))
    np.savez(
        path,
        scannet_512=values,
        scannet_names=np.array([n.replace('showercurtrain', 'shower curtain') for n in names]),
    )
    return path


@pytest.fixture(autouse=True)
def mmdet3d_scope():
    init_default_scope('mmdet3d')


def detector(root, name, epochs=5, **hook):
    """Shipped config with a small stock VoteNet on ToyRooms."""
    cfg = Config.fromfile(REPO / 'configs' / f'{name}.py')
    cfg.merge_from_dict(
        dict(
            RUNTIME,
            model=dict(backbone=BACKBONE, bbox_head=dict(vote_aggregation_cfg=dict(num_point=16))),
            train_cfg=dict(max_epochs=epochs, val_interval=100),
        )
    )
    for split in ('train', 'val', 'test'):
        cfg[f'{split}_dataloader'].num_workers = 0
        cfg[f'{split}_dataloader'].dataset.data_root = str(root)
    (sampler,) = (
        step for step in cfg.train_dataloader.dataset.pipeline if step.type == 'mmdet3d.PointSample'
    )
    sampler.num_points = 1500
    for key, value in hook.items():
        cfg.custom_hooks[-1][key] = value
    return cfg


def texts(root, vectors, **kwargs):
    cfg = detector(
        root, 'distillation/votenet_pointnet2_text_1xb2-60e_scannet-small', until=1.0, **kwargs
    )
    cfg.custom_hooks[-1].target.vectors = str(vectors)
    return cfg


def frames(root, **kwargs):
    return detector(
        root,
        'distillation/votenet_pointnet2_frames_1xb2-60e_scannet-small',
        target=dict(type='mmkd3d.PointTarget', teacher=TEACHER, views=POSED),
        until=1.0,
        frames=dict(root=str(root / 'posed_images'), num_frames=2, size=SIZE),
        **kwargs,
    )


def train(cfg, work_dir, **options):
    cfg = copy.deepcopy(cfg)
    cfg.merge_from_dict(dict(work_dir=str(work_dir), experiment_name=str(work_dir), **options))
    runner, watch = Runner.from_cfg(cfg), Watch()
    runner.register_hook(watch)
    runner.train()
    return runner, watch


def fell(watch, share, num=4):
    losses = [value for _, value in sorted(watch['loss_distill'].items())]
    return sum(losses[-num:]) < share * sum(losses[:num])


def test_stock_votenet_learns_class_names_and_stays_as_it_is(root, vectors, tmp_path):
    runner, watch = train(texts(root, vectors, epochs=8), tmp_path / 'run')
    assert fell(watch, 0.9), watch['loss_distill']
    assert all(0 < share < 1 for share in watch['distill_visible'].values())
    saved = torch.load(tmp_path / 'run/epoch_8.pth', weights_only=False)
    plain = detector(root, 'scannet_small/votenet_pointnet2_1xb2-60e_scannet-small')
    plain.work_dir, plain.experiment_name = str(tmp_path / 'plain'), 'plain'
    net = Runner.from_cfg(plain).model
    assert list(net.state_dict()) == list(saved['state_dict'])
    net.load_state_dict(saved['state_dict'])


@pytest.fixture(scope='module')
def from_frames(root, tmp_path_factory):
    folder = tmp_path_factory.mktemp('frames')
    init_default_scope('mmdet3d')
    return folder, train(frames(root), folder)


def test_stock_votenet_learns_from_posed_frames(from_frames):
    _, (_, watch) = from_frames
    assert fell(watch, 0.8), watch['loss_distill']
    assert sum(watch['distill_visible'].values()) / 10 > 0.05


def test_it_goes_on_bit_by_bit_where_it_was_stopped(root, from_frames, tmp_path):
    folder, (runner, whole) = from_frames
    again, rest = train(frames(root), tmp_path, resume=True, load_from=str(folder / 'epoch_3.pth'))
    assert rest.logs == {i: whole.logs[i] for i in range(7, 11)}
    for a, b in zip(runner.model.parameters(), again.model.parameters()):
        assert torch.equal(a, b)


@pytest.mark.slow
def test_with_weight_0_votenet_trains_as_without_the_hook(root, tmp_path):
    runs = []
    for number, cfg in enumerate(
        (
            detector(root, 'scannet_small/votenet_pointnet2_1xb2-60e_scannet-small', 2),
            frames(root, epochs=2, loss=dict(type='mmkd3d.CosineLoss', loss_weight=0.0)),
        )
    ):
        runner, watch = train(cfg, tmp_path / str(number))
        runs.append((watch['loss'], runner.model.state_dict()))
    assert max(watch['distill_visible'].values()) > 0
    assert runs[0][0] == runs[1][0] and len(runs[0][0]) == 4
    for key, value in runs[0][1].items():
        assert torch.equal(value, runs[1][1][key]), key


@pytest.mark.slow
def test_a_stock_segmentor_learns_class_names(root, vectors, tmp_path):
    cfg = texts(root, vectors, epochs=8, student='decode_head.pre_seg_conv')
    stock = get_config('mmdet3d::pointnet2/pointnet2_ssg_2xb16-cosine-200e_scannet-seg.py')
    cfg.model = stock.model
    cfg.model.backbone.update(BACKBONE)
    dataset = stock.train_dataloader.dataset
    dataset.update(
        type='mmkd3d.ToyRoomsSeg',
        data_root=str(root),
        rooms=ROOMS,
        scene_idxs=str(root / 'seg_info/train_resampled_scene_idxs.npy'),
    )
    for step in dataset.pipeline:
        if step.type == 'IndoorPatchPointSample':
            step.num_points = 512
    cfg.train_dataloader.dataset = dataset
    for key in [k for k in cfg if k.startswith(('val_', 'test_'))]:
        cfg.pop(key)
    cfg.custom_hooks[-1].target.pop('ignore')
    runner, watch = train(cfg, tmp_path / 'run')
    assert type(runner.model).__name__ == 'EncoderDecoder3D'
    assert fell(watch, 0.8), watch['loss_distill']
    _, rest = train(
        cfg, tmp_path / 'rest', resume=True, load_from=str(tmp_path / 'run/epoch_7.pth')
    )
    begin = len(watch.logs) // 8 * 7 + 1
    assert rest.logs == {i: watch.logs[i] for i in range(begin, len(watch.logs) + 1)}


@pytest.mark.parametrize(
    'views',
    [
        dict(type='mmkd3d.DepthProjection', projector=dict(type='mmkd3d.AxisProjector', size=48)),
        dict(
            type='mmkd3d.RenderedViews',
            up_axis='z',
            renderer=dict(type='mmkd3d.ViewRenderer', size=48),
        ),
    ],
    ids=lambda views: views['type'],
)
def test_images_can_be_rendered_from_the_points(root, tmp_path, views):
    cfg = detector(
        root,
        'distillation/votenet_pointnet2_frames_1xb2-60e_scannet-small',
        target=dict(type='mmkd3d.PointTarget', teacher=TEACHER, views=views),
        until=1.0,
        frames=None,
    )
    cfg.train_cfg.max_epochs = 1
    _, watch = train(cfg, tmp_path)
    assert min(watch['distill_visible'].values()) > 0.1
    assert 0 < min(watch['loss_distill'].values())


def toy(root):
    """Shipped toy config with a small student."""
    cfg = Config.fromfile(REPO / 'configs/toy/votenet_distill_toy.py')
    cfg.merge_from_dict(
        dict(
            RUNTIME,
            model=dict(
                backbone=dict(
                    embed_dims=12,
                    depth=1,
                    num_heads=2,
                    num_groups=32,
                    group_size=8,
                    patch_dims=(8, 12),
                ),
                neck=dict(in_channels=12),
                bbox_head=dict(vote_aggregation_cfg=dict(num_point=16)),
            ),
            train_cfg=dict(max_epochs=6, val_interval=100),
        )
    )
    for split in ('train', 'val', 'test'):
        cfg[f'{split}_dataloader'].update(num_workers=0)
        cfg[f'{split}_dataloader'].dataset.update(data_root=str(root), rooms=ROOMS)
    hook = cfg.custom_hooks[-1]
    hook.target.views.size = hook.frames.size = SIZE
    hook.frames.root = str(root / 'posed_images')
    return cfg


def test_the_toy_learns_until_its_share_of_training_is_over(root, tmp_path):
    _, watch = train(toy(root), tmp_path)
    losses = [watch.logs[i].get('loss_distill') for i in range(1, 7)]
    assert losses[5] is None and None not in losses[:5]  # 0.8 of 6
    assert losses[4] < losses[0]


@pytest.mark.slow
def test_workers_that_are_already_at_work_are_told_of(root, tmp_path):
    cfg = frames(root)
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=2)
    for key in [k for k in cfg if k.startswith(('val_', 'test_'))]:
        cfg.pop(key)
    cfg.train_dataloader.num_workers = 1
    with pytest.raises(ValueError, match='have already started.*num_workers=0'):
        train(cfg, tmp_path / 'workers')
    cfg.train_dataloader.num_workers = 0
    _, watch = train(cfg, tmp_path / 'none')
    assert watch['distill_visible'][2] is not None


@pytest.mark.nightly
def test_two_processes_by_the_command_line(root, tmp_path):
    from tests.training.test_training import curve, run

    cfg = toy(root)
    cfg.default_hooks.logger.interval = 1
    cfg.visualizer.vis_backends = [dict(type='LocalVisBackend')]
    cfg.log_level = 'INFO'
    cfg.train_cfg.max_epochs = 2
    cfg.train_dataloader.batch_size = 1
    cfg.dump(tmp_path / 'toy.py')
    run(
        [
            sys.executable,
            '-m',
            'torch.distributed.run',
            '--nproc_per_node=2',
            '--standalone',
            'tools/train.py',
            str(tmp_path / 'toy.py'),
            '--work-dir',
            str(tmp_path / 'run'),
            '--launcher',
            'pytorch',
        ]
    )
    assert sorted(curve(tmp_path / 'run')) == [1, 2, 3, 4]
    saved = torch.load(tmp_path / 'run/epoch_2.pth', weights_only=False)
    assert list(saved['distillation']) == ['distill']


@pytest.mark.slow
def test_a_cache_of_all_frames_teaches_the_same(root, tmp_path, monkeypatch):
    cfg = frames(root, epochs=2)
    with_teacher = train(cfg, tmp_path / 'online')[1]['loss_distill']
    path = tmp_path / 'config.py'
    cfg.dump(path)
    folders = cache_teacher.main(
        [str(path), '--out', str(tmp_path / 'cache'), '--batch-size', '5', '--only', 'distill']
    )
    with pytest.raises(SystemExit, match='distill to cache, not other'):
        cache_teacher.main([str(path), '--only', 'other'])
    ((option, folder),) = folders.items()
    assert option == f'custom_hooks.{len(cfg.custom_hooks) - 1}.target.cache'
    assert np.load(folder / 'features.npy').shape == (15, 512, 6, 6)
    monkeypatch.setattr('mmkd3d.models.teachers.timm_teacher.TimmTeacher.forward_dense', None)
    options = {option: str(folder)}
    cached = train(cfg, tmp_path / 'cached', **options)[1]['loss_distill']
    assert cached == pytest.approx(with_teacher, abs=1e-5)
    # First images that are not in the cache, then a different teacher.
    cfg.custom_hooks[-1].frames.size = cfg.custom_hooks[-1].target.views.size = (24, 32)
    with pytest.raises(ValueError, match='are not in the teacher cache'):
        train(cfg, tmp_path / 'other', **options)
    cfg.custom_hooks[-1].target.teacher.saliency = 'activation'
    cfg.custom_hooks[-1].target.teacher.mean = (0.0, 0.0, 0.0)
    with pytest.raises(ValueError, match='teacher.options.mean'):
        train(cfg, tmp_path / 'stale', **options)


def test_a_folder_without_frames_is_named(root, tmp_path):
    cfg = frames(root)
    cfg.custom_hooks[-1].frames.root = str(tmp_path)
    path = tmp_path / 'config.py'
    cfg.dump(path)
    with pytest.raises(SystemExit, match='No cameras.npz in the folders'):
        cache_teacher.main([str(path), '--out', str(tmp_path / 'cache')])
