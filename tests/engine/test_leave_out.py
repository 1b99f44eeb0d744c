"""LeaveOutHook: which rows of a checkpoint reach the model."""

from types import SimpleNamespace

import torch

from mmkd3d.engine.hooks.leave_out import LeaveOutHook
from tests.helpers import rejects


def load(rows, *, resume=False, classes=4):
    """State of a model that starts from a checkpoint with four rows, and both before."""
    torch.manual_seed(0)
    model = torch.nn.ModuleDict(dict(head=torch.nn.Linear(3, classes), body=torch.nn.Linear(3, 3)))
    old = torch.nn.ModuleDict(dict(head=torch.nn.Linear(3, 4), body=torch.nn.Linear(3, 3)))
    own = {k: v.clone() for k, v in model.state_dict().items()}
    checkpoint = dict(state_dict={k: v.clone() for k, v in old.state_dict().items()})
    runner = SimpleNamespace(model=model, _resume=resume, _load_from='old.pth')
    LeaveOutHook(rows).after_load_checkpoint(runner, checkpoint)
    model.load_state_dict(checkpoint['state_dict'])
    return model.state_dict(), own, old.state_dict()


def test_rows_from_the_given_one_on_stay_as_initialised():
    for classes in (4, 7):
        found, own, old = load({'head.*': 2}, classes=classes)
        for key in ('head.weight', 'head.bias'):
            assert torch.equal(found[key][:2], old[key][:2])
            assert torch.equal(found[key][2:], own[key][2:])
        assert torch.equal(found['body.weight'], old['body.weight'])
    found, own, _ = load({'head.weight': 0})
    assert torch.equal(found['head.weight'], own['head.weight'])


def test_a_resumed_run_gets_all_weights():
    found, _, old = load({'head.*': 2}, resume=True)
    assert all(torch.equal(found[key], old[key]) for key in old)


def test_wrong_rows_say_so():
    rejects("No key of old.pth fits 'haed.*'. The keys are head.weight", load, {'haed.*': 2})
    rejects('rows from 0 on', LeaveOutHook, {'head': -1})
    rejects('rows from 0 on', LeaveOutHook, {})
