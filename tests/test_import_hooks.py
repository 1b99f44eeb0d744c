import io
import json
import os
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

from mmkd3d.import_hooks import allow_mmengine_checkpoints
from tests.helpers import REPO, rejects

EVERY_ORDER = [
    'import mmkd3d, torch',
    'import torch, mmkd3d',
    'import mmengine.config, mmkd3d, torch',
    'import mmkd3d, mmengine.runner, torch',
]

restricted = pytest.mark.skipif(
    tuple(map(int, torch.__version__.split('.')[:2])) < (2, 6),
    reason='torch.load is not restricted before 2.6',
)


def run_stage(work_dir, stage):
    done = subprocess.run(
        [sys.executable, '-m', 'tests.runner_checkpoint', work_dir, stage],
        cwd=REPO,
        env={**os.environ, 'PYTHONPATH': str(REPO), 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def save(content):
    buffer = io.BytesIO()
    torch.save(content, buffer)
    buffer.seek(0)
    return buffer


class Calls:
    """Pickles as a function call."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.slow
def test_runner_resumes_and_tests_its_own_checkpoint(tmp_path):
    run_stage(str(tmp_path), 'write')
    used = run_stage(str(tmp_path), 'use')
    assert used['epoch'] == 4
    assert used['losses'] == 4 * 4  # two epochs from the checkpoint, two after resuming
    assert used['tested'] == pytest.approx(used['expected'], rel=1e-5)


@restricted
def test_history_needs_the_permission_and_keeps_its_numbers():
    history = HistoryBuffer([3.0, 1.0, 2.0], [1, 1, 1])
    before = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    try:
        refused = dict(weights_only=True, error=pickle.UnpicklingError)
        rejects('HistoryBuffer', torch.load, save(history), **refused)
        allow_mmengine_checkpoints()
        once = set(torch.serialization.get_safe_globals())
        allow_mmengine_checkpoints()
        assert set(torch.serialization.get_safe_globals()) == once
        loaded = torch.load(save(history), weights_only=True)
    finally:
        torch.serialization.add_safe_globals(before)
    assert loaded.data[0].tolist() == [3.0, 1.0, 2.0]
    assert loaded.statistics('min') == 1.0


def run(code):
    done = subprocess.run(
        [sys.executable, '-c', code],
        env={**os.environ, 'PYTHONPATH': str(REPO)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.split()


def test_import_of_mmkd3d_imports_nothing_heavy():
    code = 'import sys, mmkd3d; print(*{"numpy", "torch", "mmengine", "mmcv"} & sys.modules.keys())'
    assert run(code) == []


@restricted
@pytest.mark.parametrize('imports', EVERY_ORDER)
def test_permission_is_given_in_every_order_of_imports(imports):
    code = f"""{imports}
from mmengine.config.utils import MODULE2PACKAGE
allowed = torch.serialization.get_safe_globals()
print(sum(getattr(x, '__name__', '') == 'HistoryBuffer' for x in allowed))
print('mmkd3d' in MODULE2PACKAGE, type(torch.__spec__.loader).__name__)"""
    assert run(code) == ['1', 'True', 'SourceFileLoader']


@restricted
@pytest.mark.parametrize('core', ['numpy.core', 'numpy._core'])
def test_numpy_of_either_generation_is_read(core):
    flags, palette = np.array([True, False]), np.arange(6, dtype=np.uint8).reshape(2, 3)
    content = dict(score=np.float64(1.5), count=np.int32(3), flags=flags, palette=palette)
    written = io.BytesIO()
    with zipfile.ZipFile(save(content)) as source, zipfile.ZipFile(written, 'w') as target:
        for name in source.namelist():
            data = source.read(name)
            if name.endswith('data.pkl'):
                assert b'multiarray' in data
                data = data.replace(b'numpy._core', b'numpy.core')
                data = data.replace(b'numpy.core', core.encode())
            target.writestr(name, data)
    written.seek(0)
    allow_mmengine_checkpoints()
    loaded = torch.load(written, weights_only=True)
    assert loaded['score'] == 1.5 and loaded['count'] == 3
    assert loaded['flags'].tolist() == [True, False]
    assert np.array_equal(loaded['palette'], content['palette'])


@restricted
def test_other_objects_stay_forbidden():
    allow_mmengine_checkpoints()
    for harmful in (
        Calls(os.system, 'true'),
        Calls(getattr, torch.Tensor, '__init__'),
        Calls(getattr, HistoryBuffer, '__init__'),
    ):
        refused = dict(weights_only=True, error=pickle.UnpicklingError)
        rejects('', torch.load, save(harmful), **refused)
