"""AnnealHook and CodebookUsageHook."""

import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn as nn
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch.utils.data import Dataset

from mmkd3d.engine.hooks.anneal import AnnealHook
from mmkd3d.engine.hooks.codebook_usage import CodebookUsageHook
from mmkd3d.models.layers.quantizer import GumbelQuantizer
from tests.helpers import rejects

TEMPERATURE = dict(
    type='mmkd3d.AnnealHook', target='quantizer.temperature', start=1.0, end=0.0625, length=8
)
KL_WEIGHT = dict(
    type='mmkd3d.AnnealHook', target='kl_weight', start=0.0, end=0.1, begin=3, length=6
)


class Patches(Dataset):
    """Item i selects code i, or always code 5 to simulate a collapse."""

    def __init__(self, collapse=False):
        self.collapse = collapse

    def __len__(self):
        return 16

    def __getitem__(self, i):
        return dict(inputs=torch.tensor([5 if self.collapse else i]))


class Coder(BaseModel):
    def __init__(self, num_codes=32):
        super().__init__()
        self.quantizer = GumbelQuantizer(num_codes, 2)
        self.kl_weight = 7.0
        self.seen = []

    def forward(self, inputs, mode):
        self.seen.append((self.quantizer.temperature, self.kl_weight))
        wanted = torch.stack(inputs)  # (B, 1)
        self.quantizer.count(nn.functional.one_hot(wanted, len(self.quantizer.codebook)).float())
        return dict(loss=self.quantizer.codebook[wanted].square().mean())


def runner(work_dir, hooks, model=None, collapse=False, **kwargs):
    return Runner(
        model=model or Coder(),
        work_dir=str(work_dir),
        train_dataloader=dict(
            batch_size=4,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=Patches(collapse),
        ),
        train_cfg=dict(by_epoch=True, max_epochs=3),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=1e-3)),
        default_hooks=dict(logger=dict(type='LoggerHook', interval=1)),
        custom_hooks=hooks,
        default_scope='mmkd3d',
        log_level='WARNING',
        experiment_name=f'{work_dir.parent.name}_{work_dir.name}',
        **kwargs,
    )


def tau(n):
    """Published temperature schedule."""
    if n > 1e5:
        return 0.0625
    return 0.0625 + (1 - 0.0625) * (1 + math.cos(math.pi * n / 1e5)) / 2


def weight(n):
    """Published schedule of the KL weight."""
    m = n - 10000
    if m < 0:
        return 0.0
    if m > 1e5:
        return 0.1
    return 0.1 + (0 - 0.1) * (1 + math.cos(math.pi * m / 1e5)) / 2


def test_values_are_the_published_ones():
    temperature = AnnealHook('a', start=1.0, end=0.0625, length=100000)
    kl_weight = AnnealHook('a', start=0.0, end=0.1, begin=10000, length=100000)
    for n in (0, 1, 9999, 10000, 10001, 50000, 99999, 100000, 100001, 109999, 110000, 197155):
        assert temperature.value(n) == pytest.approx(tau(n), abs=1e-12)
        assert kl_weight.value(n) == pytest.approx(weight(n), abs=1e-12)


def expected(iterations):
    hooks = []
    for cfg in (TEMPERATURE, KL_WEIGHT):
        hooks.append(AnnealHook(**{k: v for k, v in cfg.items() if k != 'type'}))
    return [tuple(hook.value(i) for hook in hooks) for i in iterations]


