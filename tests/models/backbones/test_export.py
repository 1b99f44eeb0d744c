"""Students leave Python, as docs/downstream.md shows: torch.export, torch.jit.trace and ONNX."""

import io
import re

import pytest
import torch

import mmkd3d
from mmkd3d.registry import MODELS
from tests.helpers import REPO

SMALL = dict(embed_dims=32, depth=1, num_heads=2, patch_dims=(16, 16), fps_rule='mmcv')
PLAIN = dict(SMALL, type='PointTransformer', num_groups=6, group_size=5)
STUDENTS = {
    'plain': PLAIN,
    'ball query': dict(PLAIN, radius=0.4, pos_scale='scene', fps_rule='pointnet2'),
    'recon': dict(PLAIN, type='ReConTransformer'),
    'two towers': dict(
        type='TwoTower', masked=PLAIN, contrast=dict(PLAIN, type='ReConTransformer')
    ),
    'pyramid': dict(
        type='PointM2AE',
        level_dims=(12, 24, 48),
        depths=(1, 1, 1),
        num_heads=2,
        num_groups=(9, 6, 4),
        group_sizes=(6, 4, 3),
        patch_dims=(8, 16),
        embed_masked=False,
    ),
}
POINTS, OTHERS = torch.rand(2, 2, 40, 3, generator=torch.Generator().manual_seed(0)) - 0.5


def student(name):
    torch.manual_seed(0)
    return MODELS.build(STUDENTS[name]).eval()


@pytest.fixture
def documented(monkeypatch, tmp_path):
    """Run the code of the section Export with a small student; returns its names."""

    def run(name, number):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(mmkd3d, 'load_student', lambda *_: student(name), raising=False)
        text = (REPO / 'docs/downstream.md').read_text().partition('\n## Export')[2]
        blocks = re.findall('```python\n(.*?)```', text.partition('\n## ')[0], re.S)
        names = dict(POINTS=POINTS)
        for block in blocks[:number]:
            exec(block.replace('torch.rand(1, 1024, 3)', 'POINTS'), names)
        return names

    return run


SOME = [
    name if name == 'plain' else pytest.param(name, marks=pytest.mark.nightly) for name in STUDENTS
]


@pytest.mark.parametrize('name', SOME)
def test_exported_features_equal_eager_ones(name, documented):
    names = documented(name, 1)
    program = torch.export.load('student.pt2').module()
    with torch.no_grad():
        for points in (POINTS, OTHERS):
            expected = names['student'].extract_feat(points, 'global')
            torch.testing.assert_close(program(points), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    'name, level', [('plain', 'point'), pytest.param('pyramid', 'token', marks=pytest.mark.nightly)]
)
@torch.no_grad()
def test_traced_features_equal_eager_ones(name, level):
    net = student(name)
    forward = torch.nn.Module()
    forward.net, forward.forward = net, lambda points: net.extract_feat(points, level)
    file = io.BytesIO()
    torch.jit.save(torch.jit.trace(forward, POINTS, check_trace=False), file)
    file.seek(0)
    traced = torch.jit.load(file)
    for points in (POINTS, OTHERS):
        expected = net.extract_feat(points, level)
        torch.testing.assert_close(traced(points), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.nightly
@pytest.mark.parametrize('name', ['plain', 'pyramid'])
def test_onnx_features_equal_eager_ones(name, documented):
    pytest.importorskip('onnxscript')
    runtime = pytest.importorskip('onnxruntime')
    names = documented(name, 2)
    session = runtime.InferenceSession('student.onnx')
    for points in (POINTS, OTHERS):
        (got,) = session.run(None, dict(points=points.numpy()))
        with torch.no_grad():
            expected = names['student'].extract_feat(points, 'global')
        torch.testing.assert_close(torch.from_numpy(got), expected, rtol=1e-4, atol=1e-5)
