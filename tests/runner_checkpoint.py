"""Script that trains, resumes and tests a tiny model with mmengine's Runner.

    python -m tests.runner_checkpoint WORK_DIR write|use

``write`` trains two epochs with mmengine alone. ``use`` imports mmkd3d first,
resumes training up to four epochs, then tests the checkpoint. Prints one line
of JSON.
"""

import json
import sys

import numpy as np
import torch
from mmengine.config import ConfigDict
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn


class Line(torch.utils.data.Dataset):
    metainfo = dict(
        classes=('low', 'high'),
        palette=np.eye(3, dtype=np.uint8),
        label2cat=ConfigDict({0: 'low', 1: 'high'}),
    )

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return torch.full((3,), index / 8), index / 8


class Regressor(BaseModel):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 1)

    def forward(self, points, target, mode='tensor'):
        pred = self.linear(points).squeeze(1)
        if mode == 'loss':
            return dict(loss=(pred - target.to(pred)).square().mean())
        return [pred]


class MeanPrediction(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results += [float(pred.mean()) for pred in data_samples]

    def compute_metrics(self, results):
        return dict(mean_prediction=np.mean(results))


def build_runner(work_dir: str, max_epochs: int, **kwargs) -> Runner:
    loader = dict(
        dataset=Line(),
        batch_size=2,
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='default_collate'),
    )
    return Runner(
        Regressor(),
        work_dir,
        train_dataloader=loader,
        val_dataloader=dict(loader),
        test_dataloader=dict(loader),
        train_cfg=dict(by_epoch=True, max_epochs=max_epochs),
        val_cfg=dict(),
        test_cfg=dict(),
        val_evaluator=[MeanPrediction()],
        test_evaluator=[MeanPrediction()],
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=0.01)),
        param_scheduler=[dict(type='CosineAnnealingLR', T_max=4)],
        default_hooks=dict(
            logger=dict(type='LoggerHook', interval=1),
            checkpoint=dict(type='CheckpointHook', save_best='mean_prediction', rule='greater'),
        ),
        log_level='ERROR',
        experiment_name=f'until_{max_epochs}',
        **kwargs,
    )


def write(work_dir: str) -> dict:
    runner = build_runner(work_dir, 2)
    runner.train()
    return dict(epoch=runner.epoch)


def use(work_dir: str) -> dict:
    import mmkd3d  # noqa: F401

    runner = build_runner(work_dir, 4, resume=True, load_from=f'{work_dir}/epoch_2.pth')
    runner.train()
    history, _ = runner.message_hub.get_scalar('train/loss').data
    tested = build_runner(work_dir, 5, load_from=f'{work_dir}/epoch_4.pth').test()
    with torch.no_grad():
        points = torch.stack([Line()[index][0] for index in range(8)])
        expected = runner.model(points, None)[0].mean()
    return dict(
        epoch=runner.epoch,
        losses=len(history),
        tested=tested['mean_prediction'],
        expected=float(expected),
    )


if __name__ == '__main__':
    torch.set_num_threads(1)
    print(json.dumps({'write': write, 'use': use}[sys.argv[2]](sys.argv[1])))
