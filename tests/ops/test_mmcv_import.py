"""All import orders of mmcv, mmdet3d and mmkd3d."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.helpers import REPO
from tests.ops.rooms import write_rooms

if not find_spec('mmdet3d'):
    pytest.skip('needs mmdet3d', allow_module_level=True)
MMCV = Path(find_spec('mmcv').origin).parent
without_compiled = pytest.mark.skipif(
    bool(list(MMCV.glob('_ext*'))), reason='mmcv is compiled here'
)

USE_AN_OPERATOR = """
import torch
from mmcv.ops import knn
print('knn', knn(2, torch.rand(1, 4, 3)).shape[1])
"""
# Mimics the extension of a CPU build of mmcv: some operators have kernels, the
# others raise mmcv's error.
COMPILED = """
MARK = 7.

def box_iou_rotated(a, b, out, mode_flag, aligned):
    out.fill_(MARK)

def __getattr__(name):
    if name.startswith('_'):
        raise AttributeError(name)
    def operator(*args, **kwargs):
        raise RuntimeError(
            f'{name}_impl: implementation for device cpu not found.')
    return operator
"""


def run(code, *, mode=None, cwd=None, path=(), check=True):
    """Run Python code in a fresh interpreter; returns its output."""
    env = {**os.environ, 'OMP_NUM_THREADS': '1'}
    env['PYTHONPATH'] = os.pathsep.join([str(REPO), *map(str, path)])
    env.pop('MMKD3D_OPS', None)
    if mode:
        env['MMKD3D_OPS'] = mode
    done = subprocess.run(
        [sys.executable, '-c', code], env=env, cwd=cwd, capture_output=True, text=True
    )
    assert not check or done.returncode == 0, done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.mark.slow
def test_nothing_happens_without_mmcv():
    out = run(
        'import sys; sys.modules["mmcv"] = None\nimport mmkd3d, mmengine.config, torch; print("fine")'
    )
    assert out.strip() == 'fine'


@pytest.mark.slow
@without_compiled
def test_operators_work_and_log_their_backend_once():
    out = run(
        'import sys, mmkd3d\n'
        'print("early", "mmcv" in sys.modules)\n'
        'from mmcv.utils import collect_env\n'
        'print(collect_env()["MMCV Compiler"])' + 2 * USE_AN_OPERATOR
    )
    assert 'early False' in out
    assert 'none (operators of mmkd3d)' in out
    assert out.count('knn 2') == 2
    assert out.count('no compiled mmcv is installed') == 1


@pytest.mark.slow
@without_compiled
def test_mmcv_mode_without_a_compiled_mmcv_is_an_error():
    out = run('import mmkd3d, mmcv.ops', mode='mmcv', check=False)
    assert 'ModuleNotFoundError: MMKD3D_OPS=mmcv' in out


@pytest.fixture
def compiled(tmp_path):
    """Code that makes mmcv find a compiled extension."""
    (tmp_path / '_ext.py').write_text(COMPILED)
    return f'import mmcv; mmcv.__path__.insert(0, {str(tmp_path)!r})\n'


IMPORTS = dict(
    first='import mmkd3d, mmcv.ops as early',
    # mmdet3d has already imported names from mmcv.ops
    last='import mmdet3d.structures.bbox_3d.base_box3d as early, mmkd3d',
    # as an mmdet3d config that only refers to one of our components
    by_name="""
import mmcv.ops as early
from mmengine.registry import MODELS
try:
    MODELS.get('mmkd3d.Nothing')
except KeyError:
    pass""",
)
BOXES = """
import torch
boxes = torch.tensor([[[0., 0., 0., 2., 2., 2., 0.]]])
print('inside', early.points_in_boxes_all(boxes[..., 3:6] / 4, boxes))
print('iou', early.box_iou_rotated(torch.ones(1, 5), torch.ones(1, 5)))
import mmcv._ext
print('mark', mmcv._ext.MARK)
"""


@pytest.mark.slow
@pytest.mark.parametrize('order', IMPORTS)
def test_compiled_operators_stay_and_missing_kernels_fall_back(order, compiled):
    out = run(f'{compiled}{IMPORTS[order]}{BOXES}')
    assert 'inside tensor([[[1]]]' in out  # ours, because no kernel exists
    assert 'iou tensor([[7.]])' in out  # the compiled one
    assert 'mark 7.0' in out  # other attributes of the extension
    assert out.count('are the compiled ones') == 1  # logged once


CONFIG = """
_base_ = ['mmdet3d::votenet/votenet_8xb8_scannet-3d.py']
data_root = '{root}/'
model = dict(
    backbone=dict(num_points=(64, 32, 16, 16), num_samples=(8, 8, 8, 8)),
    bbox_head=dict(vote_aggregation_cfg=dict(num_point=16)))
train_dataloader = dict(
    batch_size=2, num_workers=0, persistent_workers=False,
    dataset=dict(times=2, dataset=dict(data_root=data_root)))
val_dataloader = dict(
    num_workers=0, persistent_workers=False, dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=1, val_interval=1)
"""


@pytest.mark.nightly
@without_compiled
def test_mmdet3d_tools_train_runs_stock_votenet(tmp_path):
    tools = Path(find_spec('mmdet3d').origin).parent / '.mim/tools'
    root = write_rooms(tmp_path / 'scannet')
    (tmp_path / 'config.py').write_text(CONFIG.format(root=root.as_posix()))
    out = run(
        'import mmkd3d, runpy, sys\n'
        'sys.argv = ["train.py", "config.py", "--work-dir", "work",\n'
        '    "--cfg-options",\n'
        '    "train_dataloader.dataset.dataset.pipeline.4.num_points=500",\n'
        '    "val_dataloader.dataset.pipeline.2.transforms.2.num_points=500",'
        '\n    "default_hooks.logger.interval=1"]\n'
        f'runpy.run_path({str(tools / "train.py")!r}, run_name="__main__")',
        cwd=tmp_path,
    )
    assert 'Epoch(train) [1][2/2]' in out
    assert 'mAP_0.25' in out
    assert (tmp_path / 'work' / 'epoch_1.pth').is_file()
