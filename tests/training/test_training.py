"""Full runs of tools/train.py: killing, resuming and multiple processes."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mmkd3d.checkpoints import read_checkpoint
from mmkd3d.engine.hooks.checkpoint import find_resumable
from tests.helpers import REPO
from tools import train

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


def arguments(work_dir, *extra, options=()):
    return [
        'configs/toy/point-mae_toy.py',
        '--work-dir',
        str(work_dir),
        *extra,
        '--cfg-options',
        f'experiment_name={work_dir.name}_{len(extra)}',
        *SMALL,
        *options,
    ]


def run(command, **kwargs):
    done = subprocess.run(
        command, cwd=REPO, env=ENV, text=True, capture_output=True, timeout=300, **kwargs
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def scalars(work_dir) -> list[dict]:
    paths = sorted(work_dir.glob('*/vis_data/scalars.json'))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def curve(work_dir) -> dict:
    """Loss of every iteration; a later run overwrites an earlier one."""
    return {row['step']: row['loss'] for row in scalars(work_dir) if 'loss' in row}


@pytest.fixture(scope='module')
def undisturbed(tmp_path_factory):
    work_dir = tmp_path_factory.mktemp('undisturbed')
    train.main(arguments(work_dir))
    losses = curve(work_dir)
    assert sorted(losses) == list(range(1, 25))
    return losses


def test_a_run_killed_within_an_epoch_resumes_to_the_same_curve(undisturbed, tmp_path):
    process = subprocess.Popen(
        [sys.executable, 'tools/train.py', *arguments(tmp_path)],
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
    assert 0 < len(curve(tmp_path)) < 24
    assert find_resumable(tmp_path) == str(tmp_path / 'epoch_1.pth')
    train.main(arguments(tmp_path, '--resume'))
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
        [sys.executable, '-c', KILL_IN_WRITE, *arguments(tmp_path)],
        cwd=REPO,
        env=ENV,
        capture_output=True,
        timeout=300,
    )
    assert killed.returncode == -signal.SIGKILL
    assert [p.name for p in tmp_path.glob('*.pth')] == ['epoch_1.pth']
    train.main(arguments(tmp_path, '--resume'))
    assert curve(tmp_path) == pytest.approx(undisturbed, rel=1e-5)
    assert read_checkpoint(tmp_path / 'epoch_3.pth')


@pytest.mark.skipif(not Path('/proc/self/task').is_dir(), reason='threads are read in /proc')
def test_two_processes_train_and_leave_before_python_ends(tmp_path):
    # A leftover gloo thread can abort a run at exit.
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
    options = ['find_unused_parameters=False']
    run(
        [
            sys.executable,
            '-m',
            'torch.distributed.run',
            '--nproc_per_node=2',
            '--standalone',
            str(script),
            str(tmp_path),
            *arguments(tmp_path / 'run', '--launcher', 'pytorch', options=options),
        ]
    )
    losses = curve(tmp_path / 'run')
    assert sorted(losses) == list(range(1, 13))  # half as many iterations
    assert losses[12] < losses[1]
    for rank in range(2):
        before, after = (tmp_path / str(rank)).read_text().split()
        assert int(before) > int(after) == 0


def test_the_toy_classifier_learns(tmp_path):
    train.main(
        [
            'configs/toy/classifier_toy.py',
            '--work-dir',
            str(tmp_path),
            '--cfg-options',
            'train_dataloader.dataset.num_samples=480',
            'train_dataloader.dataset.num_points=256',
            'val_dataloader.dataset.num_samples=160',
            'val_dataloader.dataset.num_points=256',
            'model.backbone.depth=1',
            'model.backbone.num_groups=16',
            'train_dataloader.num_workers=0',
            'train_dataloader.persistent_workers=False',
            'model.backbone.group_size=16',
            'train_cfg.max_epochs=8',
            'train_cfg.val_interval=8',
            'param_scheduler.period=8',
        ]
    )
    (accuracy,) = (row['acc/overall'] for row in scalars(tmp_path) if 'acc/overall' in row)
    assert accuracy > 35  # chance is 6.25 % with 16 classes


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
