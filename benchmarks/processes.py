"""Measure how training scales from one process to several on the cores of a CPU."""

import json
import os
import socket
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from mmengine.config import Config

ROOT = Path(__file__).resolve().parents[1]
WARM_UP = 4  # steps that are not counted: ToyShapes makes its shapes in them
HEADER = ('processes', 'samples/s', 'of the runs', 'ratio')


class Rate(NamedTuple):
    """Samples per second of all processes together: median, least and most of the runs."""

    median: float
    least: float
    most: float


def point_mae() -> Config:
    """Point-MAE's published size on a few toy shapes."""
    cfg = Config.fromfile(ROOT / 'configs/toy/point-mae_toy.py')
    cfg.model = Config.fromfile(ROOT / 'configs/_base_/models/point-mae_pointvit-s.py').model
    cfg.train_dataloader.dataset.num_samples = 32
    return cfg


def scaling(
    cfg: Config,
    batch_size: int = 8,
    steps: int = 20,
    *,
    processes: Sequence[int] = (1, 2),
    repeats: int = 3,
) -> dict[int, Rate]:
    """Train in one process and in several, in turns, with one thread in each.

    The runs are those of ``tools/train.py`` and ``tools/dist_train.sh``. Start-up, loading and
    the first steps are not counted.

    Args:
        cfg: Of a training.
        batch_size: Of each process.
        steps: Counted in each run.
        processes: Numbers of processes to compare.
        repeats: Runs of each.

    Raises:
        RuntimeError: A run failed; the message has the end of its output.
    """
    cfg = Config(cfg.to_dict())
    cfg.train_dataloader.batch_size = batch_size
    cfg.train_cfg = dict(by_epoch=False, max_iters=WARM_UP + steps)
    cfg.param_scheduler = None
    cfg.default_hooks.logger.interval = 1
    cfg.default_hooks.checkpoint = None
    cfg.log_processor = dict(by_epoch=False, window_size=1)
    for part in ('val', 'test'):
        for key in ('dataloader', 'cfg', 'evaluator'):
            cfg.pop(f'{part}_{key}', None)
    rates: dict[int, list[float]] = {number: [] for number in processes}
    for _ in range(repeats):
        for number, found in rates.items():
            found.append(number * batch_size / _step_seconds(cfg, number))
    return {n: Rate(statistics.median(r), min(r), max(r)) for n, r in rates.items()}


def _step_seconds(cfg: Config, number: int) -> float:
    """Median time of a step in a run of so many processes."""
    with TemporaryDirectory() as folder:
        path = Path(folder, 'config.py')
        cfg.dump(path)
        command = [sys.executable, ROOT / 'tools/train.py', path]
        if number > 1:
            command = ['bash', ROOT / 'tools/dist_train.sh', path, str(number)]
        environ = dict(
            os.environ,
            OMP_NUM_THREADS='1',
            CUDA_VISIBLE_DEVICES='',
            PATH=f'{Path(sys.executable).parent}:{os.environ["PATH"]}',
            PYTHONPATH=str(ROOT),
            PORT=str(_free_port()),
        )
        run = subprocess.run(
            [*command, '--work-dir', folder], env=environ, capture_output=True, text=True
        )
        if run.returncode:
            raise RuntimeError(f'{number} processes: {(run.stdout + run.stderr)[-2000:]}')
        (log,) = Path(folder).glob('*/vis_data/scalars.json')
        steps = [json.loads(line) for line in log.read_text().splitlines()]
    # mmengine waits for 2 s after each pass over the data, which is short here
    times = [step['time'] - step['data_time'] for step in steps if 'time' in step]
    return statistics.median(times[WARM_UP:])


def _free_port() -> int:
    with socket.socket() as server:
        server.bind(('127.0.0.1', 0))
        return server.getsockname()[1]


def rows(rates: dict[int, Rate]) -> list[list[str]]:
    """Rows of a table under ``HEADER``; ratios are to the first row."""
    first = next(iter(rates.values())).median
    return [
        [
            str(number),
            f'{rate.median:.2f}',
            f'{rate.least:.2f} to {rate.most:.2f}',
            f'{rate.median / first:.2f}x',
        ]
        for number, rate in rates.items()
    ]
