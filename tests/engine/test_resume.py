"""Runs that are interrupted, and resume as if nothing had happened."""

import copy
import signal

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmkd3d.apis.cli import set_resume
from mmkd3d.checkpoints.files import check_sums
from mmkd3d.engine.hooks.stop import StopHook
from mmkd3d.engine.resume import final_checkpoint, find_resumable, training_meta
from mmkd3d.registry import DATASETS, METRICS, MODELS
from tests.engine.small_run import CONFIG, RandomClouds, SmallNet, Watch
from tests.helpers import REPO, rejects

LOOPS = dict(
    epoch=dict(by_epoch=True, max_epochs=3, val_interval=1),
    iter=dict(by_epoch=False, max_iters=12, val_interval=4),
)
VALIDATION = dict(
    val_dataloader=dict(
        batch_size=4,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='pseudo_collate'),
        dataset=dict(type='mmkd3d.RandomClouds'),
    ),
    val_cfg=dict(),
    val_evaluator=dict(type='mmkd3d.MeanDistance'),
)


@DATASETS.register_module(force=True)
class JitteredClouds(RandomClouds):
    """Clouds with noise of all three generators."""

    def __getitem__(self, i):
        item = super().__getitem__(i)
        noise = torch.rand(16, 3) + float(np.random.rand())
        item['inputs']['points'] = item['inputs']['points'] + noise
        return item


@METRICS.register_module(force=True)
class MeanDistance(BaseMetric):
    """Mean of all that the model predicts."""

    def process(self, data_batch, data_samples):
        self.results += [float(x) for x in data_samples]

    def compute_metrics(self, results):
        return dict(mean=sum(results) / len(results))


@MODELS.register_module(force=True)
class ValidatedNet(SmallNet):
    def forward(self, inputs, data_samples=None, mode='tensor'):
        out = super().forward(inputs, data_samples, mode)
        return out if mode == 'loss' else out.flatten(1).mean(1)


class Validated(Hook):
    """The metric after each epoch or iteration; a signal in the second validation."""

    def __init__(self, stop=None):
        self.found, self.stop = {}, stop

    def after_val_iter(self, runner, *args, **kwargs):
        if self.stop is not None and self.found:
            self.stop.receive(signal.SIGTERM)

    def after_val_epoch(self, runner, metrics):
        assert runner.iter not in self.found
        self.found[runner.iter] = metrics['mean']


class Interrupt(Hook):
    """At an iteration, counted from 1: a signal, or a kill where there is none."""

    def __init__(self, at, stop=None):
        self.at, self.stop = at, stop

    def after_train_iter(self, runner, *args, **kwargs):
        if runner.iter + 1 == self.at:
            if self.stop is None:
                raise KeyboardInterrupt
            self.stop.receive(signal.SIGTERM)


def config(work_dir, loop='epoch', workers=0, interval=1, by_epoch=True, **more):
    cfg = copy.deepcopy(CONFIG)
    runtime = Config.fromfile(REPO / 'configs/_base_/default_runtime.py')
    cfg['train_dataloader'].update(
        num_workers=workers,
        worker_init_fn=dict(type='mmkd3d.seed_worker'),
        dataset=dict(type='mmkd3d.JitteredClouds'),
    )
    checkpoint = dict(type='mmkd3d.CheckpointHook', interval=interval, by_epoch=by_epoch)
    cfg.update(
        train_cfg=dict(LOOPS[loop]),
        default_hooks=dict(checkpoint=checkpoint),
        custom_hooks=runtime.custom_hooks,
        param_scheduler=dict(type='CosineAnnealingLR', by_epoch=False, T_max=12),
        work_dir=str(work_dir),
        experiment_name=str(work_dir),
        **more,
    )
    return Config(cfg)


