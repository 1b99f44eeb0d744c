"""Measure a training step of a method, part by part, in several modes."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import torch
import torch.nn as nn

from .measure import format_bytes, isolate, peak_memory, reset_peak
from .published import parts_of

NOTE = (
    'Each mode in a process of its own; the fastest of several steps, whose '
    'parts add up to it. rest: masks, monitors and losses not named. Weights '
    'of teachers are random. peak: GPU memory allocated, or resident memory '
    'of the whole process, weights and optimizer included.'
)
WARM_UP_AND_STEPS = dict(quick=(0, 1), gpu=(3, 20), cpu=(1, 5))


class Method:
    """A pretraining method to measure.

    Attributes:
        title: Name of the method.
        note: Explanation of the numbers.
        batch_size: Published batch size.
        modes: Name -> options of a step. A mode has ``autocast``: bf16 for
            the whole step. The first mode is ``'reference'``.
        parts: Part -> the model's methods that belong to it, such as
            ``'decoder.forward'``.
    """

    title: str
    note: str
    batch_size: int
    modes: dict[str, NamedTuple]
    parts: dict[str, tuple[str, ...]]

    def build(self, mode: NamedTuple, case: 'Case', folder: Path) -> nn.Module:
        """Build the model in train mode; ``folder`` holds files that it reads."""
        raise NotImplementedError

    def losses(self, model: nn.Module, case: 'Case') -> Callable[[], dict]:
        """Return a function that computes losses and monitors, always on the same batch."""
        raise NotImplementedError

    def default_batch_size(self, device: str) -> int:
        """Published batch size; 8 on a CPU."""
        return self.batch_size if device.startswith('cuda') else 8


class Case(NamedTuple):
    """Device and size of a measured step.

    Attributes:
        batch_size: Clouds per batch.
        device: 'cpu', 'cuda', ...
        quick: Use a tiny model and a single step.
        num_threads: Number of CPU threads.
        matmul_precision: On a GPU, for convolutions too; see
            ``torch.set_float32_matmul_precision``.
    """

    batch_size: int
    device: str
    quick: bool
    num_threads: int
    matmul_precision: str


class Step(NamedTuple):
    """Time of the fastest step and memory of all steps.

    ``parts`` are in seconds and sum to ``seconds``; ``peak`` and ``weights``
    are in bytes.
    """

    seconds: float
    parts: dict[str, float]
    peak: int | None
    weights: int


class Stopwatch:
    """Seconds per part of a step; on a GPU measured with CUDA events."""

    def __init__(self, device: str):
        self._on_gpu = device.startswith('cuda')
        self._marks = []

    @contextmanager
    def __call__(self, part: str):
        start = self._mark()
        yield
        self._marks.append((part, start, self._mark()))

    def watch(self, model: nn.Module, path: str, part: str) -> None:
        """Time every call of the method at ``path``, such as 'decoder.forward'."""
        owner, _, name = path.rpartition('.')
        owner = attrgetter(owner)(model) if owner else model
        method = getattr(owner, name)

        def timed(*args, **kwargs):
            with self(part):
                return method(*args, **kwargs)

        setattr(owner, name, timed)

    def lap(self) -> dict[str, float]:
        """Seconds of each part since the last lap."""
        if self._on_gpu:
            torch.cuda.synchronize()
        seconds = defaultdict(float)
        for part, start, end in self._marks:
            seconds[part] += start.elapsed_time(end) / 1e3 if self._on_gpu else end - start
        self._marks.clear()
        return seconds

    def _mark(self):
        if not self._on_gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event


def run_mode(method: Method, name: str, case: Case) -> Step | str:
    """Measure one mode; returns the reason as text if it cannot run."""
    torch.set_num_threads(case.num_threads)
    on_gpu = case.device.startswith('cuda')
    if on_gpu:
        torch.set_float32_matmul_precision(case.matmul_precision)
        torch.backends.cudnn.allow_tf32 = case.matmul_precision != 'highest'
    mode = method.modes[name]
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        model = method.build(mode, case, Path(folder))
        model.to(case.device)
        losses = method.losses(model, case)
        watch = Stopwatch(case.device)
        for part, paths in method.parts.items():
            for path in paths:
                watch.watch(model, path, part)
        optimizer = torch.optim.AdamW(model.parameters())
        warm_up, steps = WARM_UP_AND_STEPS['quick' if case.quick else 'gpu' if on_gpu else 'cpu']
        reset_peak(on_gpu)
        laps = []
        try:
            for _ in range(warm_up + steps):
                train_step(losses, optimizer, case.device, mode.autocast, watch)
                laps.append(watch.lap())
        except torch.cuda.OutOfMemoryError:
            return 'out of memory'
    parts = dict(min(laps[warm_up:], key=lambda lap: lap['step']))
    seconds = parts.pop('step')
    parts['rest'] = seconds - sum(parts.values())
    weights = sum(p.nbytes for m in parts_of(model) for p in m.parameters(recurse=False))
    return Step(seconds, parts, peak_memory(on_gpu), weights)


def train_step(
    losses: Callable[[], dict],
    optimizer: torch.optim.Optimizer,
    device: str,
    autocast: bool,
    watch: Callable,
) -> None:
    """Run one training step on the losses from ``losses``."""
    with watch('step'):
        device = torch.device(device).type
        with torch.autocast(device, torch.bfloat16, autocast):
            found = losses()
        loss = sum(value for name, value in found.items() if name.startswith('loss'))
        with watch('backward'):
            loss.backward()
        with watch('optimizer'):
            optimizer.step()
            optimizer.zero_grad()


def run(method: Method, case: Case) -> Iterator[tuple[str, Step | str]]:
    """Measure every mode that the device supports, each in its own process."""
    for name, mode in method.modes.items():
        if mode.autocast and not case.device.startswith('cuda'):
            continue
        if case.quick:
            yield name, run_mode(method, name, case)
            continue
        try:
            yield name, isolate(run_mode, method, name, case)
        except BrokenProcessPool:
            yield name, 'killed (memory?)'


def table(method: Method, found: dict[str, Step | str], case: Case) -> tuple[list, list]:
    """Header and rows of the table, one row per mode."""
    parts = [*method.parts, 'backward', 'optimizer', 'rest']
    header = [
        'mode',
        'samples/s',
        'reference / this',
        'step, ms',
        *(f'{part}, ms' for part in parts),
        'peak',
        'weights',
    ]
    reference = found['reference']
    rows = []
    for name, step in found.items():
        if isinstance(step, str):
            rows.append([name, step, *[''] * (len(header) - 2)])
            continue
        ratio = '' if isinstance(reference, str) else f'{reference.seconds / step.seconds:.2f}x'
        rows.append(
            [
                name,
                f'{case.batch_size / step.seconds:.2f}',
                ratio,
                f'{step.seconds * 1e3:.1f}',
                *(f'{step.parts[part] * 1e3:.1f}' for part in parts),
                format_bytes(step.peak),
                format_bytes(step.weights),
            ]
        )
    return header, rows
