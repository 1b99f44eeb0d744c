"""tools/*.sh start the tools with the requested settings."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.detection_runs import small_detector
from tests.helpers import REPO
from tests.ops.rooms import write_rooms

# Stub of srun that records its arguments.
STUB = """#!/usr/bin/env bash
printf '%s\\n' "PYTHONPATH=$PYTHONPATH" "$@" > "$RECORD"
"""


@pytest.fixture
def srun(tmp_path):
    """Run a script with a stub of srun on the path; returns the arguments of srun."""
    (tmp_path / 'bin').mkdir()
    stub = tmp_path / 'bin' / 'srun'
    stub.write_text(STUB)
    stub.chmod(0o755)

    def run(script, *arguments, **env):
        record = tmp_path / 'record'
        path = f'{stub.parent}{os.pathsep}{os.environ["PATH"]}'
        subprocess.run(
            ['bash', str(REPO / 'tools' / script), *arguments],
            cwd=tmp_path,
            check=True,
            env={**os.environ, 'PATH': path, 'RECORD': str(record), **env},
        )
        return record.read_text().splitlines()

    return run


def test_slurm_train_asks_for_gpus_and_starts_the_tool(srun):
    env = dict(GPUS='16', GPUS_PER_NODE='4', CPUS_PER_TASK='3')
    env['SRUN_ARGS'] = '--quotatype=auto --exclude=n1'
    options = ['--cfg-options', 'a=[1, 2]']
    given = srun('slurm_train.sh', 'gpu', 'a job', 'c.py', 'out', *options, **env)
    python = given.index('python')
    assert str(REPO) in {str(Path(p).resolve()) for p in given[0].split('=')[1].split(':')}
    asked = '--gres=gpu:4 --ntasks=16 --ntasks-per-node=4 --cpus-per-task=3 --kill-on-bad-exit=1'
    expected = ['-p', 'gpu', '--job-name=a job', *asked.split(), *env['SRUN_ARGS'].split()]
    assert given[1:python] == expected
    tool = f'-u {REPO}/tools/train.py c.py --work-dir out --launcher slurm'.split()
    assert given[python + 1 :] == [*tool, *options]


@pytest.mark.parametrize('gpus, per_node', [('2', '2'), ('16', '8')])
def test_slurm_test_takes_no_more_of_a_machine_than_asked(srun, gpus, per_node):
    given = srun('slurm_test.sh', 'p', 'j', 'c.py', 'e.pth', '--show-dir', 'x', GPUS=gpus)
    assert f'--gres=gpu:{per_node}' in given
    assert f'--ntasks-per-node={per_node}' in given
    tool = f'-u {REPO}/tools/test.py c.py e.pth --launcher slurm --show-dir x'
    assert given[given.index('python') + 1 :] == tool.split()


@pytest.mark.nightly
def test_two_processes_train_and_test_a_detector(tmp_path):
    pytest.importorskip('mmdet3d')
    cfg = small_detector('votenet', write_rooms(tmp_path / 'rooms', 4))
    cfg.train_dataloader.batch_size = 2
    cfg.train_cfg.update(max_epochs=1, val_interval=1)
    cfg.default_hooks.logger.interval = 1
    cfg.dump(tmp_path / 'small.py')

    def run(script, *arguments):
        path = f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}'
        env = {**os.environ, 'OMP_NUM_THREADS': '1', 'PORT': '29517', 'PATH': path}
        words = ['bash', str(REPO / 'tools' / script), str(tmp_path / 'small.py'), *arguments]
        options = dict(capture_output=True, text=True, timeout=300)
        done = subprocess.run(words, cwd=tmp_path, env=env, **options)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]

    run('dist_train.sh', '2', '--work-dir', str(tmp_path / 'out'))
    (log,) = (tmp_path / 'out').glob('*/vis_data/scalars.json')
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert [row['loss'] for row in rows if 'loss' in row]  # 4 rooms: 2 processes x batch size 2
    drawn = tmp_path / 'drawn'
    run('dist_test.sh', str(tmp_path / 'out/epoch_1.pth'), '2', '--show-dir', str(drawn))
    # each process draws its share of the rooms
    names = [f'scene000{i}_00.png' for i in range(4)]
    assert sorted(p.name for p in drawn.glob('*.png')) == names
