"""Run the jobs of a study, side by side, and go on where it was stopped."""

import hashlib
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from itertools import zip_longest
from pathlib import Path

from mmkd3d.apis.load import config_root
from mmkd3d.datasets.identity import Identity
from mmkd3d.utils.atomic import write_atomic
from mmkd3d.utils.digest import file_digest
from mmkd3d.utils.records import make_record, write_record

from .curves import read_curve
from .data import identify_data, shared_notes
from .job_folder import DONE, claimed, progress, read_done
from .study import Job, fill
from .tables import with_method

ROOT = config_root().parent  # where the tools are, too
HEARTBEAT = 30  # seconds between two lines on what is running
TIMES = ('time', 'data_time')  # which mmengine writes beside the metrics


class JobFailed(RuntimeError):
    """A command of a job ended badly."""


class StudyRunner:
    """Run jobs as the commands that a user would type.

    A job has the folder ``out/STEP/seed_K-SETTINGS``, where ``SETTINGS`` is a
    checksum of its config, its options and what it builds on: other settings
    are another job, and nothing is overwritten. A finished job is not run
    again, an interrupted training goes on from its last checkpoint.

    Args:
        steps: From :func:`~.study.jobs_of`.
        out: Folder of everything.
        parallel: Jobs at a time; the cores are shared out to them, unless
            ``OMP_NUM_THREADS`` is set.
        say: Where a line of progress goes.

    Raises:
        ValueError: ``parallel`` below 1, ``out`` is a file, or a job needs a
            step that has several seeds, and not its own.
    """

    def __init__(
        self,
        steps: Mapping[str, Sequence[Job]],
        out: str | Path,
        *,
        parallel: int = 1,
        say: Callable[[str], None] = print,
    ):
        self.steps = steps
        self.out = Path(out).resolve()
        if parallel < 1:
            raise ValueError(f'Jobs at a time are 1 or more, got {parallel}.')
        if self.out.exists() and not self.out.is_dir():
            raise ValueError(
                f'{self.out} is a file, and the folder of the '
                'study is to be there: name another one.'
            )
        for jobs in steps.values():
            for job in jobs:
                self.needed(job)
        self.parallel = parallel
        self.env = dict(os.environ)
        self.env.setdefault('OMP_NUM_THREADS', str(max(1, (os.cpu_count() or 1) // parallel)))
        self.env['PYTHONPATH'] = os.pathsep.join(
            filter(None, [str(ROOT), self.env.get('PYTHONPATH')])
        )
        self.say = say
        self.done: dict[str, dict] = {}  # name of a job -> its done.json
        self.failed: dict[str, str] = {}  # name of a job -> why
        self.logs: dict[str, Path] = {}  # name of a job -> folder of its logs
        self.claims: dict[Path, int] = {}  # folder of a job -> see claimed
        self.processes: set[subprocess.Popen] = set()
        self.stopped = False

    def run(self) -> list[dict]:
        """Run what is missing.

        Returns:
            The records of all jobs that are finished, in the order of the
            steps. ``failed`` says which are not, and why.
        """
        # All rows of a table with one seed before the second seed of any.
        waiting = [job for round in zip_longest(*self.steps.values()) for job in round if job]
        total, running = len(waiting), {}
        with ThreadPoolExecutor(self.parallel) as pool:
            try:
                while waiting or running:
                    for job in self.ready(waiting):
                        if len(running) == self.parallel:
                            break
                        waiting.remove(job)
                        running[pool.submit(self.run_job, job)] = job
                    finished, _ = wait(running, HEARTBEAT, FIRST_COMPLETED)
                    for future in finished:
                        self.finish(running.pop(future), future)
                    self.drop_hopeless(waiting)
                    over = len(self.done) + len(self.failed)
                    self.say(
                        f'[{over}/{total}] {len(running)} running, '
                        f'{self.eta([*waiting, *running.values()])}'
                    )
                    for job in running.values():
                        line = progress(self.logs.get(job.name))
                        if line:
                            self.say(f'  {job.name}: {line}')
            except BaseException:  # Ctrl-C must not leave trainings behind
                self.stopped = True  # nor go from a training to its test
                for process in list(self.processes):
                    process.terminate()
                raise
        return [
            record
            for jobs in self.steps.values()
            for job in jobs
            for record in self.done.get(job.name, {}).get('records', ())
        ]

    def ready(self, waiting: Sequence[Job]) -> list[Job]:
        """Jobs whose needs are met."""
        return [job for job in waiting if all(need.name in self.done for need in self.needed(job))]

    def needed(self, job: Job) -> list[Job]:
        """The jobs whose results a job takes: of its seed, or the only ones.

        Raises:
            ValueError: A step has several seeds, and not this one.
        """
        found = []
        for name in job.needs:
            jobs = self.steps[name]
            same = [j for j in jobs if j.seed == job.seed]
            if not same and len(jobs) > 1:
                raise ValueError(
                    f'{job.name} needs {name}, which has the seeds '
                    f'{[j.seed for j in jobs]}: give it this seed, or one.'
                )
            found.append((same or jobs)[0])
        return found

    def results(self, job: Job) -> dict[str, str]:
        """What the placeholders of a job stand for."""
        return {need.step: self.done[need.name]['result'] for need in self.needed(job)}

    def finish(self, job: Job, future) -> None:
        """Take down what became of a job."""
        error = future.exception()
        if error is None:
            self.done[job.name] = future.result()
        elif isinstance(error, Exception):
            self.failed[job.name] = str(error)
            self.say(f'{job.name} FAILED: {error}')
        else:
            raise error

    def drop_hopeless(self, waiting: list[Job]) -> None:
        """Give up jobs that need one that failed."""
        for job in list(waiting):
            lost = [n.name for n in self.needed(job) if n.name in self.failed]
            if lost:
                waiting.remove(job)
                self.failed[job.name] = f'needs {", ".join(lost)}'
                self.drop_hopeless(waiting)
                return

    def eta(self, left: Sequence[Job]) -> str:
        """How long the rest may take, from jobs of the same step or kind."""
        if not left:
            return 'all over'
        seconds = 0.0
        for job in left:
            like = [
                self.done[other.name]['seconds']
                for jobs in self.steps.values()
                for other in jobs
                if other.name in self.done
                and self.done[other.name]['seconds']
                and (other.step == job.step or other.kind == job.kind)
            ]
            if not like:
                return f'no guess yet how long {job.kind} jobs take'
            seconds += sum(like) / len(like)
        minutes = seconds / self.parallel / 60
        return f'about {minutes:.0f} minutes left'

    def run_job(self, job: Job) -> dict:
        """Run a job unless it is finished; returns its ``done.json``."""
        settings = self.settings(job)
        if job.given:
            return dict(settings=settings, result=str(job.given.resolve()), seconds=0, records=[])
        folder = self.out / job.step / f'seed_{job.seed}-{settings[:8]}'
        with claimed(folder) as claim:
            done, why = read_done(folder)
            if done:
                self.say(f'{job.name}: finished already, {folder}')
                return done
            again = f' again, since {why}' if why else ''
            self.say(f'{job.name}: started{again}, {folder}')
            self.logs[job.name] = folder
            self.claims[folder] = claim
            start = time.time()
            result, records = getattr(self, f'run_{job.kind}')(job, folder)
            done = dict(
                settings=settings,
                result=str(result),
                seconds=round(time.time() - start, 1),
                records=records,
            )
            write_atomic(folder / DONE, json.dumps(done, indent=1).encode())
        metrics = [
            f'{name} {value:.4g}'
            for record in map(with_method, records)
            for name, value in record['metrics'].items()
        ]
        more = '; ...' if len(metrics) > 6 else ''
        self.say(f'{job.name}: {done["seconds"]:.0f} s  {"; ".join(metrics[:6])}{more}')
        return done

    def settings(self, job: Job) -> str:
        """Checksum of all that decides about the result of a job."""
        if job.given:
            if job.given.is_dir():
                return str(job.given.resolve())
            return file_digest(job.given)
        cfg = job.load_config({name: f'{{{name}}}' for name in job.needs})
        parts = (
            job.kind,
            job.seed,
            job.options,
            job.arguments,
            job.checkpoint,
            job.test,
            job.best,
            job.curve,
            job.extra,
            cfg.to_dict(),
            [self.done[n.name]['settings'] for n in self.needed(job)],
        )
        return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()

    def run_train(self, job: Job, folder: Path) -> tuple[Path, list[dict]]:
        """Train; with ``test`` also evaluate the last epoch, or the best."""
        results = self.results(job)
        known, notes = self.examine_data(job, results)
        options = [
            '--cfg-options',
            f'randomness.seed={job.seed}',
            *(fill(option, results) for option in job.options),
        ]
        best = ['default_hooks.checkpoint.save_best=auto'] * job.best
        train = ['tools/train.py', job.config, '--work-dir', folder]
        self.call([*train, '--resume', *options, *best], folder / 'train.log')
        checkpoint = Path((folder / 'last_checkpoint').read_text().strip())
        if not checkpoint.exists():  # the whole folder was moved
            checkpoint = folder / checkpoint.name
        if not job.test:
            return checkpoint, []
        if job.best:
            checkpoint = max(
                folder.glob('best_*.pth'), default=None, key=lambda p: p.stat().st_mtime
            )
            if checkpoint is None:
                raise JobFailed(
                    f'There is no best_*.pth in {folder}: its epochs were not '
                    'evaluated (train_cfg.val_interval), or the file was '
                    'removed. Remove the folder to train again.'
                )
        self.call(
            ['tools/test.py', job.config, checkpoint, '--work-dir', folder, *options],
            folder / 'test.log',
        )
        newest = max(folder.glob('*/*.json'), key=lambda p: p.stat().st_mtime)
        metrics = json.loads(newest.read_text())
        if job.curve:
            metrics.update(read_curve(folder, job.curve))
        chosen = 'best epoch on the test set' if job.best else 'last epoch'
        record = make_record(
            name=job.step,
            **dict(job.extra),
            protocol='; '.join((job.protocol or f'{job.config.stem}, {chosen}', *notes)),
            metrics={k: v for k, v in metrics.items() if k not in TIMES},
            seed=job.seed,
            config=job.config.stem,
            checkpoint=checkpoint,
            started_from={n: file_digest(r)[:16] for n, r in results.items() if Path(r).is_file()},
            data_hash={name: known[name].hash for name in known} or None,
            command=['python', *train, *options],
        )
        return checkpoint, [record]

    def examine_data(
        self, job: Job, results: Mapping[str, str]
    ) -> tuple[dict[str, Identity], list[str]]:
        """The data of a training with a test, and notes on shared shapes.

        Raises:
            JobFailed: Test shapes were pretrained on.
        """
        if not job.test:
            return {}, []
        cfg = job.load_config(results)
        try:
            known = identify_data(cfg)
        except Exception as error:  # a training is not lost for want of them
            self.say(f'{job.name}: no checksum of its data: {error}')
            return {}, []
        try:
            return known, shared_notes(cfg, known, allow=job.allow_shared_shapes)
        except ValueError as error:
            raise JobFailed(str(error)) from error

    def run_cache(self, job: Job, folder: Path) -> tuple[Path, list[dict]]:
        """Ask the teachers of a config."""
        command = ['tools/cache_teacher.py', job.config, '--out', folder]
        if job.options:
            results = self.results(job)
            command += ['--cfg-options', *(fill(o, results) for o in job.options)]
        self.call(command, folder / 'cache.log')
        return folder, []

    def run_probe(self, job: Job, folder: Path) -> tuple[Path, list[dict]]:
        """Probe the frozen features of a student."""
        results, out = self.results(job), folder / 'records.json'
        self.call(
            [
                'tools/probe.py',
                job.config,
                fill(job.checkpoint, results),
                *(fill(a, results) for a in job.arguments),
                '--seeds',
                job.seed,
                '--out',
                out,
            ],
            folder / 'probe.log',
        )
        records = json.loads(out.read_text())
        return out, [dict(record, name=job.step) for record in records]

    def call(self, command: Sequence, log: Path) -> None:
        """Run a tool; all that it prints goes to ``log``.

        Raises:
            JobFailed: With the last line that it printed.
        """
        tool, *rest = map(str, command)
        if self.stopped:
            raise JobFailed('stopped before it was started')
        claim = self.claims[log.parent]
        self.say('$ ' + shlex.join(['python', tool, *rest]))
        with open(log, 'w') as file:
            process = subprocess.Popen(
                [sys.executable, ROOT / tool, *rest],
                stdout=file,
                stderr=subprocess.STDOUT,
                env=self.env,
                pass_fds=[claim],
            )
            self.processes.add(process)
            code = process.wait()
            self.processes.discard(process)
        if code:
            lines = log.read_text(errors='replace').strip().splitlines()
            raise JobFailed(f'{lines[-1] if lines else f"exit code {code}"} (log: {log})')


def run_study(
    steps: Mapping[str, Sequence[Job]],
    out: Path,
    tabulate: Callable[[list[dict]], str],
    *,
    parallel: int = 1,
) -> list[dict]:
    """Run jobs, write ``records.json`` and ``tables.md``, name failures.

    Args:
        steps: From :func:`~.study.jobs_of`.
        out: Folder of everything.
        tabulate: Makes tables of the records.
        parallel: Jobs at a time.

    Raises:
        SystemExit: The jobs can not be run there (see :class:`StudyRunner`),
            Ctrl-C was pressed, or some failed; all else is written.
    """
    try:
        runner = StudyRunner(steps, out, parallel=parallel)
    except ValueError as error:
        raise SystemExit(str(error))
    try:
        records = runner.run()
    except KeyboardInterrupt:
        raise SystemExit('Stopped. The same command goes on from here.')
    text = tabulate(records)
    write_record(out / 'records.json', records)
    write_atomic(out / 'tables.md', text.encode())
    print(f'\n{text}\nwritten to {out}: records.json, tables.md')
    if runner.failed:
        raise SystemExit('\n'.join(f'FAILED {name}: {why}' for name, why in runner.failed.items()))
    return records
