"""Samples per second of one process and of several."""

import pytest
from mmengine.config import Config

from benchmarks import processes
from tests.helpers import REPO


def test_ratios_are_of_all_samples_per_second(monkeypatch):
    seconds = iter([2.0, 2.0, 1.0, 2.5, 4.0, 4.0])
    numbers = []

    def run(cfg, number):
        assert cfg.train_cfg == dict(by_epoch=False, max_iters=processes.WARM_UP + 5)
        numbers.append(number)
        return next(seconds)

    monkeypatch.setattr(processes, '_step_seconds', run)
    rates = processes.scaling(processes.point_mae(), 8, 5)
    assert numbers == [1, 2] * 3
    assert rates == {1: (4, 2, 8), 2: (6.4, 4, 8)}
    first, second = processes.rows(rates)
    assert first == ['1', '4.00', '2.00 to 8.00', '1.00x']
    assert second == ['2', '6.40', '4.00 to 8.00', '1.60x']
    assert len(first) == len(processes.HEADER)


@pytest.mark.nightly
def test_a_failed_run_shows_its_output():
    cfg = processes.point_mae()
    cfg.model.type = 'PointMAX'
    with pytest.raises(RuntimeError, match="(?s)1 processes: .*'PointMAX' is not a model"):
        processes.scaling(cfg, 2, 1, processes=(1,), repeats=1)


@pytest.mark.nightly
def test_runs_of_one_and_two_processes_are_measured():
    cfg = Config.fromfile(REPO / 'configs/toy/point-mae_toy.py')
    cfg.train_dataloader.dataset.num_samples = 8
    for rate in processes.scaling(cfg, 2, 2, repeats=1).values():
        assert 0 < rate.least == rate.median == rate.most
