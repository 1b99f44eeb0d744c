"""A measured training step, and its report."""

import pytest
import torch

from benchmarks.interleave import Found
from benchmarks.methods import METHODS, Mode
from benchmarks.roofline import Roofline, count_flops
from benchmarks.steps import Stopwatch, TrainStep, step_table

from .forms import CASE


@pytest.mark.parametrize('name', METHODS)
def test_a_step_is_the_sum_of_its_parts(name):
    if 'recon' in name or 'i2p' in name:
        pytest.importorskip('open_clip')
    modes = METHODS[name].modes()
    assert modes['ours'] == Mode()
    step = TrainStep(name, modes['ours, bf16'], CASE)
    before = [p.detach().clone() for p in step.model.parameters()]
    lap = step.run()
    assert any(not torch.equal(a, b) for a, b in zip(before, step.model.parameters()))
    assert lap.keys() == {*METHODS[name].parts, 'backward', 'optimizer', 'rest', 'seconds'}
    seconds = lap.pop('seconds')
    assert sum(lap.values()) == pytest.approx(seconds) and min(lap.values()) > 0


@pytest.mark.parametrize('name', [name for name, method in METHODS.items() if method.published])
def test_the_published_form_makes_a_step(name):
    pytest.importorskip('open_clip')
    step = TrainStep(name, Mode(published=True), CASE)
    step.run()
    assert step.info()['flops'] > 1e6


@pytest.mark.parametrize('name', ['recon', 'i2p_mae'])
def test_a_cached_step_runs_no_teacher(name, monkeypatch):
    pytest.importorskip('open_clip')
    step = TrainStep(name, METHODS[name].modes()['ours, cached'], CASE)
    assert all(part.teacher is None for part in step.model.modules() if hasattr(part, 'cache'))
    assert not hasattr(step.batch['data_samples'][0], 'image')
    step.run()


def test_flops_are_those_of_the_products():
    a, b = torch.ones(3, 5, requires_grad=True), torch.ones(5, 7, requires_grad=True)
    assert count_flops(lambda: (a @ b).sum().backward()) == 3 * 2 * 3 * 5 * 7
    q = torch.ones(2, 4, 6, 8)
    attend = torch.nn.functional.scaled_dot_product_attention
    assert count_flops(lambda: attend(q, q, q)) == 2 * (2 * 2 * 4 * 6 * 6 * 8)


def test_a_roofline_is_measured_in_two_precisions():
    lap = Roofline('cpu', seconds=0.0).run()
    assert lap.keys() == {'fp32', 'bf16', 'seconds'} and min(lap.values()) > 0


def test_the_table_tells_ratios_shares_and_failures():
    laps = [dict(seconds=s, student=s / 2, rest=s / 2) for s in (1.0, 2.0, 4.0)]
    info = dict(peak=None, batch_size=8, flops=int(3e9))
    found = {
        'published': Found([dict(lap, seconds=3 * lap['seconds']) for lap in laps], info),
        'ours': Found(laps, info),
        'ours, bf16': 'out of memory',
        'roofline': Found([dict(fp32=3e9, bf16=6e9, seconds=1.0)], {}),
    }
    header, rows = step_table('point_mae', found)
    published, ours, failed = (dict(zip(header, row)) for row in rows)
    assert ours['samples/s'] == '4.00' and ours['against published'] == '3.00x (3.00-3.00)'
    assert ours['student, ms'] == '1000' and ours['peak'] == 'unknown'
    assert ours['roofline'] == '50 %' and published['roofline'] == '17 %'
    assert failed['samples/s'] == 'out of memory' and {len(row) for row in rows} == {len(header)}
    before = {'before': found['ours']} | found
    header, rows = step_table('point_mae', before)
    assert dict(zip(header, rows[2]))['against before'] == '1.00x (1.00-1.00)'
    header, rows = step_table('votenet', {k: v for k, v in found.items() if k != 'published'})
    assert 'against ours' not in header


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
