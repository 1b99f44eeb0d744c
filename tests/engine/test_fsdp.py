"""Training that is split over two processes, and its checkpoints."""

import copy
from pathlib import Path

import pytest
import torch
import torch.nn as nn
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import RUNNERS
from mmengine.runner import Runner
from torch.distributed.tensor import DTensor

from mmkd3d import load_student
from mmkd3d.checkpoints import read_checkpoint
from mmkd3d.engine.fsdp import FSDPStrategy
from mmkd3d.engine.hooks.finite_loss import FiniteLossHook
from mmkd3d.engine.hooks.loaders import check_training
from mmkd3d.engine.hooks.precise_bn import PreciseBNHook
from mmkd3d.registry import MODELS
from tests import runs
from tests.engine.small_run import CONFIG, RandomClouds  # noqa: F401  (registers the data set)
from tests.helpers import REPO, rejects
from tests.ranks import train_config

pytestmark = pytest.mark.xdist_group('ranks')


class Block(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(7, 7), nn.GELU(), nn.LayerNorm(7))


class Teacher(nn.Module):
    """Keeps its net out of the modules that torch sees."""

    hides_net = True

    def __init__(self):
        super().__init__()
        object.__setattr__(
            self, 'net', nn.Sequential(Block(), nn.Linear(7, 1)).requires_grad_(False)
        )


@MODELS.register_module(force=True)
class SplitNet(BaseModel):
    """Predicts the distance of points from the origin, and the features of a teacher."""

    def __init__(self):
        super().__init__(dict(type='mmkd3d.PointDataPreprocessor'))
        self.first, self.last = nn.Linear(3, 7), nn.Linear(7, 1)
        self.blocks = nn.ModuleList([Block(), Block()])
        self.teacher = Teacher()

    def forward(self, inputs, data_samples=None, mode='tensor'):
        x = self.first(inputs['points'])
        with torch.no_grad():
            wanted = inputs['points'].norm(dim=-1) + self.teacher.net(x.detach())[..., 0]
        for block in self.blocks:
            x = x + block(x)
        return dict(loss=(self.last(x)[..., 0] - wanted).square().mean())


CFG = dict(
    CONFIG,
    model=dict(type='mmkd3d.SplitNet'),
    env_cfg=dict(dist_cfg=dict(backend='gloo')),
    optim_wrapper=dict(
        type='OptimWrapper',
        optimizer=dict(type='AdamW', lr=0.05, weight_decay=0.5),
        clip_grad=dict(max_norm=0.1),
        paramwise_cfg=dict(flat_decay_mult=0.0),
    ),
    custom_hooks=[dict(type='mmkd3d.CheckLoadersHook'), dict(type='mmkd3d.FiniteLossHook')],
)
CFG['train_dataloader'] = dict(
    CONFIG['train_dataloader'], sampler=dict(type='DefaultSampler', shuffle=False)
)
SPLIT = dict(runner_type='FlexibleRunner', strategy=dict(type='mmkd3d.FSDPStrategy'))


def start(cfg, work_dir, **options):
    cfg = Config(copy.deepcopy(dict(cfg, work_dir=str(work_dir), experiment_name=work_dir.name)))
    cfg.merge_from_dict(options)
    runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
    curve = runs.Curve()
    runner.register_hook(curve)
    check_training(runner)
    runner.train()
    return runner, curve.losses


def train_split(rank, cfg, work_dir, options):
    """Losses, elements held by this process of the model and teacher, and of all."""
    options = {'launcher': 'pytorch', **options}
    runner, losses = start({**cfg, **SPLIT}, Path(work_dir), **options)
    modules = [runner.model, *(m.net for m in runner.model.modules() if hasattr(m, 'hides_net'))]
    split = [p for m in modules for p in m.parameters() if isinstance(p, DTensor)]
    return losses, sum(p.to_local().numel() for p in split), sum(p.numel() for p in split)


def mean(losses):
    """Of both processes."""
    return [(a + b) / 2 for a, b in zip(losses[0].values(), losses[1].values(), strict=True)]


def weights(folder, epoch=3):
    return read_checkpoint(folder / f'epoch_{epoch}.pth')['state_dict']


def test_two_processes_train_as_one_on_the_whole_batch(ranks, tmp_path):
    _, wanted = start(CFG, tmp_path / 'one', **{'train_dataloader.batch_size': 4})
    replies = ranks(train_split, CFG, tmp_path / 'two', {})
    assert mean([r[0] for r in replies]) == pytest.approx(list(wanted.values()), abs=1e-5)
    # the model, and the block of the teacher: 8 and 7 rows are split unevenly
    numbers = [reply[1] for reply in replies]
    assert sum(numbers) == replies[0][2] and max(numbers) < 0.6 * sum(numbers)
    one, two = weights(tmp_path / 'one'), weights(tmp_path / 'two')
    assert one.keys() == two.keys()
    for key, value in one.items():
        torch.testing.assert_close(two[key], value, rtol=1e-4, atol=1e-5)

    # from the same file, two processes and one go on alike
    start_at = str(tmp_path / 'two' / 'epoch_2.pth')
    options = dict(load_from=start_at, resume=True)
    again = mean([r[0] for r in ranks(train_split, CFG, tmp_path / 'again', options)])
    assert again == pytest.approx(list(wanted.values())[4:], abs=1e-5)
    options['train_dataloader.batch_size'] = 4
    _, alone = start(CFG, tmp_path / 'alone', **options)
    assert list(alone.values()) == pytest.approx(again, abs=1e-5)


@pytest.mark.nightly
def test_a_student_trains_as_with_ddp(ranks, tmp_path):
    cfg = Config.fromfile(REPO / 'configs/toy/point-mae_toy.py')
    cfg.merge_from_dict(runs.RUNTIME)
    cfg.train_dataloader = runs.SHAPES.train_dataloader
    cfg.model.backbone.update(depth=2, num_groups=8, group_size=16)
    cfg.train_cfg.max_epochs = 2
    wanted = ranks(train_config, cfg.to_dict(), tmp_path / 'ddp')
    found = [reply[0] for reply in ranks(train_split, cfg.to_dict(), tmp_path / 'fsdp', {})]
    for one, two in zip(wanted, found, strict=True):
        assert list(two.values()) == pytest.approx(list(one.values()), abs=1e-5)
    students = [load_student(cfg, tmp_path / kind / 'epoch_2.pth') for kind in ('ddp', 'fsdp')]
    for one, two in zip(*(student.parameters() for student in students), strict=True):
        torch.testing.assert_close(two, one, rtol=1e-4, atol=1e-5)


def test_what_cannot_be_split_is_refused(tmp_path):
    options = dict(work_dir=str(tmp_path), env_kwargs=dict(launcher='none'))
    strategy = FSDPStrategy(blocks=['Layer'], **options)
    rejects('no part of SplitNet is a Layer. Set strategy.blocks', strategy._wrap_model, SplitNet())
    strategy = FSDPStrategy(**options)
    rejects('start them with tools/dist_train.sh', strategy._wrap_model, SplitNet())
    hooks = [FiniteLossHook(), PreciseBNHook()]
    rejects('PreciseBNHook does not work with FSDPStrategy', strategy.check_hooks, hooks)
