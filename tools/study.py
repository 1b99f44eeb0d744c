#!/usr/bin/env python
"""Reproduce a results table with one resumable command.

A study is a config file (see tools/studies/) with seeds, steps and tables::

    seeds = (0, 1, 2)
    steps = {
        'cache': dict(cache='recon-mini_1xb16-20k_psb', seeds=(0,)),
        'point-mae': dict(train='point-mae_pointvit-mini_1xb16-20k_psb'),
        'finetune': dict(
            train='cls_pointvit-mini_1xb32-15e_psb-21', test=True,
            options=['model.backbone.init_cfg.checkpoint={point-mae}']),
        'probe': dict(
            probe='point-mae_pointvit-mini_1xb16-20k_psb', checkpoint='{point-mae}',
            arguments=['--data', 'shapes.npz', ...]),
    }
    tables = [dict(title='...', rows={'Point-MAE': 'finetune'},
                   columns={'acc/overall': 'overall'})]

A step runs tools/multi_seed.py, tools/cache_teacher.py or tools/probe.py once
for each seed, with its options (--cfg-options) and further arguments. {seed} in
them is the seed. {NAME} is the result of that step: the last checkpoint of a
training ({NAME@iter_2500}: an earlier one), or the folder of a cache. It has the
same seed, or the only one of that step.

With against={'Point-MAE': 'scratch'}, a table has the mean paired difference of these
rows over the seeds, with its 95 % interval (Student's t).

doit runs the steps. You can stop the command at any time; run it again to
continue: finished steps are skipped, a training resumes from its last
checkpoint, failed steps are named and tried again. A step with other settings
is another run, in another folder.

OUT holds a folder for each run with its log, records.json (every result with
protocol, seed, commit, and checksums of data and checkpoint), tables.md, and
a plot of each curve. --page also writes the tables below the headings of a page
that have their titles. --records keeps results without OUT: what is in that
file is not run again, and what is new is added to it.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import mmkd3d
from mmkd3d.apis.config_files import config_path
from mmkd3d.apis.jobs import lock_folder, pass_stop_on, run_tool
from mmkd3d.checkpoints import list_students
from mmkd3d.checkpoints.shipped import find_checkpoint
from mmkd3d.evaluation.records import check_seeds, write_record
from mmkd3d.evaluation.tables import draw_curve, fill_page, write_tables
from mmkd3d.utils.atomic import write_atomic
from mmkd3d.utils.hashes import file_digest, text_digest

if TYPE_CHECKING:
    from mmengine.config import Config

STEP = {  # kind -> its other fields
    'train': {'seeds', 'test', 'options', 'arguments'},
    'cache': {'seeds', 'options', 'arguments'},
    'probe': {'seeds', 'checkpoint', 'arguments'},
}
TABLE = {'title', 'rows', 'columns', 'scale', 'against', 'curve', 'curve_is', 'steps_per_epoch'}
PLACE = re.compile(r'\{([\w./-]+)(@[\w]+)?\}')


@dataclass
class Job:
    """A step with one seed.

    Attributes:
        step: Name of the step.
        seed: Of everything random in it.
        kind: A key of ``STEP``, or ``'given'`` for an existing result.
        config: Path of the config.
        words: Arguments of the tool, with placeholders.
        needs: The jobs whose results replace the placeholders.
        settings: Checksum of everything above.
        folder: Of logs and results; or the existing result.
        kept: Its results in the file of ``--records``.
    """

    step: str
    seed: int
    kind: str
    config: Path
    words: list[str]
    needs: dict[str, Job]
    settings: str
    folder: Path
    kept: Sequence[dict] = ()

    @property
    def name(self) -> str:
        return f'{self.step}/seed_{self.seed}'

    @property
    def result(self) -> Path:
        """What a placeholder stands for."""
        return Path(self.records()[0]['checkpoint']) if self.kind == 'train' else self.folder

    def _fill(self, place: re.Match) -> str:
        """What a placeholder stands for."""
        result = self.needs[place[1]].result
        return str(result.with_stem(place[2][1:]) if place[2] else result)

    def is_done(self) -> bool:
        done = self.kind == 'given' or (self.folder / 'done').is_file()
        return done or bool(self.kept)

    def records(self) -> list[dict]:
        """Its results; empty for a cache or a given result."""
        file = self.folder / 'records.json'
        found = json.loads(file.read_text()) if file.is_file() else self.kept
        return [dict(record, name=self.step, settings=self.settings) for record in found]

    def run(self, lock: int, jobs: int) -> None:
        """Run the tool; see :func:`run_tool`."""
        words = [PLACE.sub(self._fill, word) for word in self.words]
        if self.kind == 'train':
            where = ['multi_seed.py', self.config, '--work-dir', self.folder, '--seeds', self.seed]
        elif self.kind == 'cache':
            where = ['cache_teacher.py', self.config, '--out', self.folder]
        else:
            out = self.folder / 'records.json'
            where = ['probe.py', self.config, words.pop(0), '--out', out, '--seeds', self.seed]
        run_tool(*where, *words, log=self.folder / 'log.txt', lock=lock, jobs=jobs)
        (self.folder / 'done').touch()


def load_study(path: str) -> Config:
    """Read a study; ``ValueError`` if it is wrong."""
    study = mmkd3d.get_config(path)
    study.setdefault('seeds', (0,))
    study.setdefault('tables', [])
    if not study.get('steps'):
        raise ValueError(f'{path} has no steps: expected steps=dict(NAME=dict(train=CONFIG), ...).')
    for name, step in study.steps.items():
        kinds = [kind for kind in STEP if kind in step]
        if len(kinds) != 1:
            raise ValueError(f'Step {name!r} needs exactly one of {[*STEP]}, got {[*step]}.')
        unknown = set(step) - STEP[kinds[0]] - {*kinds}
        if unknown:
            raise ValueError(
                f'Step {name!r} has unknown fields {sorted(unknown)}; {kinds[0]} has '
                f'{sorted(STEP[kinds[0]])}.'
            )
        check_seeds(step.get('seeds', study.seeds))
    for table in study.tables:
        if not {'title', 'rows'} <= set(table) <= TABLE:
            raise ValueError(
                f'A table has title, rows and, if needed, {sorted(TABLE)}; got {[*table]}.'
            )
        lost = set(table.rows.values()) - set(study.steps)
        if lost:
            raise ValueError(f'The table {table.title!r} names unknown steps: {sorted(lost)}.')
        against = table.get('against', {})
        lost = {*against, *against.values()} - set(table.rows)
        if lost:
            raise ValueError(f'against of {table.title!r} names unknown rows: {sorted(lost)}.')
    return study


@functools.cache
def read_config(target: str) -> tuple[Path, Config]:
    path = config_path(target)
    return path, mmkd3d.get_config(path)


@functools.cache
def shipped_digest(name: str) -> str:
    """Checksum of a shipped student: another one of that name gives other results."""
    return file_digest(find_checkpoint(name)) if name in list_students() else ''


def make_jobs(
    study: Config, out: Path, *, only: Sequence[str] = (), given: Mapping[str, str] | None = None
) -> list[Job]:
    """The jobs, each after those that it needs; all steps with the first seed first.

    Args:
        study: From :func:`load_study`.
        out: Folder of everything.
        only: Beginnings of the names of the steps to run; empty for all.
            Steps that they need are included.
        given: Step -> existing result, a path that may contain ``{seed}``.

    Raises:
        FileNotFoundError: A given result does not exist.
        ValueError: Unknown steps, steps that need each other in a circle or
            with another seed, a test without a test set.
    """
    given, jobs = given or {}, {}
    wanted = [name for name in study.steps if name.startswith(tuple(only) or '')]
    known = [name for name in study.steps if name.startswith((*only, *given))]
    lost = [name for name in only if not any(step.startswith(name) for step in known)]
    lost += [name for name in given if name not in known]
    if lost:
        raise ValueError(f'No step starts with {lost[0]!r}; there are {[*study.steps]}.')

    def add(name: str, seed: int, above: tuple[str, ...] = ()) -> Job:
        if name in above:
            raise ValueError(f'Steps need each other: {" -> ".join((*above, name))}.')
        if name not in study.steps:
            raise ValueError(f'{above[-1]} needs {{{name}}}; there are {[*study.steps]}.')
        step = study.steps[name]
        seeds = step.get('seeds', study.seeds)
        if seed not in seeds and len(seeds) > 1:
            raise ValueError(
                f'{above[-1]} needs {name} with seed {seed}, which has only the seeds {seeds}.'
            )
        seed = seed if seed in seeds else seeds[0]
        if (name, seed) not in jobs:
            jobs[name, seed] = make(name, seed, step, (*above, name))
        return jobs[name, seed]

    def make(name: str, seed: int, step: Mapping, above: tuple[str, ...]) -> Job:
        kind = next(kind for kind in STEP if kind in step)
        path, cfg = read_config(step[kind])
        if step.get('test') and not cfg.get('test_dataloader'):
            raise ValueError(f'{name} has test=True, but {path.stem} has no test_dataloader.')
        words = [step.get('checkpoint', 'none')] if kind == 'probe' else []
        words += step.get('arguments', ())
        if kind == 'train' and not step.get('test'):
            words.append('--train-only')
        if step.get('options'):
            words += ['--cfg-options', *step.options]
        words = [str(word).replace('{seed}', str(seed)) for word in words]
        if name in given:
            result = Path(given[name].replace('{seed}', str(seed))).resolve()
            if not result.exists():
                raise FileNotFoundError(f'--checkpoint {name}: {result} does not exist.')
            return Job(name, seed, 'given', path, [], {}, str(result), result)
        needs = {need: add(need, seed, above) for need, _ in PLACE.findall(' '.join(words))}
        text = [kind, str(seed), *words, json.dumps(cfg.to_dict(), default=str)]
        here = os.environ.get('MMKD3D_DATA', 'data')  # the same data elsewhere are the same run
        settings = text_digest(
            [part.replace(here, 'data') for part in text]
            + [need.settings for need in needs.values()]
            + [shipped_digest(word.rpartition('=')[2]) for word in words]
        )
        folder = out / name / f'seed_{seed}-{settings[:8]}'
        return Job(name, seed, kind, path, words, needs, settings, folder)

    for seed in dict.fromkeys(s for n in wanted for s in study.steps[n].get('seeds', study.seeds)):
        for name in wanted:
            if seed in study.steps[name].get('seeds', study.seeds):
                add(name, seed)
    return list(jobs.values())


def keep_results(jobs: Sequence[Job], results: Sequence[dict]) -> None:
    """Give jobs the results of runs with the same settings, which need not be repeated.

    Not to jobs that others need: they use the files, which are not in the results.
    """
    needed = {need.name for job in jobs for need in job.needs.values()}
    for job in jobs:
        if job.name not in needed:
            job.kept = [result for result in results if result['settings'] == job.settings]


def without_idle(jobs: Sequence[Job], only: Sequence[str]) -> list[Job]:
    """The jobs that somebody wants: by ``only``, or for a job that is not done."""
    kept: set[str] = set()

    def keep(job: Job) -> None:
        kept.add(job.name)
        for need in () if job.is_done() else job.needs.values():
            keep(need)

    for job in jobs:
        if job.step.startswith(tuple(only) or ''):
            keep(job)
    return [job for job in jobs if job.name in kept]


def add_results(results: Sequence[dict], records: Sequence[dict]) -> list[dict]:
    """Results with those of new runs, each as its step, seed, settings, metrics and commit."""
    keys = ('name', 'seed', 'method', 'metrics', 'settings', 'commit', 'date')
    new = [{k: r[k] for k in keys if k in r} for r in records if r['metrics']]
    for record in new:
        record['metrics'] = {k: round(v, 4) for k, v in record['metrics'].items()}
    again = {record['settings'] for record in new}
    return [r for r in results if r['settings'] not in again] + new


def run_jobs(jobs: Sequence[Job], out: Path, *, parallel: int = 1) -> dict[str, str]:
    """Run what is not done yet with doit; returns name -> error of failed jobs."""
    from doit.cmd_base import ModuleTaskLoader
    from doit.doit_cmd import DoitMain
    from doit.exceptions import TaskFailed

    failed = {}

    def action(job: Job):
        try:
            job.run(lock, parallel)
        except (OSError, RuntimeError) as error:
            failed[job.name] = str(error)
            return TaskFailed(str(error))
        done = sum(job.is_done() for job in jobs)
        print(f'[{done}/{len(jobs)}] {job.name} is done: {job.folder}', flush=True)

    def task_study() -> Iterator[dict]:
        for job in jobs:
            yield dict(
                basename=job.name,
                actions=[(action, [job])],
                task_dep=[need.name for need in job.needs.values() if need in jobs],
                uptodate=[job.is_done],
                io=dict(capture=False),
                verbosity=2,
            )

    settings = dict(dep_file=str(out / '.doit.json'), backend='json')
    loader = ModuleTaskLoader(dict(task_study=task_study, DOIT_CONFIG=settings))
    command = ['run', '--continue', '--process', str(parallel), '--parallel-type', 'thread']
    with pass_stop_on(), lock_folder(out) as lock:
        DoitMain(loader).run(command)
    return failed


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='example: python tools/study.py tools/studies/students.py --jobs 2',
    )
    parser.add_argument('study', help='file of the study')
    parser.add_argument('--out', type=Path, help='default: work_dirs/studies/STUDY')
    parser.add_argument('--jobs', type=int, default=1, help='number of parallel runs (default 1)')
    parser.add_argument(
        '--only',
        nargs='+',
        default=(),
        metavar='STEP',
        help='run only these steps (names or prefixes) and the steps that they depend on',
    )
    parser.add_argument('--seeds', nargs='+', type=int, help="replace the study's seeds")
    parser.add_argument(
        '--checkpoint',
        nargs='+',
        default=(),
        metavar='STEP=PATTERN',
        help='existing results of steps, such as point-mae=out/pm_{seed}/epoch_30.pth',
    )
    parser.add_argument(
        '--records', type=Path, metavar='FILE', help='results that are kept: read, and added to'
    )
    parser.add_argument('--page', type=Path, help='Markdown page whose tables are replaced')
    parser.add_argument('--list', action='store_true', help='list the runs without running them')
    args = parser.parse_args(argv)
    if args.jobs < 1:
        parser.error(f'--jobs must be 1 or more, got {args.jobs}.')
    wrong = [pair for pair in args.checkpoint if '=' not in pair]
    if wrong:
        parser.error(f'--checkpoint takes STEP=PATTERN, got {wrong[0]!r}.')
    return args


def main(argv=None):
    args = parse_args(argv)
    out = (args.out or Path('work_dirs/studies', Path(args.study).stem)).resolve()
    given = dict(pair.split('=', 1) for pair in args.checkpoint)
    try:
        study = load_study(args.study)
        if args.seeds:
            check_seeds(args.seeds)
            study.seeds = args.seeds
        jobs = make_jobs(study, out, only=args.only, given=given)
        # earlier results of other steps stay in records and tables
        known = make_jobs(study, out, given=given) if args.only else jobs
        kept = args.records and args.records.is_file()
        results = json.loads(args.records.read_text()) if kept else []
        keep_results(known, results)
        keep_results(jobs, results)
        jobs = without_idle(jobs, args.only)
        if args.list:
            for job in jobs:
                needs = ''.join(f', needs {need.name}' for need in job.needs.values())
                done = ', done' * job.is_done()
                print(f'{job.name}: {job.kind} {job.config.stem}{needs}{done}')
            return
        failed = run_jobs(jobs, out, parallel=args.jobs)
    except (OSError, ValueError) as error:
        raise SystemExit(str(error))
    except KeyboardInterrupt:
        raise SystemExit('Stopped. Run the same command again to continue.')
    records = [record for job in known if job.is_done() for record in job.records()]
    for number, table in enumerate(study.tables):
        if 'curve' in table:
            draw_curve(table, records, out / f'curve_{number}.svg')
    text = write_tables(study.tables, records)
    write_record(out / 'records.json', records)
    write_atomic(out / 'tables.md', text.encode())
    if args.records:  # a result a line, for readable differences
        lines = ',\n'.join(map(json.dumps, add_results(results, records)))
        write_atomic(args.records, f'[{lines}]\n'.encode())
    if args.page:
        write_atomic(args.page, fill_page(args.page.read_text(), text).encode())
    print(f'\n{text}\nwritten to {out}: records.json, tables.md')
    lost = [job.name for job in jobs if not job.is_done()]
    if lost:
        raise SystemExit(
            '\n'.join(f'FAILED {name}: {failed.get(name, "a step that it needs")}' for name in lost)
        )


if __name__ == '__main__':
    main()
