"""Short runs with a tiny model for testing DistillationHook."""

import copy

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch.utils.data import Dataset

import mmkd3d.models  # noqa: F401
from mmkd3d.models.targets.points import PointTargets
from mmkd3d.registry import DATASETS, MODELS


@DATASETS.register_module(force=True)
class RandomClouds(Dataset):
    """Clouds of 16 points."""

    metainfo = dict(classes=('a', 'b'))

    def __init__(self, num=8):
        self.clouds = torch.randn(num, 16, 3, generator=torch.Generator().manual_seed(3))

    def __len__(self):
        return len(self.clouds)

    def __getitem__(self, i):
        sample = BaseDataElement(metainfo=dict(sample_id=str(i)))
        return dict(inputs=dict(points=self.clouds[i]), data_samples=sample)


class Tokens(nn.Linear):
    def forward(self, points):
        tokens = F.dropout(super().forward(points).tanh(), 0.1, self.training)
        return dict(tokens=tokens, centers=points)


@MODELS.register_module(force=True)
class SmallNet(BaseModel):
    """Predicts the distance of points from the origin."""

    def __init__(self):
        super().__init__(dict(type='mmkd3d.PointDataPreprocessor'))
        self.backbone = Tokens(3, 6)
        self.head = nn.Linear(6, 1)
        self.unused = nn.Identity()

    def forward(self, inputs, data_samples=None, mode='tensor'):
        points = inputs['points']
        far = self.head(self.backbone(points)['tokens'])[..., 0]
        if mode == 'loss':
            loss = (far - points.norm(dim=-1)).square().mean()
            return dict(loss_far=loss)
        return far


@MODELS.register_module(force=True)
class StubPoints(nn.Module):
    """Target that is valid at x > 0. Adds optional random noise and counts its calls."""

    calls = 0

    def __init__(self, dims=5, noise=0.0, blind=False):
        super().__init__()
        self.dims, self.noise, self.blind = dims, noise, blind
        self.weight = torch.randn(3, dims)

    def forward(self, points, data_samples, at):
        assert not torch.is_autocast_enabled()
        assert at.dtype == torch.float32
        type(self).calls += 1
        feats = (at @ self.weight).tanh()
        feats = feats + self.noise * torch.randn_like(feats)
        visible = at[..., 0] > (torch.inf if self.blind else 0)
        return PointTargets(feats, visible)


def hook(**kwargs):
    kwargs = dict(type='mmkd3d.DistillationHook', target=dict(type='mmkd3d.StubPoints')) | kwargs
    return kwargs


CONFIG = dict(
    model=dict(type='mmkd3d.SmallNet'),
    train_dataloader=dict(
        batch_size=2,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=True),
        collate_fn=dict(type='pseudo_collate'),
        dataset=dict(type='mmkd3d.RandomClouds'),
    ),
    train_cfg=dict(by_epoch=True, max_epochs=3),
    optim_wrapper=dict(
        type='OptimWrapper',
        optimizer=dict(type='AdamW', lr=0.1, weight_decay=0.01),
        clip_grad=dict(max_norm=0.3),
    ),
    param_scheduler=[
        dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=3),
        dict(type='CosineAnnealingLR', by_epoch=False, T_max=12),
    ],
    default_hooks=dict(checkpoint=dict(type='mmkd3d.CheckpointHook', interval=1)),
    visualizer=dict(type='Visualizer', vis_backends=[]),
    randomness=dict(seed=0),
    default_scope='mmkd3d',
    log_level='ERROR',
)


class Watch(Hook):
    """Records the logs of every step, counted from 1."""

    def __init__(self):
        self.logs = {}

    def after_train_iter(self, runner, batch_idx, data_batch, outputs):
        self.logs[runner.iter + 1] = {k: float(v.detach()) for k, v in outputs.items()}

    def __getitem__(self, name):
        return {i: logs.get(name) for i, logs in self.logs.items()}


def make_runner(work_dir, *hooks, **config):
    """Build a runner with hooks given as configs."""
    names = dict(work_dir=str(work_dir), experiment_name=str(work_dir))
    hooks = [dict(type='mmkd3d.ReseedHook'), *hooks]
    cfg = dict(CONFIG, **names, custom_hooks=hooks) | config
    return Runner.from_cfg(Config(copy.deepcopy(cfg)))


def train(work_dir, *hooks, **config):
    """Train; returns the runner and its logs."""
    runner = make_runner(work_dir, *hooks, **config)
    watch = Watch()
    runner.register_hook(watch)
    runner.train()
    return runner, watch


def weights(runner):
    return {k: v.clone() for k, v in runner.model.state_dict().items()}


@MODELS.register_module(force=True)
class StubAll(StubPoints):
    """Target that is valid at all points."""

    def forward(self, points, data_samples, at):
        feats, visible = super().forward(points, data_samples, at)
        return PointTargets(feats, torch.ones_like(visible))