def run(cfg, *hooks):
    """Train; returns the runner and the losses of its steps."""
    runner, watch = Runner.from_cfg(cfg), Watch()
    for hook in (watch, *hooks):
        runner.register_hook(hook)
    try:
        runner.train()
    except (KeyboardInterrupt, SystemExit) as error:
        runner.ended_by = error
    return runner, watch['loss']


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """Weights and losses of an uninterrupted run, by loop and number of workers."""
    known = {}

    def get(loop, workers):
        if (loop, workers) not in known:
            folder = tmp_path_factory.mktemp('whole')
            runner, losses = run(config(folder, loop, workers))
            known[loop, workers] = runner.model.state_dict(), losses
        return known[loop, workers]

    return get


def check_same(whole, runner, losses):
    state, expected = whole
    assert losses == expected and len(expected) == 12
    for name, value in runner.model.state_dict().items():
        assert torch.equal(value, state[name]), name


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    """mmengine's loop by iteration pauses for two seconds between epochs."""
    monkeypatch.setattr('mmengine.runner.loops.time.sleep', lambda _: None)


@pytest.mark.parametrize(
    ('loop', 'workers', 'at'),
    [('epoch', 0, 6), ('epoch', 0, 4), ('epoch', 1, 6), ('iter', 0, 6), ('iter', 1, 6)],
)
def test_a_run_stopped_by_a_signal_resumes_to_the_same_weights(whole, tmp_path, loop, workers, at):
    cfg, stop = config(tmp_path, loop, workers), StopHook()
    stopped, before = run(cfg, stop, Interrupt(at, stop))
    assert stopped.ended_by.code == 128 + signal.SIGTERM
    assert find_resumable(tmp_path) == str(tmp_path / f'stop_{at}.pth')
    set_resume(cfg, 'auto')
    resumed, after = run(cfg)
    assert min(after) == at + 1
    check_same(whole(loop, workers), resumed, {**before, **after})
    assert not list(tmp_path.glob('stop_*'))


@pytest.mark.parametrize(('loop', 'hook'), [('epoch', False), ('epoch', True), ('iter', False)])
def test_a_killed_run_resumes_from_an_older_file_if_the_newest_is_damaged(
    whole, tmp_path, loop, hook
):
    cfg = config(tmp_path, loop, by_epoch=hook, interval=1 if hook else 3)
    _, before = run(cfg, Interrupt(11))
    files = sorted(tmp_path.glob('*.pth'), key=lambda p: training_meta(p)['iter'])
    files[-1].write_text('hello world')
    set_resume(cfg, 'auto')
    assert cfg.load_from == str(files[-2])
    resumed, after = run(cfg)
    assert min(after) == training_meta(files[-2])['iter'] + 1
    check_same(whole(loop, 0), resumed, {**before, **after})


@pytest.mark.parametrize('loop', LOOPS)
def test_a_validation_that_was_interrupted_is_repeated(tmp_path, loop):
    by_epoch, kinds = loop == 'epoch', dict(VALIDATION, model=dict(type='mmkd3d.ValidatedNet'))
    options = dict(loop=loop, by_epoch=by_epoch, interval=1 if by_epoch else 4, **kinds)
    whole, stop = Validated(), StopHook()
    run(config(tmp_path / 'whole', **options), whole)
    assert sorted(whole.found) == [4, 8, 12]
    cfg, first, second = config(tmp_path / 'run', **options), Validated(stop), Validated()
    stopped, _ = run(cfg, first, stop)
    assert stopped.ended_by.code == 143 and sorted(first.found) == [4]
    set_resume(cfg, 'auto')
    run(cfg, second)
    assert {**first.found, **second.found} == whole.found
    assert sorted(second.found) == [8, 12]  # each once


def damaged(content: bytes) -> dict:
    flipped = bytearray(content)
    flipped[content.index(b'data/0') + 200] ^= 1
    return dict(
        empty=b'', text=b'hello world', cut=content[:1000], pickle=b'\x80\x04]', flipped=flipped
    )


def save(path, **meta):
    state = dict(a=torch.rand(1000))
    torch.save(dict(meta=meta, state_dict=state, message_hub={}), path)


