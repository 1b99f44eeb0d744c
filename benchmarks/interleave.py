"""Run several jobs in turn, each in a process of its own, so that all of them meet the same machine.

A machine changes its speed while it works: other programs run, the clock goes down. Times that
were taken one after the other cannot be compared. Here every round runs each job once, and ratios
are taken within a round.
"""

import multiprocessing
import os
import statistics
import sys
import time
import traceback
from collections.abc import Callable
from typing import NamedTuple


class Job(NamedTuple):
    """Something to measure.

    Attributes:
        build: A function of a module, called in the process of the job. It returns an object with
            ``run() -> dict``, the seconds of one round by part and of all as ``'seconds'``, and
            ``info() -> dict``, called once at the end.
        args: Arguments of ``build``.
        checkout: Root of a checkout whose ``mmkd3d`` is measured; None: the one that is imported.
    """

    build: Callable
    args: tuple = ()
    checkout: str | None = None


class Found(NamedTuple):
    """What was measured of a job: the rounds, and what ``info`` returned."""

    rounds: list[dict]
    info: dict

    @property
    def seconds(self) -> float:
        """Median of all rounds."""
        return statistics.median(lap['seconds'] for lap in self.rounds)

    def part(self, name: str) -> float:
        """Median of the seconds of one part."""
        return statistics.median(lap.get(name, 0.0) for lap in self.rounds)


class Ratio(NamedTuple):
    """Median and quartiles of a ratio, taken within rounds."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f'{self.median:.2f}x ({self.low:.2f}-{self.high:.2f})'


def ratio(slow: Found, fast: Found) -> Ratio:
    """How many times faster the second job is."""
    found = [a['seconds'] / b['seconds'] for a, b in zip(slow.rounds, fast.rounds)]
    return Ratio(*quartiles(found))


def quartiles(values: list[float]) -> tuple[float, float, float]:
    """Median, lower and upper quartile."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, median, high = statistics.quantiles(values, n=4, method='inclusive')
    return median, low, high


def interleave(
    jobs: dict[str, Job], *, num_threads: int, budget: float, min_rounds: int = 5
) -> dict[str, Found | str]:
    """Measure jobs in turn.

    Args:
        jobs: By name.
        num_threads: CPU threads of each job.
        budget: Seconds for all rounds together, without those that build the jobs.
        min_rounds: Rounds to run even if they take longer.

    Returns:
        By name. A job that fails gives the reason as text.
    """
    workers = {name: Worker(job, num_threads) for name, job in jobs.items()}
    try:
        for worker in workers.values():
            worker.start()  # one at a time: none is measured, but memory is scarce
        spent, rounds = 0.0, 0
        while rounds < min_rounds or spent < budget:
            start = time.perf_counter()
            for worker in workers.values():
                worker.run()
            spent += time.perf_counter() - start
            rounds += 1
        return {name: worker.finish() for name, worker in workers.items()}
    finally:
        for worker in workers.values():
            worker.stop()


class Worker:
    """The process of a job."""

    def __init__(self, job: Job, num_threads: int):
        self.job, self.num_threads = job, num_threads
        self.rounds: list[dict] = []
        self.error: str | None = None

    def start(self) -> None:
        """Start the process, build the job and run it once, which is not measured."""
        context = multiprocessing.get_context('spawn')
        self.pipe, other = context.Pipe()
        threads = {'OMP_NUM_THREADS': str(self.num_threads)}
        before = {name: os.environ.get(name) for name in threads}
        os.environ.update(threads)  # read when torch is loaded
        self.process = context.Process(
            target=serve, args=(other, self.job.checkout, self.num_threads), daemon=True
        )
        self.process.start()
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        other.close()
        self._ask((self.job.build, self.job.args))

    def run(self) -> None:
        """Run one round."""
        lap = self._ask('run')
        if lap is not None:
            self.rounds.append(lap)

    def finish(self) -> Found | str:
        """The rounds and the information, or why there are none."""
        info = self._ask('info')
        return self.error if self.error else Found(self.rounds, info)

    def stop(self) -> None:
        """End the process."""
        if hasattr(self, 'process'):
            self.process.kill()
            self.process.join()

    def _ask(self, question):
        if self.error:
            return None
        try:
            self.pipe.send(question)
            kind, answer = self.pipe.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError):
            kind, answer = 'error', 'killed (memory?)'
        if kind == 'error':
            self.error = answer
            return None
        return answer


def serve(pipe, checkout: str | None, num_threads: int) -> None:
    """Answer the questions of a :class:`Worker`."""
    if checkout is not None:  # its package, but the benchmarks of this checkout
        sys.path.insert(0, checkout)
        import mmkd3d  # noqa: F401

        sys.path.pop(0)
    import torch

    torch.set_num_threads(num_threads)
    try:
        build, args = pipe.recv()
        job = build(*args)
        job.run()
        pipe.send(('built', None))
        while True:
            question = pipe.recv()
            pipe.send((question, getattr(job, question)()))
    except EOFError:  # the parent has gone
        return
    except torch.cuda.OutOfMemoryError:
        pipe.send(('error', 'out of memory'))
    except Exception as error:
        traceback.print_exc()
        pipe.send(('error', f'{type(error).__name__}: {error}'.splitlines()[0]))
