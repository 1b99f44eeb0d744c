"""Small runs of shipped configs, and hooks that monitor them."""

import copy

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from tests.helpers import REPO

RUNTIME = dict(
    train_dataloader=dict(num_workers=0, persistent_workers=False),
    default_hooks=dict(logger=dict(interval=100)),
    visualizer=dict(vis_backends=[]),
    log_level='ERROR',
)
# One checkpoint after about 100 steps, enough for the running statistics to
# match the final weights.
FINETUNE = dict(default_hooks=dict(checkpoint=dict(interval=100)))
SHAPES = Config.fromfile(REPO / 'configs/_base_/datasets/toy_shapes.py')
SHAPES.train_dataloader.update(batch_size=8)
SHAPES.train_dataloader.dataset.update(num_samples=32, num_points=128, categories=['chair', 'lamp'])
HIDDEN = dict(dropout=0.0, hidden_dims=(32,))


class Curve(Hook):
    """Records the loss of every step, counted from 1; can interrupt a run."""

    def __init__(self, stop_at=None):
        self.losses, self.stop_at = {}, stop_at

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.stop_at:
            raise KeyboardInterrupt

    def after_train_iter(self, runner, batch_idx, data_batch, outputs):
        self.losses[runner.iter + 1] = outputs['loss'].item()

    def fell(self, share, num=8):
        """Whether the last ``num`` losses are below a fraction of the first ones."""
        values = [self.losses[i] for i in sorted(self.losses)]
        return sum(values[-num:]) < share * sum(values[:num])


def train(cfg, work_dir, *hooks, **kwargs):
    cfg = copy.deepcopy(cfg)
    cfg.merge_from_dict(dict(work_dir=str(work_dir), experiment_name=work_dir.name, **kwargs))
    runner = Runner.from_cfg(cfg)
    for hook in hooks:
        runner.register_hook(hook)
    runner.train()
    return runner


def log_of(work_dir) -> str:
    """Log text of all runs in a folder."""
    return ''.join(path.read_text() for path in sorted(work_dir.glob('*/*.log')))


def start_from(checkpoint):
    return dict(init_cfg=dict(type='Pretrained', checkpoint=str(checkpoint)))


def check_filled(backbone, checkpoint):
    """Check that all weights of ``backbone`` equal those of the checkpoint."""
    saved = torch.load(checkpoint, weights_only=False)['state_dict']
    for key, value in backbone.state_dict().items():
        assert torch.equal(value, saved[f'backbone.{key}']), key


class Filled(Hook):
    """Checks that the backbone starts with the checkpoint's weights."""

    def __init__(self, checkpoint):
        self.checkpoint = checkpoint

    def before_train(self, runner):
        check_filled(runner.model.backbone, self.checkpoint)


def predictions(runner, cfg):
    """Predictions of ``test_step`` for the first training batch."""
    loader = runner.build_dataloader(cfg, seed=0)
    return runner.model.eval().test_step(next(iter(loader)))