def test_resuming_takes_the_file_of_most_iterations_that_is_good(tmp_path):
    assert find_resumable(tmp_path) is None
    for number in (9, 10):
        save(tmp_path / f'iter_{number}.pth', epoch=0, iter=number)
    good = tmp_path / 'iter_10.pth'
    (tmp_path / 'iter_9.pth').touch()  # newer, but of fewer iterations
    torch.save([1], tmp_path / 'iter_12.pth')
    torch.save(dict(state_dict={}), tmp_path / 'epoch_12.pth')
    for name, content in damaged(good.read_bytes()).items():
        path = tmp_path / 'iter_11.pth'
        save(path, epoch=0, iter=11)
        path.write_bytes(content if name != 'flipped' else damaged(path.read_bytes())[name])
        assert find_resumable(tmp_path) == str(good), name
        rejects('iter_11.pth is damaged', check_sums, path)
        rejects('iter_11.pth', set_resume, Config(dict(work_dir='')), str(path))


def test_what_no_training_wrote_is_not_resumed(tmp_path):
    path, cfg = tmp_path / 'iter_1.pth', Config(dict(work_dir=''))
    for wrong in (dict(iter=-5), dict(epoch=-1), dict(epoch_length='x')):
        save(path, **dict(dict(epoch=1, iter=1), **wrong))
        rejects(rf'--resume: .*{next(iter(wrong))}.*expected a whole', set_resume, cfg, str(path))
    torch.save(dict(meta=dict(epoch=1, iter=1), message_hub=None), path)
    rejects("no dict under 'message_hub'", set_resume, cfg, str(path))
    torch.save(dict(hook=Interrupt(1)), path)
    rejects('pth holds more than tensors and plain data: ', set_resume, cfg, str(path))


def test_a_missing_file_is_called_missing_and_the_option_is_named(tmp_path):
    path = str(tmp_path / 'none.pth')
    rejects('^--resume: No checkpoint at', set_resume, Config(dict(work_dir='')), path)
    for resume in (True, False):
        cfg = Config(dict(work_dir='', load_from=path, resume=resume))
        rejects('^load_from: No checkpoint at', set_resume, cfg, None)


def test_the_result_of_a_training_is_its_last_file_whatever_the_pointer_says(tmp_path):
    cfg = Config(dict(train_cfg=dict(by_epoch=True, max_epochs=8)))
    for epoch in (7, 8, 9):
        save(tmp_path / f'epoch_{epoch}.pth', epoch=epoch, iter=epoch * 10)
    for pointer in (f'{tmp_path}/epoch_7.pth', ''):
        (tmp_path / 'last_checkpoint').write_text(pointer)
        assert final_checkpoint(tmp_path, cfg).name == 'epoch_8.pth'
    (tmp_path / 'epoch_8.pth').write_bytes(b'')
    rejects('end of the training.*8.*only epoch_9.pth, epoch_7', final_checkpoint, tmp_path, cfg)
    cfg.custom_hooks = [dict(type='EarlyStoppingHook', monitor='acc')]
    assert final_checkpoint(tmp_path, cfg).name == 'epoch_9.pth'
    save(tmp_path / 'iter_90.pth', epoch=8, iter=90, epoch_length=10)
    by_iteration = Config(dict(train_cfg=dict(max_iters=90)))
    assert final_checkpoint(tmp_path, by_iteration).name == 'epoch_9.pth'


def test_without_anything_to_resume_a_training_starts_from_load_from(tmp_path):
    start = tmp_path / 'start.pth'
    torch.save(dict(state_dict=dict(weight=torch.ones(1))), start)
    for resume in (None, 'auto'):
        cfg = Config(dict(work_dir=str(tmp_path / 'new'), load_from=str(start)))
        set_resume(cfg, resume)
        assert cfg.load_from == str(start) and cfg.resume is False
    cfg = Config(dict(work_dir=str(tmp_path / 'new')))
    set_resume(cfg, 'auto')
    assert cfg.load_from is None and cfg.resume is False
