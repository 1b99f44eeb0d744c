"""The benchmark tool, and equality of the compared implementations."""

import runpy
from pathlib import Path

import pytest
import torch

from benchmarks import ops as benchmark_ops
from benchmarks import processes, steps, usage
from benchmarks.interleave import Found
from benchmarks.methods import METHODS
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
    """Run the tool; returns the header and rows of each table."""
    main = runpy.run_path(str(REPO / 'tools' / 'benchmark.py'))['main']

    def run(*argv):
        main([*argv, '--threads', str(torch.get_num_threads())])
        tables = []
        for line in capsys.readouterr().out.splitlines():
            if line.startswith('| -'):
                continue
            if line.startswith('|'):
                tables[-1].append([cell.strip() for cell in line.strip('|').split('|')])
            elif not tables or tables[-1]:
                tables.append([])
        return [table for table in tables if table]

    return run


def test_quick_benchmark_prints_a_row_per_operator_and_size(benchmark, monkeypatch):
    monkeypatch.setattr(benchmark_ops, 'has_compiled_mmcv', lambda: False)
    [[header, *rows]] = benchmark('ops', '--quick')
    assert header == list(benchmark_ops.HEADER)
    assert [row[0] for row in rows] == [*benchmark_ops.OPERATORS] * 2
    for row in rows:
        cells = dict(zip(header, row))
        assert cells['ours'].endswith('s') and cells['naive'].endswith('s')
        assert cells['naive / ours'].endswith('x') and cells['mmcv'] == 'not available'


def test_everything_is_measured_within_the_minutes(benchmark, monkeypatch):
    """Each method, and what surrounds the step, with another checkout beside it."""
    budgets = []

    def measured(jobs, *, num_threads, budget, min_rounds=5):
        budgets.append(budget)
        assert {'before', 'ours'} <= {*jobs}
        assert 'older' in (jobs['before'].checkout, *jobs['before'].args)
        info = dict(peak=2**20, batch_size=8, flops=1e9, samples=4)
        lap = dict(seconds=2.0, fp32=1e9, bf16=2e9)
        found = {name: Found([lap], info) for name in jobs}
        return found | {'before': Found([dict(lap, seconds=6.0)], info)}

    monkeypatch.setattr(steps, 'interleave', measured)
    monkeypatch.setattr(usage, 'interleave', measured)
    rates = {1: processes.Rate(2.0, 1.9, 2.1), 2: processes.Rate(3.8, 3.7, 3.9)}
    monkeypatch.setattr(processes, 'scaling', lambda *_: rates)
    tables = benchmark('all', '--minutes', '2', '--before', 'older')
    assert sum(budgets) == pytest.approx(2 * 60, rel=0.2)
    assert len(tables) == len(METHODS) + 2
    for header, *rows in tables[: len(METHODS)]:
        cells = dict(zip(header, rows[-1]))
        assert cells['mode'].endswith('bf16') and cells['against before'] == '3.00x (3.00-3.00)'
    header, *rows = tables[-2]
    faster = {row[0]: row[-1] for row in rows if row[1] == 'before'}
    assert {*faster.values()} == {'3.00x (3.00-3.00)'} and {*usage.COMMANDS} < {
        name.removesuffix(', CPU time') for name in faster
    }


def test_an_unknown_method_is_named(benchmark, capsys):
    with pytest.raises(SystemExit):
        benchmark('steps', 'point-mae')
    assert 'unknown method point-mae; there are point_mae, act' in capsys.readouterr().err


def test_samples_are_read_as_published_and_by_our_pipeline():
    for published in (False, True):
        job = usage.Samples(published, num_shapes=2)
        assert job.run()['seconds'] > 0 and job.info() == dict(samples=2)
        assert not Path(job.folder.name).exists()


def test_memory_of_a_detector_prints_its_parts_and_their_sum(benchmark):
    pytest.importorskip('mmdet3d')
    [[header, *rows]] = benchmark('memory', 'votenet_toy', '--batch-size', '2', '--points', '2048')
    assert header[-1] == 'batch 2, computed'
    assert [row[0] for row in rows][-2:] == ['weights, gradients, AdamW', 'all']
    *parts, whole = (int(row[-1].removesuffix(' MiB')) for row in rows)
    assert sum(parts) == pytest.approx(whole, abs=len(parts) / 2)