def test_values_follow_the_iteration_also_in_a_resumed_run(tmp_path):
    hooks, path = [TEMPERATURE, KL_WEIGHT], tmp_path / 'a' / 'epoch_2.pth'
    run = runner(tmp_path / 'a', hooks)
    run.train()
    assert run.model.seen == expected(range(12))
    assert run.model.seen[0] == (1.0, 0.0) and run.model.seen[3][1] == 0.0
    assert run.model.seen[-1] == (0.0625, 0.1)
    run = runner(tmp_path / 'rest', hooks, load_from=str(path), resume=True)
    run.train()
    assert run.model.seen == expected(range(8, 12))
    # checkpoints store and restore the values
    (values,) = expected([7])
    saved = torch.load(path, weights_only=True)
    assert saved['annealed'] == {'quantizer.temperature': values[0], 'kl_weight': values[1]}
    run = runner(tmp_path / 'b', hooks, load_from=str(path))
    run.load_or_resume()
    assert (run.model.quantizer.temperature, run.model.kl_weight) == values
    runner(tmp_path / 'c', []).train()  # a checkpoint without the hook's values changes nothing
    run = runner(tmp_path / 'd', [KL_WEIGHT], load_from=str(tmp_path / 'c' / 'epoch_1.pth'))
    run.load_or_resume()
    assert run.model.kl_weight == 7.0


def test_a_missing_target_is_an_error_before_training():
    values, missing = dict(start=0.0, end=1.0), dict(error=AttributeError)
    for target in ('quantizer.temprature', 'quantiser.temperature', 'kl', 'a.b.c', ''):
        hook = AnnealHook(target, **values, length=5)
        run = SimpleNamespace(model=Coder())
        rejects(f"AnnealHook.*'{target}'", hook.before_train, run, **missing)
    for wrong in (dict(length=0), dict(length=5, begin=-1)):
        rejects('AnnealHook for kl_weight', AnnealHook, 'kl_weight', **values, **wrong)
    run, before = SimpleNamespace(model=nn.Linear(1, 1)), CodebookUsageHook().before_train_epoch
    rejects('CodebookUsageHook.*quantizer.*Linear', before, run, **missing)


USAGE = dict(type='mmkd3d.CodebookUsageHook')


def logged(run) -> dict:
    scalar = lambda name: run.message_hub.get_scalar(f'train/codebook/{name}').current()
    return {name: float(scalar(name)) for name in ('perplexity', 'dead_share')}


def watch(monkeypatch, run, level):
    """Collect the messages that a run logs at one level."""
    messages = []
    monkeypatch.setattr(run.logger, level, messages.append)
    return messages


def test_use_of_the_codebook_is_logged_each_epoch(tmp_path, monkeypatch):
    run = runner(tmp_path / 'a', [USAGE])
    said = watch(monkeypatch, run, 'info')
    warned = watch(monkeypatch, run, 'warning')
    run.train()
    assert logged(run) == pytest.approx(dict(perplexity=16, dead_share=0.5))
    assert run.model.quantizer.usage.sum() == 16  # counts of the last epoch only
    lines = [line for line in said if 'Codebook' in line]
    assert lines == 3 * ['Codebook: 16 of 32 codes used by 16 patches, perplexity 16.0']
    assert not [line for line in warned if 'Codebook' in line]
    (scalars,) = (tmp_path / 'a').glob('*/vis_data/scalars.json')
    assert 'codebook/perplexity' in scalars.read_text()


def test_a_collapse_warns_and_says_what_to_do(tmp_path, monkeypatch):
    run = runner(tmp_path / 'a', [dict(USAGE, min_share=0.1)], collapse=True)
    warned = watch(monkeypatch, run, 'warning')
    run.train()
    lines = [line for line in warned if 'Codebook' in line]
    assert len(lines) == 3 and 'has collapsed' in lines[0]
    assert '1 of 32 codes used by 16 patches, perplexity 1.0' in lines[0]
    assert 'Increase the weight of the KL loss' in lines[0]
    assert logged(run) == pytest.approx(dict(perplexity=1, dead_share=31 / 32))


def test_few_patches_are_no_collapse(tmp_path, monkeypatch):
    """16 patches use 16 distinct codes out of 4096."""
    run = runner(tmp_path / 'a', [USAGE], model=Coder(num_codes=4096))
    warned = watch(monkeypatch, run, 'warning')
    run.train()
    assert not [line for line in warned if 'Codebook' in line]
