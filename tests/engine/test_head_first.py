"""HeadFirstHook: which parameters move, and when."""

import torch

from mmkd3d.engine.hooks.head_first import HeadFirstHook
from tests.engine.small_run import SmallNet
from tests.helpers import rejects


class Runner:
    def __init__(self):
        torch.manual_seed(0)
        self.model, self.iter = SmallNet(), 0


def test_the_backbone_waits_for_the_head():
    runner, hook = Runner(), HeadFirstHook(iters=3)
    runner.model.backbone.bias.requires_grad_(False)  # frozen by the user, and stays so
    optimizer = torch.optim.SGD(runner.model.parameters(), lr=0.1)
    moved = []
    for runner.iter in range(5):
        before = {k: v.clone() for k, v in runner.model.state_dict().items()}
        hook.before_train_iter(runner, runner.iter)
        loss = runner.model(dict(points=torch.randn(2, 16, 3)), mode='loss')['loss_far']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        after = runner.model.state_dict()
        moved.append({key for key in after if not torch.equal(after[key], before[key])})
    head = {'head.weight', 'head.bias'}
    assert moved == [head] * 3 + [head | {'backbone.weight'}] * 2
    rejects('iters must be at least 1', HeadFirstHook, 0)


def test_several_processes_need_a_setting():
    """Without it, DDP fails in the second step with a text that does not name the hook."""
    runner, hook = Runner(), HeadFirstHook(iters=3)
    hook.before_train(runner)
    runner.model.find_unused_parameters = True  # as DDP has it
    hook.before_train(runner)
    runner.model.find_unused_parameters = False
    rejects('set find_unused_parameters=True', hook.before_train, runner)
