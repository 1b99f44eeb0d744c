"""Time and memory measurements."""

import os
import time

import pytest
import torch

from benchmarks.measure import isolate, measure


def measure_allocation(mebibytes):
    """Measure an allocation in a process that has used more memory before."""
    torch.ones(mebibytes * 2**19).sum()
    return measure(lambda: torch.ones(mebibytes * 2**18).sum(), device='cpu', budget=0)


@pytest.mark.slow
def test_peak_is_what_the_call_needed_on_top():
    peak = isolate(measure_allocation, 64).peak
    if peak is None:
        pytest.skip('this system does not tell the peak memory')
    assert 60 * 2**20 < peak < 80 * 2**20


def test_isolate_uses_another_process():
    assert isolate(os.getpid) != os.getpid()


def test_measure_takes_the_best_of_several_calls():
    calls = []

    def slower_at_first():
        time.sleep(0.05 if not calls else 0.0)
        calls.append(1)

    found = measure(slower_at_first, device='cpu', budget=0.1)
    assert len(calls) > 1 and found.seconds < 0.05
