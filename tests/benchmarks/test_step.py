"""Report of a benchmarked training step."""

import pytest
import torch

from benchmarks.act import ACTStage
from benchmarks.i2p_mae import I2PMAEStep
from benchmarks.recon import ReConStep
from benchmarks.step import Case, Step, Stopwatch, run_mode, table


def test_a_mode_without_memory_is_told_in_its_row():
    case = Case(2, 'cpu', True, torch.get_num_threads(), 'highest')
    method = ACTStage(2)
    parts = {part: 0.1 for part in (*method.parts, 'backward', 'optimizer', 'rest')}
    step = Step(sum(parts.values()), parts, None, 2**20)
    found = {'reference': 'out of memory', 'ours': step}
    header, rows = table(method, found, case)
    assert rows[0][:2] == ['reference', 'out of memory']
    ours = dict(zip(header, rows[1]))
    assert ours['reference / this'] == '' and ours['samples/s'] == '2.86'
    assert {len(row) for row in rows} == {len(header)}


def test_a_stopwatch_adds_up_the_calls_of_a_part():
    watch = Stopwatch('cpu')
    layer = torch.nn.Linear(2, 2)
    watch.watch(layer, 'forward', 'layer')
    for _ in range(2):
        assert layer(torch.ones(1, 2)).shape == (1, 2)
    with watch('other'):
        pass
    lap = watch.lap()
    assert {*lap} == {'layer', 'other'} and lap['layer'] > lap['other']
    assert not watch.lap()


@pytest.mark.parametrize('method', [ACTStage(1), ACTStage(2), ReConStep(), I2PMAEStep()])
def test_a_bf16_step_is_measured(method):
    """tests/tools/test_benchmark.py runs the other modes, but bf16 only on a GPU."""
    pytest.importorskip('open_clip')
    case = Case(4, 'cpu', True, torch.get_num_threads(), 'highest')
    step = run_mode(method, [*method.modes][-1], case)
    assert step.parts.keys() == {*method.parts, 'backward', 'optimizer', 'rest'}
    assert sum(step.parts.values()) == pytest.approx(step.seconds)
    assert min(step.parts.values()) > 0
    assert step.peak is None or step.peak > step.weights > 0
