"""Trainings that are killed at random moments and resumed, compared with whole ones.

``MMKD3D_KILLS`` is the number of kills, 12 by default, and ``MMKD3D_KILL_SEED`` the seed of their moments.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
import torch

from mmkd3d.apis.load import get_config
from mmkd3d.engine.resume import final_checkpoint
from tests.helpers import REPO

KILLS = int(os.environ.get('MMKD3D_KILLS', 12))
SEED = int(os.environ.get('MMKD3D_KILL_SEED', 0))
SMALL = [
    'train_dataloader.dataset.num_samples=32',
    'train_dataloader.dataset.num_points=128',
    'train_dataloader.batch_size=4',
    'train_dataloader.num_workers=1',
    'model.backbone.depth=1',
    'model.decoder.depth=1',
    'model.backbone.num_groups=8',
    'model.backbone.group_size=16',
    'default_hooks.logger.interval=1',
    'default_hooks.logger.log_metric_by_epoch=False',
]
LOOPS = dict(
    epoch=['train_cfg.max_epochs=5'],
    iter=[
        'train_cfg._delete_=True',
        'train_cfg.by_epoch=False',
        'train_cfg.max_iters=40',
        'default_hooks.checkpoint.by_epoch=False',
        'default_hooks.checkpoint.interval=7',
        'log_processor.by_epoch=False',
    ],
)


def start(work_dir, loop):
    command = [sys.executable, 'tools/train.py', 'configs/toy/point-mae_toy.py', '--resume']
    command += ['--work-dir', str(work_dir), '--cfg-options', *SMALL, *LOOPS[loop]]
    env = dict(os.environ, OMP_NUM_THREADS='1', PYTHONPATH=str(REPO))
    with open(work_dir / 'out.txt', 'a') as out:
        return subprocess.Popen(command, cwd=REPO, env=env, stdout=out, stderr=out)


def curve(work_dir):
    """Loss of each iteration; a resumed run must repeat those that it trains again."""
    found = {}
    for path in sorted(work_dir.glob('*/vis_data/scalars.json')):
        for line in path.read_text().splitlines():
            if not line.endswith('}'):
                continue  # the kill cut it
            row = json.loads(line)
            if 'loss' in row:
                assert found.setdefault(row['step'], row['loss']) == row['loss'], row
    return found


def result(work_dir, loop):
    cfg = get_config('point-mae_toy')
    cfg.train_cfg = dict(max_epochs=5) if loop == 'epoch' else dict(max_iters=40)
    return torch.load(final_checkpoint(work_dir, cfg), weights_only=True)['state_dict']


@pytest.mark.nightly
@pytest.mark.parametrize('loop', LOOPS)
@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_runs_killed_at_random_moments_end_with_the_same_weights(tmp_path, loop, number):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # `nohup pytest` ignores it
    whole, killed = tmp_path / 'whole', tmp_path / 'killed'
    whole.mkdir(), killed.mkdir()
    begin = time.time()
    assert start(whole, loop).wait() == 0
    seconds, draw = time.time() - begin, random.Random(f'{SEED} {loop} {number}')
    done = 0
    while done < -(-KILLS // 6):
        process = start(killed, loop)
        try:
            process.wait(timeout=draw.uniform(0.4, 1) * seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(number)
            done += 1
        code = process.wait(timeout=60)
        assert code in (0, -number, 128 + number), (killed / 'out.txt').read_text()[-3000:]
        if code == 0:
            check(whole, killed, loop)
            for path in [*killed.rglob('*.pth'), *killed.rglob('scalars.json')]:
                path.unlink()
    assert start(killed, loop).wait() == 0
    check(whole, killed, loop)


def check(whole, killed, loop):
    assert curve(killed) == curve(whole) and len(curve(whole)) == 40
    expected, found = result(whole, loop), result(killed, loop)
    assert all(torch.equal(value, found[name]) for name, value in expected.items())
    assert not [*killed.glob('stop_*.pth'), *killed.glob('.*.partial')]


RANK_1 = """
import os, signal, sys
from mmengine.hooks import Hook
from mmengine.runner import Runner
from tools import train

class Kill(Hook):
    def after_train_iter(self, runner, *args, **kwargs):
        if runner.rank == 1 and runner.iter + 1 == 3 and not sys.argv[1].endswith('whole'):
            os.kill(os.getpid(), signal.SIGTERM)

begin = Runner.train
def begin_with_hook(runner):
    runner.register_hook(Kill())
    return begin(runner)
Runner.train = begin_with_hook
train.main(['configs/toy/point-mae_toy.py', '--launcher', 'pytorch', '--resume',
            '--work-dir', *sys.argv[1:]])
"""


@pytest.mark.nightly
def test_all_processes_stop_after_the_iteration_in_which_one_got_a_signal(tmp_path):
    script = tmp_path / 'script.py'
    script.write_text(RANK_1)
    launch = [sys.executable, '-m', 'torch.distributed.run', '--nproc_per_node=2', '--standalone']
    options = ['--cfg-options', *SMALL, 'train_cfg.max_epochs=2', 'find_unused_parameters=False']
    env = dict(os.environ, OMP_NUM_THREADS='1', PYTHONPATH=str(REPO))

    def run(name):
        words = [*launch, str(script), str(tmp_path / name), *options]
        done = subprocess.run(words, cwd=REPO, env=env, text=True, capture_output=True)
        return done.returncode, done.stdout + done.stderr

    assert run('whole')[0] == 0
    code, text = run('run')
    assert code and 'SIGTERM after iteration 3: saved' in text
    assert [p.name for p in (tmp_path / 'run').glob('*.pth')] == ['stop_3.pth']
    assert run('run')[0] == 0
    expected, found = (
        torch.load(tmp_path / name / 'epoch_2.pth', weights_only=True)['state_dict']
        for name in ('whole', 'run')
    )
    assert all(torch.equal(value, found[name]) for name, value in expected.items())
