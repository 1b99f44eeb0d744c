"""Our backbones in 3DETR, VoteNet and GroupFree3D with shipped configs."""

import numpy as np
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.dataset import Compose
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, TRANSFORMS, init_default_scope

from benchmarks.inputs import room_batch
from tests.helpers import REPO

pytest.importorskip('mmdet3d')
CONFIGS = REPO / 'configs'
SHIPPED = sorted(
    p
    for p in CONFIGS.glob('*/**/*-3d.py')
    if p.stem.startswith(('3detr', 'votenet_', 'groupfree3d_'))
)
PLAIN = dict(
    embed_dims=48,
    depth=2,
    num_heads=3,
    num_groups=256,
    group_size=8,
    patch_dims=(8, 16),
    fps_rule='mmcv',
    pos_scale='scene',
)
STUDENTS = dict(
    PointTransformer=dict(PLAIN, type='mmkd3d.PointTransformer', with_cls_token=False),
    ReConTransformer=dict(PLAIN, type='mmkd3d.ReConTransformer', global_tokens=()),
    PointM2AE=dict(
        type='mmkd3d.PointM2AE',
        level_dims=(24, 48),
        depths=(1, 1),
        num_heads=3,
        num_groups=(256, 64),
        group_sizes=(8, 8),
        radii=(1.0, 2.0),
        patch_dims=(8, 16),
        fps_rule='mmcv',
        pos_scale='scene',
    ),
)
DETECTORS = {
    '3detr': 'point_mae/benchmarks/3detr_point-mae-pointvit-s_1xb8-1080e_scannet-3d.py',
    'votenet': 'point_mae/benchmarks/votenet_point-mae-pointvit-s_8xb8-36e_scannet-3d.py',
    'groupfree3d': 'point_mae/benchmarks/groupfree3d_point-mae-pointvit-s_4xb8-80e_scannet-3d.py',
    'votenet of SUN RGB-D': 'point_mae/benchmarks/votenet_point-mae-pointvit-s_8xb16-36e_sunrgbd-3d.py',
}


def build(detector, student):
    """Build a shipped detector with a small backbone; returns the model and its config."""
    cfg = Config.fromfile(CONFIGS / DETECTORS[detector])
    init_default_scope(cfg.default_scope)
    model = cfg.model.to_dict()
    model['backbone'] = STUDENTS[student]
    widths, levels = (48, 0) if student != 'PointM2AE' else ((24, 48), 2)
    if detector == '3detr':
        model['bbox_head'].update(in_channels=32)
        model['neck'] = dict(type='mmkd3d.TokensToSeeds', out_channels=32)
    model['neck'].update(in_channels=widths, num_levels=levels)
    return MODELS.build(ConfigDict(model)), cfg


def scenes(shift=(0.0, 0.0, 0.0)):
    """Two rooms on a grid of 1/256 m, so that a shift causes no rounding."""
    batch = room_batch(1024, 2)
    shift = torch.tensor(shift)
    batch['inputs']['points'] = [(256 * p).round() / 256 + shift for p in batch['inputs']['points']]
    for sample in batch['data_samples']:
        sample.gt_instances_3d.bboxes_3d.translate(shift)
    return batch


@pytest.mark.slow
@pytest.mark.parametrize(
    'detector, student',
    [
        ('3detr', 'PointM2AE'),
        ('votenet', 'PointTransformer'),
        ('groupfree3d', 'PointM2AE'),
        ('votenet of SUN RGB-D', 'ReConTransformer'),
    ],
)
def test_a_detector_trains_a_student_and_finds_boxes(detector, student):
    model, cfg = build(detector, student)
    model.train()
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper)
    before = [p.detach().clone() for p in model.backbone.parameters()]
    data = model.data_preprocessor(scenes(), training=True)
    loss, _ = model.parse_losses(model(**data, mode='loss'))
    assert torch.isfinite(loss)
    loss.backward()
    idle = [n for n, p in model.named_parameters() if p.grad is None]
    assert not idle  # unused parameters would stop training on several GPUs
    rates = {group['lr'] for group in optimizer.optimizer.param_groups}
    assert min(rates) < cfg.optim_wrapper.optimizer.lr == max(rates)
    optimizer.step()
    moved = [not torch.equal(a, b) for a, b in zip(before, model.backbone.parameters())]
    assert np.mean(moved) > 0.9

    batch = scenes()
    model.eval()
    for i in range(2):  # GroupFree3D's stock head predicts one scene at a time
        data = model.data_preprocessor(
            dict(
                inputs=dict(points=batch['inputs']['points'][i : i + 1]),
                data_samples=batch['data_samples'][i : i + 1],
            )
        )
        with torch.no_grad():
            (sample,) = model(**data, mode='predict')
        boxes, scores, labels = (
            sample.pred_instances_3d[key] for key in ('bboxes_3d', 'scores_3d', 'labels_3d')
        )
        assert len(boxes) == len(scores) == len(labels) > 0
        assert torch.isfinite(boxes.tensor).all()
        assert labels.max() < (10 if 'SUN' in detector else 18)


