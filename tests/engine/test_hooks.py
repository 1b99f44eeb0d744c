"""Hooks for non-finite losses, reseeding and checkpoint files."""

import numpy as np
import pytest
import torch
import torch.nn as nn
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch.utils.data import Dataset

from mmkd3d.engine.hooks.checkpoint import (
    AtomicBackend,
    CheckpointHook,
    NonFiniteWeightsError,
    find_resumable,
)
from mmkd3d.engine.hooks.finite_loss import NonFiniteGradientError, NonFiniteLossError
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
    """Its loss is finite; at ``steep`` its gradient is not."""

    def __init__(self, steep=None):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.drawn, self.steep = [], steep

    def forward(self, inputs, data_samples, mode):
        x = torch.stack(inputs['points']).mean()
        self.drawn.append((float(torch.rand(1)), float(np.random.rand())))
        losses = dict(loss_fit=(self.weight * x).square(), loss_zero=x * 0 + 1)
        if self.steep and self.steep in [sample.sample_id for sample in data_samples]:
            losses['loss_root'] = (self.weight * 0).sqrt()
        return losses


def runner(work_dir, data=None, model=None, optim_wrapper=None, **kwargs):
    base = Config.fromfile(REPO / 'configs/_base_/default_runtime.py')
    return Runner(
        model=model or Line(),
        work_dir=str(work_dir),
        train_dataloader=dict(
            batch_size=2,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=data or Numbers(),
        ),
        train_cfg=dict(by_epoch=True, max_epochs=2),
        optim_wrapper=optim_wrapper or dict(optimizer=dict(type='SGD', lr=1e-3)),
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


class OwnStep(Line):
    """Calls the backward pass itself."""

    def train_step(self, data, optim_wrapper):
        data = self.data_preprocessor(data, True)
        loss, log_vars = self.parse_losses(self(**data, mode='loss'))
        loss.backward()
        optim_wrapper.step()
        optim_wrapper.zero_grad()
        return log_vars


class ListLoss(Line):
    """Gives the wrapper a loss of shape (1,)."""

    def train_step(self, data, optim_wrapper):
        data = self.data_preprocessor(data, True)
        loss, log_vars = self.parse_losses(self(**data, mode='loss'))
        optim_wrapper.update_params(loss[None])
        return log_vars


@pytest.mark.parametrize('model', [OwnStep, ListLoss])
def test_a_model_with_its_own_step_stops_before_a_weight_changes(tmp_path, model):
    run = runner(tmp_path / 'own', Numbers(bad=5), model())
    with pytest.raises(NonFiniteLossError, match='Iteration 3: loss_fit=nan'):
        run.train()
    assert torch.isfinite(run.model.weight).all() and run.model.weight.item() != 1


WRAPPERS = dict(
    plain={},
    norm=dict(clip_grad=dict(max_norm=1.0)),
    value=dict(clip_grad=dict(type='value', clip_value=1.0)),
    accumulated=dict(accumulative_counts=4),
    bf16=dict(type='mmkd3d.Bf16OptimWrapper', clip_grad=dict(max_norm=1.0)),
    repeated=dict(type='mmkd3d.RepeatStepOptimWrapper', clip_grad=dict(max_norm=1.0)),
)


@pytest.mark.parametrize('name', WRAPPERS)
def test_no_step_is_made_with_a_gradient_that_is_not_finite(tmp_path, name):
    wrapper = dict(optimizer=dict(type='SGD', lr=1e-3), **WRAPPERS[name])
    run = runner(tmp_path / name, model=Line('number_3'), optim_wrapper=wrapper)
    before = []
    run.model.register_forward_pre_hook(lambda *_: before.append(run.model.weight.item()))
    with pytest.raises(NonFiniteGradientError) as error:
        run.train()
    text = str(error.value)
    assert 'Iteration 2: the gradient of weight is NaN' in text
    assert 'the loss is finite (' in text and 'samples number_2, number_3' in text
    assert run.model.weight.item() == before[-1]
    dump = torch.load(tmp_path / name / 'nonfinite_batch_rank0.pth', weights_only=True)
    assert dump['samples'] == ['number_2', 'number_3'] and dump['gradients'] == ['weight']
    assert not list((tmp_path / name).glob('epoch_*'))


class CpuAmp(AmpOptimWrapper):
    """AmpOptimWrapper without the demand for a GPU."""

    def __init__(self, optimizer, **kwargs):
        OptimWrapper.__init__(self, optimizer, **kwargs)
        self._scale_update_param = self.cast_dtype = None
        self.loss_scaler = torch.amp.GradScaler('cpu')

    optim_context = OptimWrapper.optim_context


@pytest.mark.parametrize(('steep', 'epochs'), [('number_3', 30), (True, 20)])
def test_overflows_of_mixed_precision_are_skipped_but_not_for_ever(tmp_path, steep, epochs):
    model = Line(steep)
    wrapper = CpuAmp(torch.optim.SGD(model.parameters(), 1e-3))
    run = runner(tmp_path / 'amp', model=model, optim_wrapper=wrapper)
    run.train_loop._max_epochs = epochs
    if steep is True:  # in every batch
        model.steep = None
        model.register_forward_hook(
            lambda *args: dict(args[-1], loss_root=(model.weight * 0).sqrt())
        )
        rejects('41 times in a row', run.train, error=NonFiniteGradientError)
        assert model.weight.item() == 1 and run.iter == 40
    else:
        run.train()  # every fourth step is skipped
        assert run.iter == 4 * epochs and 0 < model.weight.item() < 1


def test_weights_that_are_not_finite_are_never_saved(tmp_path):
    class Spoil(Hook):
        def after_train_iter(self, runner, *args, **kwargs):
            if runner.iter == 7:
                runner.model.weight.data.fill_(float('inf'))

    run = runner(tmp_path / 'spoiled')
    run.register_hook(Spoil())
    rejects('Iteration 8: no checkpoint.*weight', run.train, error=NonFiniteWeightsError)
    assert [p.name for p in (tmp_path / 'spoiled').glob('*.pth')] == ['epoch_1.pth']
    assert find_resumable(tmp_path / 'spoiled').endswith('epoch_1.pth')


@pytest.mark.parametrize(
    'change, named', [(lambda x: x * torch.nan, 'NaN'), (lambda x: x.long(), 'int64')]
)
def test_training_does_not_start_from_weights_that_no_training_wrote(change, named, tmp_path):
    path = tmp_path / 'bad.pth'
    state = {key: change(value) for key, value in Line().state_dict().items()}
    torch.save(dict(state_dict=state, meta={}), path)
    run = runner(tmp_path / 'run', load_from=str(path))
    rejects(f'bad.pth: the weights weight.*{named}', run.train)


def test_training_starts_from_weights_that_fit_or_not_at_all(tmp_path):
    weight = torch.full((1,), 7.0)
    path = tmp_path / 'start.pth'

    def begin(content, **kwargs):
        torch.save(content, path)
        run = runner(tmp_path / 'run', load_from=str(path), **kwargs)
        run.load_or_resume()
        return float(run.model.weight)

    for state in ({'_orig_mod.weight': weight}, {'module.weight': weight}, dict(weight=weight)):
        for content in (dict(state_dict=state), dict(model=state), state):
            assert begin(content) == 7
    meta = dict(meta=dict(epoch=1, iter=4))
    rejects('start.pth has no weight that fits', begin, dict(state_dict=dict(other=weight)))
    foreign = dict(state_dict=dict(other=weight, weight=weight[:0]), optimizer={}, **meta)
    rejects('does not hold the state of a training', begin, foreign, resume=True)
    bare = dict(state_dict=dict(weight=weight), **meta)
    rejects('does not hold the state of a training', begin, bare, resume=True)


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
    with pytest.raises(OSError, match='power cut'):
        backend.put(b'new and longer', path)
    assert path.read_bytes() == b'old' and [*path.parent.iterdir()] == [path]


def test_resuming_skips_files_that_were_cut_off(tmp_path):
    rejects('2 or more', CheckpointHook, max_keep_ckpts=1)
    assert find_resumable(tmp_path) is None
    for epoch in (1, 2, 3):
        torch.save(
            dict(meta=dict(epoch=epoch, iter=epoch), a=torch.rand(1000), message_hub={}),
            tmp_path / f'epoch_{epoch}.pth',
        )
    content = (tmp_path / 'epoch_3.pth').read_bytes()
    (tmp_path / 'epoch_3.pth').write_bytes(content[:1000])
    (tmp_path / 'best.pth').write_bytes(content)
    assert find_resumable(tmp_path) == str(tmp_path / 'epoch_2.pth')
