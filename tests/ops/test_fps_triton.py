"""FPS's Triton kernel, interpreted on the CPU and compiled for GPUs."""

import json
import logging
import os
import subprocess
import sys

import pytest

from mmkd3d.ops import farthest_point_sample, sampling
from tests.helpers import REPO

from .clouds import CLOUDS

CASES = [
    (kind, rule, size)
    for kind in CLOUDS
    for rule in sampling.MAX_THREADS
    for size in ((2, 1, 3), (1, 2, 2), (2, 37, 50), (2, 200, 20), (1, 4500, 4))
]


def sample_all():
    """Sampled indices of all cases; a third of the points lies in the skipped ball."""
    picked = []
    for kind, rule, (num_clouds, num_points, num_samples) in CASES:
        points = CLOUDS[kind](num_clouds, num_points, seed=num_samples)
        points[:, ::3] *= 0.02
        found = farthest_point_sample(points, num_samples, rule=rule)
        picked.append(found.tolist())
    return picked


def sample_all_by_triton():
    """Run ``sample_all`` with the kernel instead of the loop; prints JSON."""
    from mmkd3d.ops import fps_triton

    sampling._num_rows = lambda num_points: 1  # one row keeps the order of ties
    sampling._sample = lambda planes, running, num_samples, rows: fps_triton.sample(
        planes, running, num_samples
    )
    json.dump(sample_all(), sys.stdout)


@pytest.mark.slow
def test_interpreted_kernel_picks_what_pytorch_picks():
    pytest.importorskip('triton')
    # triton reads the variable at import, hence the subprocess
    process = subprocess.run(
        [sys.executable, '-m', __name__],
        env=dict(os.environ, TRITON_INTERPRET='1'),
        cwd=REPO,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    for case, found, expected in zip(CASES, json.loads(process.stdout), sample_all(), strict=True):
        assert found == expected, case


@pytest.mark.parametrize('block', [128, 4096])
def test_kernel_compiles_for_gpus_without_fused_products(block):
    pytest.importorskip('triton', minversion='3.3')
    compiler = pytest.importorskip('triton.compiler')
    backends = pytest.importorskip('triton.backends.compiler')
    from mmkd3d.ops.fps_triton import fps_kernel

    numbers = ('num_points', 'plane_stride', 'num_samples')
    source = compiler.ASTSource(
        fn=fps_kernel,
        signature=dict(
            planes='*fp32',
            running='*fp32',
            picked='*i32',
            BLOCK='constexpr',
            **dict.fromkeys(numbers, 'i32'),
        ),
        constexprs=dict(BLOCK=block),
    )
    kernel = compiler.compile(
        source,
        target=backends.GPUTarget('cuda', 80, 32),
        options=dict(num_warps=block // 128, enable_fp_fusion=False),
    )
    assert 'mul.' in kernel.asm['ptx'] and 'fma.' not in kernel.asm['ptx']


def test_where_the_kernel_fails_pytorch_is_used_and_it_is_said_once(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, 'mmkd3d.ops.fps_triton', None)
    sampling._triton_sampler.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert sampling._triton_sampler() is None
        assert sampling._triton_sampler() is None
    assert caplog.text.count('needs triton and a C compiler') == 1
    sampling._triton_sampler.cache_clear()


if __name__ == '__main__':
    sample_all_by_triton()
