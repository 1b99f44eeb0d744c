"""The benchmark tool, and equality of the compared implementations."""

import runpy

import pytest
import torch

from benchmarks import ops as benchmark_ops
from mmkd3d import ops
from tests.helpers import REPO


@pytest.fixture(params=benchmark_ops.QUICK_SIZES)
def inputs(request):
    """Small inputs of each kind."""
    size = benchmark_ops.QUICK_SIZES[request.param]
    return benchmark_ops.Inputs(size, size.batch, 'cpu')


@pytest.mark.parametrize(
    'operator', ['farthest_point_sample', 'ball_query', 'group', 'three_interpolate']
)
def test_the_naive_form_computes_the_same(inputs, operator):
    calls = benchmark_ops.OPERATORS[operator]
    torch.testing.assert_close(calls['ours'](inputs), calls['naive'](inputs), rtol=1e-4, atol=1e-4)
    expected = ops.chamfer_distance(inputs.centers, inputs.points, norm='l2')
    found = benchmark_ops.naive_chamfer(inputs.centers, inputs.points)
    torch.testing.assert_close(found, expected)


@pytest.fixture
def benchmark(capsys):
    """Run the tool; returns the header and rows of its table."""
    main = runpy.run_path(str(REPO / 'tools' / 'benchmark.py'))['main']

    def run(*argv):
        threads = str(torch.get_num_threads())
        size = [] if argv == ('ops',) else ['--batch-size', '2']
        main([*argv, *size, '--device', 'cpu', '--threads', threads, '--quick'])
        table = [line for line in capsys.readouterr().out.splitlines() if line.startswith('|')]
        header, _, *rows = ([cell.strip() for cell in line.strip('|').split('|')] for line in table)
        return header, rows

    return run


def test_quick_benchmark_prints_a_row_per_operator_and_size(benchmark, monkeypatch):
    monkeypatch.setattr(benchmark_ops, 'has_compiled_mmcv', lambda: False)
    header, rows = benchmark('ops')
    assert header == list(benchmark_ops.HEADER)
    assert [row[0] for row in rows] == [*benchmark_ops.OPERATORS] * 2
    for row in rows:
        cells = dict(zip(header, row))
        assert cells['ours'].endswith('s') and cells['naive'].endswith('s')
        assert cells['naive / ours'].endswith('x') and cells['mmcv'] == 'not available'


BF16, VISIBLE = 'bf16 teacher', 'visible only'


@pytest.mark.parametrize(
    'argv, modes, num_parts',
    [
        (['act', '--stage', '1'], [BF16], 7),
        (['act', '--stage', '2'], ['train-mode teacher', BF16], 7),
        (['recon'], [BF16, 'cached'], 10),
        (['i2p_mae'], [BF16, VISIBLE, f'{VISIBLE}, {BF16}'], 9),
    ],
)
def test_quick_benchmark_of_a_method_prints_a_row_per_mode(benchmark, argv, modes, num_parts):
    if argv[0] != 'act':
        pytest.importorskip('open_clip')
    header, rows = benchmark('pretrain', *argv)
    assert [row[0] for row in rows] == ['reference', 'ours', *(f'ours, {mode}' for mode in modes)]
    for row in rows:
        cells = dict(zip(header, row))
        assert cells['reference / this'].endswith('x')
        assert float(cells['samples/s']) > 0
        assert cells['peak'] == 'unknown' or cells['peak'].endswith('MiB')
        step = float(cells.pop('step, ms'))
        parts = [float(cells[name]) for name in cells if name.endswith(', ms')]
        assert len(parts) == num_parts
        assert sum(parts) == pytest.approx(step, abs=0.6)


def test_quick_benchmarks_of_contrast_and_targets_print_both_forms(benchmark):
    header, rows = benchmark('contrast')
    assert [row[0] for row in rows] == ['double loop', 'ours']
    assert rows[0][-1] == '1.0x'
    pytest.importorskip('open_clip')
    _, rows = benchmark('targets')
    assert [row[0] for row in rows] == ['whole maps', 'ours']
    assert rows[0][2] == '1.0x'


def test_memory_of_a_detector_prints_its_parts_and_their_sum(benchmark):
    pytest.importorskip('mmdet3d')
    header, rows = benchmark('memory', 'votenet_toy')
    assert header[-1] == 'batch 2, computed'
    assert [row[0] for row in rows][-2:] == ['weights, gradients, AdamW', 'all']
    *parts, whole = (int(row[-1].removesuffix(' MiB')) for row in rows)
    assert sum(parts) == pytest.approx(whole, abs=len(parts) / 2)
