"""I2P-MAE from its configs: pretraining, resuming and downstream training."""

import copy

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope, init_default_scope

from mmkd3d.datasets.toy_shapes import ToyShapes
from mmkd3d.engine.hooks.checkpoint import find_resumable
from mmkd3d.registry import MODELS
from tests.helpers import REPO
from tests.models.segmentors.test_scene_segmentation import write_area
from tests.models.small_m2ae import student
from tests.models.teachers.nets import TINY, VIT
from tests.runs import (
    FINETUNE,
    HIDDEN,
    RUNTIME,
    SHAPES,
    Curve,
    Filled,
    predictions,
    start_from,
    train,
)

# Reduced sizes of the student and of the other components.
DIMS = (12, 18, 24)
STUDENT = {k: v for k, v in student().items() if k != 'type'}


def config(name, **options):
    """Shipped config with a small student."""
    cfg = Config.fromfile(REPO / 'configs' / name)
    cfg.merge_from_dict(dict(RUNTIME, model=dict(backbone=STUDENT)))
    cfg.merge_from_dict(options)
    return cfg


PRETRAIN = config(
    'toy/i2p-mae_toy.py',
    model=dict(
        backbone=dict(drop_path_rate=0.1),
        decoder=dict(stage_dims=DIMS[:0:-1], num_heads=3),
        target=dict(
            projector=dict(size=32),
            teacher=dict(VIT, _delete_=True, model_kwargs=dict(TINY, img_size=32)),
        ),
    ),
    train_dataloader=dict(batch_size=8, dataset=dict(num_samples=24, num_points=128)),
    train_cfg=dict(max_epochs=10),
    optim_wrapper=dict(optimizer=dict(lr=4e-3)),
)


@pytest.fixture(scope='module')
def pretrained(tmp_path_factory):
    """Work folder, losses and checkpoint of a run of 30 steps."""
    work_dir = tmp_path_factory.mktemp('i2p') / 'whole'
    curve = Curve()
    train(PRETRAIN, work_dir, curve)
    DefaultScope._instance_dict.clear()
    return work_dir, curve, work_dir / 'epoch_10.pth'


def test_the_loss_falls(pretrained):
    _, curve, _ = pretrained
    assert sorted(curve.losses) == list(range(1, 31))
    assert curve.fell(0.9)


def test_a_stopped_run_goes_on_in_the_same_curve(pretrained, tmp_path):
    _, whole, _ = pretrained
    stopped, rest = Curve(stop_at=4), Curve(stop_at=9)
    with pytest.raises(KeyboardInterrupt):
        train(PRETRAIN, tmp_path / 'run', stopped)
    found = find_resumable(tmp_path / 'run')
    assert found.endswith('epoch_1.pth') and sorted(stopped.losses) == [1, 2, 3, 4]
    with pytest.raises(KeyboardInterrupt):
        train(PRETRAIN, tmp_path / 'run', rest, load_from=found, resume=True)
    assert sorted(rest.losses) == list(range(4, 10))
    assert {**stopped.losses, **rest.losses} == pytest.approx(
        {i: whole.losses[i] for i in range(1, 10)}, rel=1e-6
    )


def test_a_checkpoint_has_the_student_and_no_teacher(pretrained):
    saved = torch.load(pretrained[2], weights_only=False)
    assert {key.split('.')[0] for key in saved['state_dict']} == {
        'backbone',
        'decoder',
        'to_points',
        'to_feats',
        'standardize',
    }
    net = MODELS.build({'_scope_': 'mmkd3d', **PRETRAIN.model})
    trained = [p for p in net.parameters() if p.requires_grad]
    assert len(saved['optimizer']['state']) == len(trained)


def downstream(name, checkpoint, head, **model):
    """Finetuning config of I2P-MAE with toy shapes of two categories."""
    cfg = config(f'i2p_mae/benchmarks/{name}.py')
    cfg.train_dataloader = copy.deepcopy(SHAPES.train_dataloader)
    for key in [k for k in cfg if k.startswith(('val_', 'test_'))]:
        cfg.pop(key)
    cfg.merge_from_dict(
        dict(
            FINETUNE,
            model=dict(
                backbone=dict(start_from(checkpoint), radii=(0.3, 0.6, 1.2)), head=head, **model
            ),
            train_cfg=dict(max_epochs=30, val_interval=100),
            param_scheduler=dict(warmup=0),
            optim_wrapper=dict(optimizer=dict(lr=2e-3)),
        )
    )
    return cfg


@pytest.mark.parametrize(
    'name', ['modelnet40', pytest.param('scanobjectnn-hardest', marks=pytest.mark.slow)]
)
def test_a_classifier_starts_from_it_and_learns(pretrained, tmp_path, name):
    cfg = downstream(
        f'cls_i2p-mae-b_1xb32-300e_{name}',
        pretrained[2],
        dict(HIDDEN, in_channels=24, num_classes=2),
    )
    curve = Curve()
    runner = train(cfg, tmp_path / name, curve, Filled(pretrained[2]))
    assert curve.fell(0.85), list(curve.losses.values())
    samples = predictions(runner, cfg.train_dataloader)
    right = [int(s.pred_label == s.gt_label) for s in samples]
    assert sum(right) >= 7


