"""Checkpoints of small students, and input clouds."""

import numpy as np
import torch
from mmengine.config import Config

import mmkd3d
from mmkd3d.datasets.transforms.geometry import NormalizePoints
from tests.apis.test_students import BACKBONE
from tests.models.small_m2ae import student as pyramid

STUDENTS = dict(plain=BACKBONE, recon=dict(BACKBONE, type='ReConTransformer'), pyramid=pyramid())


def config_of(backbone: dict, num_points=40, **kwargs) -> Config:
    pipeline = [
        dict(type='LoadPoints'),
        dict(type='SamplePoints', num_points=num_points),
        dict(type='NormalizePoints'),
        dict(type='PackPoints'),
    ]
    dataset = dict(type='ToyShapes', pipeline=pipeline)
    return Config(
        dict(
            default_scope='mmkd3d',
            model=dict(type='PointMAE', backbone=backbone),
            train_dataloader=dict(dataset=dataset),
            **kwargs,
        )
    )


def save(path, cfg: Config, **more):
    """Save a model with random weights in the format of a runner's checkpoint."""
    torch.manual_seed(3)
    model = mmkd3d.load_student(cfg)
    for name, p in model.named_parameters():
        if p.ndim == 1:
            torch.nn.init.normal_(p, 1.0, 0.3)
    state = {k: v for k, v in model.state_dict().items()}
    torch.save(dict(state_dict={**state, **more}, meta=dict(cfg=cfg.pretty_text)), path)
    return path


def clouds(count=5, size=40, seed=0) -> np.ndarray:
    """Random clouds in the unit sphere."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(count, size, 3)).astype(np.float32)
    return np.stack([NormalizePoints()(dict(points=cloud))['points'] for cloud in points])


def extractor(path, *args, **kwargs):
    return mmkd3d.FeatureExtractor(path, *args, device='cpu', **kwargs)


def close(got, expected, atol=2e-5):
    torch.testing.assert_close(got, expected, atol=atol, rtol=0)
