"""Training with compiled transformer blocks."""

import pytest
import torch.nn as nn
from timm.models.vision_transformer import Block

from mmkd3d.engine.hooks.compile import CompileHook, find_blocks
from mmkd3d.registry import MODELS
from tests.engine.small_run import CONFIG, SmallNet, Watch, make_runner
from tests.helpers import rejects
from tests.models.teachers.nets import VIT


@MODELS.register_module(force=True)
class SmallTransformer(nn.Module):
    """A block on the tokens of points."""

    def __init__(self, depth=2):
        super().__init__()
        self.embed = nn.Linear(3, 8)
        self.blocks = nn.Sequential(*[Block(8, 2) for _ in range(depth)])

    def forward(self, points):
        return dict(tokens=self.blocks(self.embed(points)))


@MODELS.register_module(force=True)
class Attentive(SmallNet):
    def __init__(self):
        super().__init__()
        self.backbone, self.head = SmallTransformer(), nn.Linear(8, 1)


def run(work_dir, backend=None, **config):
    runner = make_runner(work_dir, model=dict(type='Attentive'), **config)
    watch = Watch()
    runner.register_hook(watch)
    if backend:
        runner.register_hook(CompileHook(backend))
    runner.train()
    return runner, watch['loss']


def test_blocks_of_students_and_teachers_are_found():
    model = nn.ModuleList([SmallTransformer(3), MODELS.build(VIT)])
    assert len([*find_blocks(model)]) == 3 + 2


def test_compiled_blocks_train_alike_under_the_same_names(tmp_path):
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    plain, losses = run(tmp_path / 'plain')
    runner, compiled = run(tmp_path / 'compiled', backend)
    assert graphs and compiled == pytest.approx(losses, rel=1e-6)
    assert runner.model.state_dict().keys() == plain.model.state_dict().keys()
    resume = dict(resume=True, load_from=str(tmp_path / 'compiled/epoch_2.pth'))
    bf16 = dict(CONFIG['optim_wrapper'], type='mmkd3d.Bf16OptimWrapper')
    _, rest = run(tmp_path / 'resumed', **resume)
    assert rest == pytest.approx({i: loss for i, loss in losses.items() if i in rest}, rel=1e-6)
    _, low = run(tmp_path / 'bf16', backend, optim_wrapper=bf16)
    assert low == pytest.approx(losses, rel=0.1) and low != losses


@pytest.mark.nightly
def test_inductor_trains_alike(tmp_path):
    _, losses = run(tmp_path / 'plain')
    _, compiled = run(tmp_path / 'compiled', 'inductor')
    assert compiled == pytest.approx(losses, rel=1e-4)


def test_what_cannot_be_compiled_is_a_clear_error(tmp_path, monkeypatch):
    runner = make_runner(tmp_path)
    rejects('no transformer blocks in SmallNet', CompileHook('eager').before_train, runner)
    monkeypatch.setenv('PATH', str(tmp_path))
    monkeypatch.delenv('CXX', raising=False)
    rejects(r'no C\+\+ compiler \(g\+\+', CompileHook().before_train, runner)