def test_a_segmentor_of_parts_starts_from_it_and_learns(pretrained, tmp_path):
    part_ids = runner_parts()
    cfg = downstream(
        'partseg_i2p-mae-b_1xb16-300e_shapenetpart',
        pretrained[2],
        dict(
            HIDDEN,
            in_channels=DIMS,
            num_categories=2,
            num_classes=max(sum(part_ids, [])) + 1,
            propagation_dims=(32, 24),
        ),
        category_parts=part_ids,
    )
    curve = Curve()
    runner = train(cfg, tmp_path / 'parts', curve, Filled(pretrained[2]))
    assert curve.fell(0.7), list(curve.losses.values())
    samples = predictions(runner, cfg.train_dataloader)
    own = [part_ids[int(s.gt_label)] for s in samples]
    assert all(set(s.pred_parts.tolist()) <= set(parts) for s, parts in zip(samples, own))


def runner_parts():
    """Part ids of both categories."""
    parts = ToyShapes('train', 1, num_points=8, categories=['chair', 'lamp']).metainfo
    return [list(ids) for ids in parts['parts'].values()]


@pytest.fixture
def mmdet3d_scope():
    pytest.importorskip('mmdet3d')
    init_default_scope('mmdet3d')


@pytest.mark.slow
def test_votenet_of_mmdet3d_starts_from_it_and_learns(pretrained, tmp_path, mmdet3d_scope):
    cfg = Config.fromfile(
        REPO / 'configs/i2p_mae/benchmarks/votenet_i2p-mae-b_8xb8-36e_scannet-3d.py'
    )
    toy = Config.fromfile(REPO / 'configs/toy/votenet_toy.py')
    toy.merge_from_dict(RUNTIME)
    toy.model = cfg.model
    backbone = STUDENT | dict(num_groups=(128, 64, 16))
    toy.merge_from_dict(
        dict(
            FINETUNE,
            model=dict(
                backbone=backbone | start_from(pretrained[2]),
                neck=dict(in_channels=DIMS),
                bbox_head=dict(vote_aggregation_cfg=dict(num_point=64)),
            ),
            train_cfg=dict(max_epochs=20, val_interval=100),
        )
    )
    rooms = dict(num_train=8, num_val=1, num_points=3000)
    for split in ('train', 'val', 'test'):
        dataset = toy[f'{split}_dataloader'].dataset
        dataset.update(data_root=str(tmp_path / 'rooms'), rooms=rooms)
    assert toy.model.neck.num_levels == 3 and toy.model.type == 'VoteNet'
    curve = Curve()
    runner = train(toy, tmp_path / 'votenet', curve, Filled(pretrained[2]))
    assert type(runner.model).__name__ == 'VoteNet'
    assert curve.fell(0.9), list(curve.losses.values())
    (sample,) = predictions(
        runner, dict(toy.val_dataloader, num_workers=0, persistent_workers=False)
    )
    found = sample.pred_instances_3d
    assert len(found.bboxes_3d) == len(found.scores_3d) > 0
    assert found.bboxes_3d.tensor.isfinite().all()


@pytest.mark.slow
def test_a_segmentor_of_mmdet3d_starts_from_it_and_learns(pretrained, tmp_path, mmdet3d_scope):
    for number in range(1, 7):
        write_area(tmp_path, number, np.random.default_rng(number))
    cfg = config('i2p_mae/benchmarks/semseg_i2p-mae-b_1xb32-60e_s3dis.py')
    for split in ('val', 'test'):
        cfg[f'{split}_dataloader'].dataset.data_root = str(tmp_path)
        cfg[f'{split}_dataloader'].update(num_workers=0)
    cfg.train_dataloader.dataset.dataset.data_root = str(tmp_path)
    cfg.merge_from_dict(
        dict(
            FINETUNE,
            model=dict(
                backbone=start_from(pretrained[2]),
                decode_head=dict(
                    in_channels=DIMS, dropout=0.0, propagation_dims=(32, 24), hidden_dims=(24,)
                ),
            ),
            train_dataloader=dict(batch_size=4),
            train_cfg=dict(max_epochs=5, val_interval=100),
            param_scheduler=dict(warmup=0),
            optim_wrapper=dict(optimizer=dict(lr=5e-3)),
        )
    )
    curve = Curve()
    runner = train(cfg, tmp_path / 'segmentor', curve, Filled(pretrained[2]))
    assert type(runner.model).__name__ == 'EncoderDecoder3D'
    assert curve.fell(0.7), list(curve.losses.values())
    (sample,) = predictions(runner, dict(cfg.val_dataloader))
    labels = sample.pred_pts_seg.pts_semantic_mask
    assert labels.shape == (12000,) and 0 <= labels.min()
    assert labels.max() < 13