@pytest.mark.parametrize(
    'detector, student',
    [('3detr', 'ReConTransformer'), ('3detr', 'PointM2AE'), ('votenet', 'PointTransformer')],
)
def test_boxes_are_in_metres_of_the_input_wherever_the_scene_lies(detector, student):
    model, _ = build(detector, student)
    model.eval()
    if detector == '3detr':  # untrained queries are so similar that NMS is arbitrary
        model.bbox_head.test_cfg.update(use_nms=False, min_points=0)
    shift = (16.0, -8.0, 4.0)
    with torch.no_grad():
        here, there = (
            model(**model.data_preprocessor(scenes(s)), mode='predict')
            for s in ((0.0, 0.0, 0.0), shift)
        )
    for a, b in zip(here, there):
        a, b = (x.pred_instances_3d for x in (a, b))
        a.bboxes_3d.translate(torch.tensor(shift))
        for x, y in ((a.scores_3d, b.scores_3d), (a.bboxes_3d.tensor, b.bboxes_3d.tensor)):
            torch.testing.assert_close(x, y, atol=1e-3, rtol=0)


@pytest.mark.parametrize('method', ['point_mae', 'act', 'concept'])
def test_an_encoder_pretrained_on_rooms_goes_into_the_detector(tmp_path, method):
    path = CONFIGS / 'act/benchmarks/3detr_act-scene_1xb8-1080e_scannet-3d.py'
    backbone = Config.fromfile(path).model.backbone
    (pretraining,) = (CONFIGS / method).glob('*_3detr-encoder_1xb16-*.py')
    if method == 'act':
        assert pretraining.stem in backbone.init_cfg.checkpoint
    student = Config.fromfile(pretraining).model.backbone
    student = MODELS.build(dict(student, type='mmkd3d.ThreeDETREncoder'))
    state = {f'backbone.{k}': v for k, v in student.state_dict().items()}
    torch.save(dict(state_dict=state), tmp_path / 'rooms.pth')
    backbone.init_cfg.checkpoint = str(tmp_path / 'rooms.pth')
    encoder = MODELS.build(backbone)
    encoder.init_weights()
    own = encoder.state_dict()
    assert own and set(own) < set(student.state_dict())
    assert all(torch.equal(v, state[f'backbone.{k}']) for k, v in own.items())


def pipelines(cfg):
    data = cfg.train_dataloader.dataset
    if 'dataset' in data:
        data = data.dataset
    return data.pipeline, cfg.val_dataloader.dataset.pipeline


@pytest.mark.parametrize('path', SHIPPED, ids=lambda path: path.stem)
def test_config_stands_on_mmdet3d_and_its_pipelines_build(path):
    cfg = Config.fromfile(path)
    assert cfg.default_scope == 'mmdet3d'
    init_default_scope('mmdet3d')
    for pipeline in pipelines(cfg):
        for step in pipeline:
            TRANSFORMS.build(step)
    assert cfg.default_hooks.checkpoint.type == 'mmkd3d.CheckpointHook'
    # without seed_worker and ReseedHook, all epochs and GPUs repeat the same random numbers
    assert cfg.train_dataloader.worker_init_fn.type == 'mmkd3d.seed_worker'
    assert {hook.type for hook in cfg.custom_hooks} == {
        'mmkd3d.FiniteLossHook',
        'mmkd3d.ReseedHook',
    }
    assert cfg.custom_imports.imports == ['mmkd3d']
    if path.stem.startswith('3detr'):
        # published settings, except for our students' learning rates
        assert cfg.train_cfg.max_epochs == cfg.param_scheduler.period == 1080
        rate = 7e-4 if 'sunrgbd' in path.stem else 5e-4
        assert cfg.optim_wrapper.optimizer.lr == rate
        assert cfg.model.backbone.num_groups in (2048, (2048, 1024, 256))


