"""Warnings about collapsing distillation."""

import logging
from types import SimpleNamespace

import pytest
import torch
import torch.nn as nn
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch.utils.data import Dataset

from mmkd3d.engine.hooks.collapse_alarm import CollapseAlarmHook
from tests.helpers import rejects

GOOD = dict(token_std=0.5, matched_cos=0.6, concept_usage=0.8, retrieval_top1=0.1)


def warnings_of(iterations, caplog, **kwargs):
    """Monitors that triggered warnings, and the iterations after which they did."""
    hook = CollapseAlarmHook(**dict(dict(interval=2, window=4), **kwargs))
    logger = logging.getLogger('alarm')
    runner = SimpleNamespace(logger=logger, iter=0)
    hook.before_train(runner)
    came = []
    for i, outputs in enumerate(iterations):
        runner.iter = i
        caplog.clear()
        outputs = {name: torch.tensor(value) for name, value in outputs.items()}
        hook.after_train_iter(runner, i, outputs=outputs)
        came += [(r.getMessage().split()[0], i + 1) for r in caplog.records]
    return came


@pytest.mark.parametrize(
    'name, good, bad',
    [('token_std', 0.06, 0.04), ('matched_cos', 0.97, 0.99), ('concept_usage', 0.11, 0.09)],
)
def test_every_monitor_has_its_limit(name, good, bad, caplog):
    for others in (GOOD, {}):
        assert warnings_of(20 * [others | {name: good}], caplog) == []
        assert warnings_of(20 * [others | {name: bad}], caplog) == [(name, 4)]


def test_warnings_are_of_windows_and_intervals_and_limits_can_be_set(caplog):
    assert warnings_of(20 * [GOOD], caplog) == []
    bad = GOOD | dict(token_std=0.0)
    some = [bad if i in (3, 7, 11) else GOOD for i in range(20)]
    assert warnings_of(some, caplog) == []
    assert warnings_of(3 * [bad] + 20 * [GOOD], caplog) == []
    # Late collapse: the mean over four steps falls below the limit at the fourth.
    assert warnings_of(10 * [GOOD] + 10 * [bad], caplog) == [('token_std', 14)]
    bad = GOOD | dict(concept_usage=0.0)
    assert warnings_of(20 * [bad], caplog, interval=7, window=3) == [('concept_usage', 7)]
    assert warnings_of(20 * [bad], caplog, interval=1, window=1) == [('concept_usage', 1)]
    tight = dict(min_token_std=0.6, max_matched_cos=0.5, min_usage=0.9)
    names = ('token_std', 'matched_cos', 'concept_usage')
    assert warnings_of(8 * [GOOD], caplog, **tight) == [(name, 4) for name in names]
    # NaN is left to the losses and FiniteLossHook.
    assert warnings_of(20 * [dict.fromkeys(GOOD, float('nan'))], caplog) == []
    for wrong in (dict(interval=0), dict(window=0)):
        rejects('at least 1', CollapseAlarmHook, **wrong)


def test_a_large_cosine_is_a_success_where_shapes_are_told_apart(caplog):
    good = GOOD | dict(matched_cos=0.999, retrieval_top1=0.9)
    assert warnings_of(20 * [good], caplog) == []
    cone = good | dict(retrieval_top1=0.02)
    assert warnings_of(20 * [cone], caplog) == [('matched_cos', 4)]
    assert warnings_of(20 * [cone], caplog, max_retrieval=0.01) == []


class Ones(Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, i):
        return dict(inputs=torch.ones(1))


class Logs(BaseModel):
    """Logs a value, by default token_std, that shrinks to zero."""

    def __init__(self, name='token_std'):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.name = name

    def forward(self, inputs, mode):
        loss = self.weight.square().sum()
        return {'loss_fit': loss, self.name: self.weight.detach().abs()}


def runner(work_dir, model):
    return Runner(
        model=model,
        work_dir=str(work_dir),
        train_dataloader=dict(
            batch_size=2,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=Ones(),
        ),
        train_cfg=dict(by_epoch=True, max_epochs=5),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.2)),
        custom_hooks=[dict(type='mmkd3d.CollapseAlarmHook', interval=5, window=2)],
        default_scope='mmkd3d',
        log_level='WARNING',
        experiment_name=f'{work_dir.parent.name}_{work_dir.name}',
    )


def test_a_run_warns_once_and_goes_on(tmp_path):
    run = runner(tmp_path, Logs())
    run.train()
    (log,) = tmp_path.glob('*/*.log')
    lines = [line for line in log.read_text().splitlines() if 'all alike' in line]
    assert len(lines) == 1 and 'WARNING' in lines[0]
    # The weight is 0.6 ** i at iteration i (from 0).
    mean = (0.6**8 + 0.6**9) / 2
    assert f'token_std is {mean:.3g} on average over 2' in lines[0]
    assert run.iter == 20


def test_a_model_that_logs_nothing_of_it_is_refused(tmp_path):
    says = 'token_std, matched_cos, concept_usage.*logs loss, loss_fit, lr_scale'
    rejects(says, runner(tmp_path, Logs('lr_scale')).train)
