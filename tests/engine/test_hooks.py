"""Hooks for non-finite losses, reseeding and checkpoint files."""

import numpy as np
import pytest
import torch
import torch.nn as nn
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch.utils.data import Dataset

from mmkd3d.engine.hooks.checkpoint import AtomicBackend, CheckpointHook, find_resumable
from mmkd3d.engine.hooks.finite_loss import NonFiniteLossError
from tests.helpers import REPO, rejects


class Numbers(Dataset):
    """Item i is the number i; item ``bad`` is NaN."""

    def __init__(self, bad=None):
        self.bad = bad

    def __len__(self):
        return 8

    def __getitem__(self, i):
        value = float('nan') if i == self.bad else float(i)
        return dict(
            inputs=dict(points=torch.full((1, 3), value)),
            data_samples=BaseDataElement(metainfo=dict(sample_id=f'number_{i}')),
        )


class Line(BaseModel):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.drawn = []

    def forward(self, inputs, data_samples, mode):
        x = torch.stack(inputs['points']).mean()
        self.drawn.append((float(torch.rand(1)), float(np.random.rand())))
        return dict(loss_fit=(self.weight * x).square(), loss_zero=x * 0 + 1)


def runner(work_dir, data=None, **kwargs):
    base = Config.fromfile(REPO / 'configs/_base_/default_runtime.py')
    return Runner(
        model=Line(),
        work_dir=str(work_dir),
        train_dataloader=dict(
            batch_size=2,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=data or Numbers(),
        ),
        train_cfg=dict(by_epoch=True, max_epochs=2),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=1e-3)),
        default_hooks=base.default_hooks,
        custom_hooks=base.custom_hooks,
        default_scope='mmkd3d',
        log_level='ERROR',
        randomness=dict(seed=3),
        experiment_name=work_dir.name,
        **kwargs,
    )


def test_non_finite_loss_stops_before_a_weight_changes(tmp_path):
    run = runner(tmp_path / 'nan', Numbers(bad=5))
    with pytest.raises(NonFiniteLossError) as error:
        run.train()
    text = str(error.value)
    assert 'Iteration 3' in text and 'number_4, number_5' in text
    assert 'loss_fit=nan' in text and 'loss_zero=nan' in text
    assert torch.isfinite(run.model.weight).all()
    dump = torch.load(tmp_path / 'nan' / 'nonfinite_batch_rank0.pth', weights_only=True)
    assert dump['samples'] == ['number_4', 'number_5'] and dump['iter'] == 2
    assert torch.isnan(dump['inputs']['points'][1]).all()


def test_random_numbers_depend_on_the_iteration_alone(tmp_path):
    whole = runner(tmp_path / 'whole')
    whole.train()
    assert whole.iter == 8 and float(whole.model.weight.detach()) < 1
    begin = str(tmp_path / 'whole' / 'epoch_1.pth')
    run = runner(tmp_path / 'resumed', load_from=begin, resume=True)
    torch.rand(17), np.random.rand(5)
    run.train()
    assert run.model.drawn == whole.model.drawn[4:]
    assert len(set(whole.model.drawn)) == 8
    assert torch.equal(run.model.weight, whole.model.weight)


def test_a_file_appears_only_when_it_is_whole(tmp_path, monkeypatch):
    backend, path = AtomicBackend(), tmp_path / 'a' / 'file.pth'
    backend.put(b'old', path)

    def power_cut(*_):
        raise OSError('power cut')

    monkeypatch.setattr('os.fsync', power_cut)
    with pytest.raises(OSError):
        backend.put(b'new and longer', path)
    assert path.read_bytes() == b'old'


def test_resuming_skips_files_that_were_cut_off(tmp_path):
    rejects('2 or more', CheckpointHook, max_keep_ckpts=1)
    assert find_resumable(tmp_path) is None
    for epoch in (1, 2, 3):
        torch.save(
            dict(meta=dict(epoch=epoch, iter=epoch), a=torch.rand(1000)),
            tmp_path / f'epoch_{epoch}.pth',
        )
    content = (tmp_path / 'epoch_3.pth').read_bytes()
    (tmp_path / 'epoch_3.pth').write_bytes(content[:1000])
    (tmp_path / 'best.pth').write_bytes(content)
    assert find_resumable(tmp_path) == str(tmp_path / 'epoch_2.pth')
