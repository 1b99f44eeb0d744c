"""Optimizer wrapper that steps twice per batch."""

import torch
import torch.nn as nn
from mmengine.optim import build_optim_wrapper

from mmkd3d.engine.optim.repeat_step import RepeatStepOptimWrapper


def test_two_adamw_updates_the_first_one_unclipped():
    torch.manual_seed(0)
    ours, reference = nn.Linear(4, 3), nn.Linear(4, 3)
    reference.load_state_dict(ours.state_dict())
    config = dict(
        type='mmkd3d.RepeatStepOptimWrapper',
        optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=0.05),
        clip_grad=dict(max_norm=0.5),
    )
    wrapper = build_optim_wrapper(ours, config)
    assert isinstance(wrapper, RepeatStepOptimWrapper)
    optimizer = torch.optim.SGD(reference.parameters(), lr=0.1, momentum=0.9, weight_decay=0.05)
    for _ in range(3):
        x = torch.randn(5, 4) * 10
        wrapper.update_params(ours(x).square().mean())
        loss = reference(x).square().mean()
        loss.backward()
        optimizer.step()
        norm = nn.utils.clip_grad_norm_(reference.parameters(), 0.5)
        assert norm > 0.5  # so that clipping has an effect
        optimizer.step()
        optimizer.zero_grad()
        for a, b in zip(ours.parameters(), reference.parameters()):
            torch.testing.assert_close(a, b)
            assert a.grad is None