def test_steps_of_the_augmentation_are_in_the_published_order():
    names = {}
    for data in ('scannet', 'sunrgbd'):
        cfg = Config.fromfile(CONFIGS / f'3detr/3detr_1xb8-1080e_{data}-3d.py')
        train, test = pipelines(cfg)
        names[data] = [step.type.split('.')[-1] for step in train]
        draws = [step for step in test if step.type == 'mmdet3d.PointSample']
        assert len(draws) == 1
        # testing has no other random transforms
        assert not {'mmdet3d.RandomFlip3D', 'mmdet3d.GlobalRotScaleTrans'} & {
            step.type for step in test
        }
    assert names['scannet'][2:-1] == [
        'GlobalAlignment',
        'RandomCuboidCrop',
        'PointSample',
        'RandomFlip3D',
        'GlobalRotScaleTrans',
    ]
    assert names['sunrgbd'][2:-1] == [
        'RandomFlip3D',
        'GlobalRotScaleTrans',
        'RandomCuboidCrop',
        'PointSample',
    ]


@pytest.mark.parametrize(
    'data, num_points, smallest, scales',
    [('scannet', 40000, 0.5, (1.0, 1.0)), ('sunrgbd', 20000, 0.75, (0.85, 1.15))],
)
def test_published_pipelines_crop_sample_and_turn_a_scene(
    tmp_path, data, num_points, smallest, scales
):
    from mmdet3d.structures import DepthInstance3DBoxes

    rng = np.random.default_rng(0)
    points = (rng.random((120000, 6)) * [6, 5, 3, 255, 255, 255]).astype('f4')
    points.tofile(tmp_path / 'scene.bin')
    grid = np.stack(np.meshgrid(*(np.linspace(0.5, e - 0.5, 4) for e in (6, 5, 3))), -1).reshape(
        -1, 3
    )
    boxes = DepthInstance3DBoxes(
        np.c_[grid, np.full((64, 3), 0.4)], box_dim=6, with_yaw=False, origin=(0.5, 0.5, 0.5)
    )
    if data == 'sunrgbd':
        boxes = DepthInstance3DBoxes(
            np.c_[grid, np.full((64, 3), 0.4), np.zeros(64)], origin=(0.5, 0.5, 0.5)
        )
    cfg = Config.fromfile(CONFIGS / f'3detr/3detr_1xb8-1080e_{data}-3d.py')
    init_default_scope('mmdet3d')
    train, test = map(Compose, pipelines(cfg))

    def scene():
        return dict(
            lidar_points=dict(lidar_path=str(tmp_path / 'scene.bin')),
            axis_align_matrix=np.eye(4),
            box_type_3d=DepthInstance3DBoxes,
            ann_info=dict(
                gt_bboxes_3d=boxes.clone(),
                gt_labels_3d=np.arange(64) % 10,
                axis_align_matrix=np.eye(4),
            ),
        )

    counts = set()
    for _ in range(4):
        out = train(scene())
        xyz = out['inputs']['points']
        assert xyz.shape == (num_points, 3)
        gt = out['data_samples'].gt_instances_3d
        assert len(gt.bboxes_3d) == len(gt.labels_3d) > 0
        counts.add(len(gt.bboxes_3d))
        # all boxes are 0.4 m high, so their height gives the scale
        height = gt.bboxes_3d.dims[0, 2] / 0.4
        assert scales[0] - 1e-4 <= height <= scales[1] + 1e-4
        extent = xyz[:, 2].max() - xyz[:, 2].min()
        assert extent > 0.4 * smallest * 3 * scales[0]
        # boxes move with their points
        low, high = xyz.amin(0) - 0.1, xyz.amax(0) + 0.1
        center = gt.bboxes_3d.gravity_center
        assert ((center > low) & (center < high)).all()
    assert len(counts) > 1 and min(counts) < 64  # crops differ
    out = test(scene())
    assert out['inputs']['points'].shape == (num_points, 3)
    np.testing.assert_allclose(out['inputs']['points'].amax(0), [6, 5, 3], atol=0.02)
