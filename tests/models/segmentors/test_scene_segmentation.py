"""Segmentation head in mmdetection3d's segmentor, on files in its S3DIS layout."""

import pickle

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope, init_default_scope
from mmengine.runner import Runner

from mmkd3d.engine.hooks.class_weight import class_weights, count_labels
from mmkd3d.registry import MODELS
from tests.helpers import REPO
from tests.models.steps import SMALL

pytest.importorskip('mmdet3d')
CONFIG = REPO / 'configs/act/benchmarks/semseg_act-pointvit-s_1xb32-60e_s3dis.py'


def write_area(root, number: int, rng) -> None:
    """Write a room of 3 m x 2 m: floor (1), ceiling (0) and a wall (2)."""
    floor, ceiling, wall = (rng.uniform(0, (3, 2, 2.5), (4000, 3)) for _ in range(3))
    floor[:, 2], ceiling[:, 2], wall[:, 1] = 0, 2.5, 0
    xyz = np.concatenate([floor, ceiling, wall])
    points = np.concatenate([xyz, rng.uniform(0, 255, xyz.shape)], axis=1)
    name = f'Area_{number}_office_1.bin'
    for folder in ('points', 'semantic_mask', 'instance_mask', 'seg_info'):
        (root / folder).mkdir(exist_ok=True)
    points.astype(np.float32).tofile(root / 'points' / name)
    labels = np.repeat([1, 0, 2], 4000)
    labels.tofile(root / 'semantic_mask' / name)
    np.save(root / f'seg_info/Area_{number}_resampled_scene_idxs.npy', [0, 0])
    info = dict(
        lidar_points=dict(lidar_path=name, num_pts_feats=6),
        pts_semantic_mask_path=name,
        pts_instance_mask_path=name,
    )
    with open(root / f's3dis_infos_Area_{number}.pkl', 'wb') as file:
        pickle.dump(dict(metainfo=dict(), data_list=[info]), file)


@pytest.fixture(scope='module')
def setup(tmp_path_factory):
    """Config for small rooms, and a small model, in mmdet3d's scope."""
    before = DefaultScope._instance_dict.copy()
    init_default_scope('mmdet3d')
    root = tmp_path_factory.mktemp('s3dis')
    rng = np.random.default_rng(0)
    for number in range(1, 7):
        write_area(root, number, rng)
    cfg = Config.fromfile(CONFIG)
    cfg.train_dataloader.dataset.dataset.data_root = str(root)
    cfg.val_dataloader.dataset.data_root = str(root)
    cfg.train_dataloader.update(batch_size=4, num_workers=0)
    cfg.val_dataloader.update(num_workers=0)
    cfg.model.backbone.pop('init_cfg')
    sizes = {k: v for k, v in SMALL.items() if k != 'group_size'}
    cfg.model.backbone.update(sizes, num_groups=32, drop_path_rate=0.0, out_indices=(0, 1))
    sizes = dict(in_channels=24, num_levels=2, propagation_dims=(32, 32), hidden_dims=(32, 16))
    cfg.model.decode_head.update(sizes, dropout=0.0)
    torch.manual_seed(0)
    np.random.seed(0)
    yield cfg, MODELS.build(cfg.model)
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(before)


def test_blocks_are_the_published_ones(setup):
    cfg, _ = setup
    steps = cfg.train_dataloader.dataset.dataset.pipeline
    scale = [s for s in steps if 'GlobalRotScaleTrans' in s.type]
    cfg = cfg.copy()
    cfg.train_dataloader.dataset.dataset.pipeline = [s for s in steps if s not in scale]
    dataset = Runner.build_dataloader(cfg.train_dataloader, seed=0).dataset
    assert len(dataset) == 2 * 10  # 5 areas, 2 entries each, twice
    sample = dataset[3]
    points = sample['inputs']['points']
    labels = sample['data_samples'].gt_pts_seg.pts_semantic_mask
    assert points.shape == (2048, 3) and labels.shape == (2048,)
    assert points[:, :2].abs().max() <= 0.5
    assert (points[labels == 1, 2] == 0).all()  # floor: height is absolute
    assert (points[labels == 0, 2] == 2.5).all()


def test_classes_are_counted_in_all_areas(setup):
    cfg, _ = setup
    dataset = Runner.build_dataloader(cfg.train_dataloader, seed=0).dataset
    counts = count_labels(dataset)  # one room in each of five areas
    assert counts.tolist() == [20000] * 3 + [0] * 10
    assert class_weights(counts).tolist() == [1.0] * 3 + [0.0] * 10


@pytest.mark.slow
def test_a_segmentor_learns_and_segments_whole_rooms(setup):
    cfg, model = setup
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    loader = Runner.build_dataloader(cfg.train_dataloader, seed=0)
    for _ in range(20):
        for batch in loader:
            data = model.data_preprocessor(batch, training=True)
            losses = model(**data, mode='loss')
            optimizer.zero_grad()
            losses['decode.loss_seg'].backward()
            optimizer.step()
    model.eval()
    loader = Runner.build_dataloader(cfg.val_dataloader, seed=0)
    evaluator = Runner.build_evaluator(None, cfg.val_evaluator)
    evaluator.dataset_meta = loader.dataset.metainfo
    with torch.no_grad():
        for batch in loader:
            samples = model.val_step(batch)
            evaluator.process(samples, batch)
    assert samples[0].pred_pts_seg.pts_semantic_mask.shape == (12000,)
    scores = evaluator.evaluate(len(loader.dataset))
    assert scores['acc'] > 0.9
