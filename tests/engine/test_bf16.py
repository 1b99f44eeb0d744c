"""Mixed precision in bf16."""

import warnings

import pytest
import torch
from mmengine.config import Config

import mmkd3d.apis.cli as cli
from mmkd3d.registry import MODELS
from tests.engine.small_run import CONFIG, SmallNet, make_runner, train, weights
from tests.helpers import rejects


@MODELS.register_module(force=True)
class RecordsPrecision(SmallNet):
    """Remembers the types of its features."""

    def forward(self, inputs, data_samples=None, mode='tensor'):
        feats = self.head(self.backbone(inputs['points'])['tokens'])
        self.seen = [*getattr(self, 'seen', []), (mode, feats.dtype)]
        return super().forward(inputs, data_samples, mode)


BF16 = dict(CONFIG['optim_wrapper'], type='mmkd3d.Bf16OptimWrapper')
MODEL = dict(model=dict(type='RecordsPrecision'))


def test_a_run_in_bf16_has_the_losses_of_float32_and_resumes_in_either(tmp_path):
    optim = dict(BF16, accumulative_counts=2)
    runner, watch = train(tmp_path / 'bf16', optim_wrapper=optim, **MODEL)
    assert set(runner.model.seen) == {('loss', torch.bfloat16)}
    plain = dict(optim, type='OptimWrapper')
    exact, exact_watch = train(tmp_path / 'fp32', optim_wrapper=plain, **MODEL)
    assert watch['loss'] == pytest.approx(exact_watch['loss'], rel=0.1)
    assert watch['loss'] != exact_watch['loss']
    state = runner.optim_wrapper.optimizer.state_dict()['state']
    kept = [value for one in state.values() for value in one.values()]
    assert {v.dtype for v in [*kept, *weights(runner).values()]} == {torch.float32}

    resume = dict(resume=True, load_from=str(tmp_path / 'bf16/epoch_2.pth'))
    resumed, _ = train(tmp_path / 'again', optim_wrapper=optim, **MODEL, **resume)
    for key, value in weights(runner).items():
        assert torch.equal(value, weights(resumed)[key]), key
    resumed, _ = train(tmp_path / 'other', optim_wrapper=plain, **MODEL, **resume)
    assert set(resumed.model.seen) == {('loss', torch.float32)}


def test_a_model_is_not_in_bf16_outside_of_training_steps(tmp_path):
    runner = make_runner(tmp_path, optim_wrapper=BF16, **MODEL)
    runner.train()
    runner.model.seen.clear()
    runner.model.val_step(next(iter(runner.train_dataloader)))
    assert runner.model.seen == [('predict', torch.float32)]


@pytest.mark.parametrize(
    'kind, device, native, result',
    [
        ('OptimWrapper', 'cpu', True, 'mmkd3d.Bf16OptimWrapper'),
        ('AmpOptimWrapper', 'cpu', True, 'mmkd3d.Bf16OptimWrapper'),
        ('mmkd3d.Bf16OptimWrapper', 'cpu', True, 'mmkd3d.Bf16OptimWrapper'),
        ('OptimWrapper', 'cuda', True, 'mmkd3d.Bf16OptimWrapper'),
        ('AmpOptimWrapper', 'cuda', True, 'AmpOptimWrapper'),
        ('OptimWrapper', 'cuda', False, 'AmpOptimWrapper'),
    ],
)
def test_amp_takes_what_the_device_has(kind, device, native, result, monkeypatch):
    monkeypatch.setattr('mmengine.device.get_device', lambda: device)
    monkeypatch.setattr('mmkd3d.utils.precision.has_bf16', lambda _: native)
    extra = dict(loss_scale=512.0) if kind == 'AmpOptimWrapper' else {}
    cfg = Config(dict(optim_wrapper=dict(type=kind, accumulative_counts=2, **extra)))
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        cli.enable_amp(cfg)
    scale = dict(loss_scale=extra.get('loss_scale', 'dynamic'))
    if result != 'AmpOptimWrapper':
        scale = {}
    assert cfg.optim_wrapper == dict(type=result, accumulative_counts=2, **scale)


def test_amp_says_what_it_can_not_do_well(monkeypatch):
    monkeypatch.setattr('mmengine.device.get_device', lambda: 'cpu')
    monkeypatch.setattr('mmkd3d.utils.precision.has_bf16', lambda _: False)
    with pytest.warns(UserWarning, match='no bf16 instructions'):
        cli.enable_amp(Config(dict(optim_wrapper=dict(type='OptimWrapper'))))
    twice = Config(dict(optim_wrapper=dict(type='mmkd3d.RepeatStepOptimWrapper')))
    rejects('--amp needs optim_wrapper.type', cli.enable_amp, twice, error=SystemExit)
