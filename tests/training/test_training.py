"""Whole runs by the command line: kills, resumes, several processes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmkd3d.checkpoints import read_checkpoint
from tests.helpers import REPO

pytestmark = pytest.mark.slow

SMALL = [
    'train_dataloader.dataset.num_samples=32',
    'train_dataloader.dataset.num_points=128',
    'train_dataloader.batch_size=4',
    'model.backbone.depth=1',
    'model.decoder.depth=1',
    'model.backbone.num_groups=8',
    'model.backbone.group_size=16',
    'train_cfg.max_epochs=3',
    'default_hooks.logger.interval=1',
    'default_hooks.logger.log_metric_by_epoch=False',
]
ENV = dict(
    os.environ,
    OMP_NUM_THREADS='1',
    PYTHONPATH=f'{REPO}{os.pathsep}{os.environ.get("PYTHONPATH", "")}',
)


def command(work_dir, *arguments, options=()):
    return [
        sys.executable,
        'tools/train.py',
        'configs/toy/point-mae_toy.py',
        '--work-dir',
        str(work_dir),
        *arguments,
        '--cfg-options',
        *SMALL,
        *options,
    ]


def run(arguments, **kwargs):
    done = subprocess.run(
        arguments, cwd=REPO, env=ENV, text=True, capture_output=True, timeout=300, **kwargs
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def curve(work_dir) -> dict:
    """Loss of every iteration; a later run overwrites an earlier one."""
    losses = {}
    for path in sorted(work_dir.glob('*/vis_data/scalars.json')):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            if 'loss' in row:
                losses[row['step']] = row['loss']
    return losses


@pytest.fixture(scope='module')
def undisturbed(tmp_path_factory):
    work_dir = tmp_path_factory.mktemp('undisturbed')
    run(command(work_dir))
    losses = curve(work_dir)
    assert sorted(losses) == list(range(1, 25))
    return losses


def test_a_run_killed_within_an_epoch_resumes_to_the_same_curve(undisturbed, tmp_path):
    process = subprocess.Popen(
        command(tmp_path),
        cwd=REPO,
        env=ENV,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    for line in process.stdout:
        if 'Epoch(train)' in line and '[2][3/8]' in line.replace(' ', ''):
            os.kill(process.pid, signal.SIGKILL)
            break
    assert process.wait() == -signal.SIGKILL
    before = curve(tmp_path)
    assert 0 < len(before) < 24
    time.sleep(1)  # the next run names its folder by the second
    out = run(command(tmp_path, '--resume'))
    assert 'epoch_1.pth' in out
    assert curve(tmp_path) == pytest.approx(undisturbed, rel=1e-5)


KILL_IN_WRITE = """
import os, signal, sys
sys.argv[0] = 'tools/train.py'
sys.path.insert(0, 'tools')
import train
fsync, writes = os.fsync, []
def kill_in_second_write(descriptor):
    writes.append(descriptor)
    if len(writes) == 2:
        os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
        os.kill(os.getpid(), signal.SIGKILL)
    fsync(descriptor)
os.fsync = kill_in_second_write
train.main(sys.argv[1:])
"""


def test_a_run_killed_within_a_checkpoint_write_resumes_to_the_same_curve(undisturbed, tmp_path):
    killed = subprocess.run(
        [sys.executable, '-c', KILL_IN_WRITE, *command(tmp_path)[2:]],
        cwd=REPO,
        env=ENV,
        capture_output=True,
        timeout=300,
    )
    assert killed.returncode == -signal.SIGKILL
    assert [p.name for p in tmp_path.glob('*.pth')] == ['epoch_1.pth']
    time.sleep(1)
    run(command(tmp_path, '--resume'))
    assert curve(tmp_path) == pytest.approx(undisturbed, rel=1e-5)
    assert read_checkpoint(tmp_path / 'epoch_3.pth')


def test_two_processes_train_without_unused_parameters(tmp_path):
    arguments = command(tmp_path, '--launcher', 'pytorch')
    run(
        [
            sys.executable,
            '-m',
            'torch.distributed.run',
            '--nproc_per_node=2',
            '--master_port=29511',
            *arguments[1:],
            'find_unused_parameters=False',
        ]
    )
    losses = curve(tmp_path)
    assert sorted(losses) == list(range(1, 13))  # half as many iterations
    assert losses[12] < losses[1]


@pytest.mark.skipif(not Path('/proc/self/task').is_dir(), reason='threads are read in /proc')
def test_processes_part_before_python_ends(tmp_path):
    # where a thread of gloo is left, some runs are aborted at their end
    script = tmp_path / 'count_threads.py'
    script.write_text("""
import sys
from pathlib import Path
import torch.distributed as dist
from tools.train import main

def count():
    names = [p.read_text() for p in Path('/proc/self/task').glob('*/comm')]
    return str(sum('gloo' in name for name in names))

counts, rank, destroy = [], None, dist.destroy_process_group

def watched():
    global rank
    rank = dist.get_rank()
    counts.append(count())
    destroy()

dist.destroy_process_group = watched
main(sys.argv[2:])
Path(f'{sys.argv[1]}/{rank}').write_text(' '.join([*counts, count()]))
""")
    arguments = command(
        tmp_path / 'run', '--launcher', 'pytorch', options=['train_cfg.max_epochs=1']
    )
    run(
        [
            sys.executable,
            '-m',
            'torch.distributed.run',
            '--nproc_per_node=2',
            '--master_port=29512',
            str(script),
            str(tmp_path),
            *arguments[2:],
        ]
    )
    for rank in range(2):
        before, after = (tmp_path / str(rank)).read_text().split()
        assert int(before) > int(after) == 0


def test_the_toy_classifier_learns(tmp_path):
    out = run(
        [
            sys.executable,
            'tools/train.py',
            'configs/toy/classifier_toy.py',
            '--work-dir',
            str(tmp_path),
            '--cfg-options',
            'train_dataloader.dataset.num_samples=480',
            'train_dataloader.dataset.num_points=512',
            'val_dataloader.dataset.num_samples=160',
            'val_dataloader.dataset.num_points=512',
            'model.backbone.depth=2',
            'model.backbone.group_size=16',
            'train_cfg.max_epochs=8',
            'train_cfg.val_interval=8',
            'param_scheduler.period=8',
        ]
    )
    accuracy = float(out.split('acc/overall:')[-1].split()[0])
    assert accuracy > 35  # one class in 16 is 6.25 %


def test_the_demo_runs_from_pretraining_to_pictures(tmp_path):
    pytest.importorskip('mmdet3d')
    arguments = [sys.executable, 'tools/demo.py', '--quick', '--out', str(tmp_path)]
    out = run(arguments)
    table = (tmp_path / 'table.md').read_text().splitlines()
    assert len(table) >= 6 and table[4].startswith('| from scratch |')
    assert all(line in out for line in table)
    written = [
        line.strip() for line in out.split('written in')[1].split('\n') if line.startswith('  ')
    ]
    assert len(written) >= 7 and all(os.path.exists(p) for p in written)
    assert out.count('tools/train.py') >= 3
    again = run(arguments)
    assert 'tools/train.py' not in again and 'finished already' in again
