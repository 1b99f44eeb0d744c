#!/usr/bin/env python
"""Run a study: everything behind a table of results, by one command.

A study is a file that names trainings, probes and caches, what they take from
each other, and tables (see mmkd3d/studies/study.py and tools/studies/). The
command can be stopped at any time; the same command goes on from there: what
is finished stays, a training resumes from its last checkpoint. Failed runs
are named at the end and tried again the next time.

Written to OUT: a folder of each run with its log; records.json, every result
with protocol, seed, commit, and checksums of its data and its checkpoint;
tables.md, with a picture of each curve.
"""

import argparse
from pathlib import Path

import mmkd3d  # noqa: F401  (stands in for what mmcv lacks, before mmdet3d)
from mmkd3d.studies.curves import draw_curve
from mmkd3d.studies.runner import run_study
from mmkd3d.studies.study import check_seeds, jobs_of, load_study
from mmkd3d.studies.tables import study_tables


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='example: python tools/study.py tools/studies/psb.py --jobs 2',
    )
    parser.add_argument('study', help='file of the study')
    parser.add_argument('--out', type=Path, help='default: work_dirs/studies/STUDY')
    parser.add_argument('--jobs', type=int, default=1, help='runs at a time (default 1)')
    parser.add_argument(
        '--only',
        nargs='+',
        default=(),
        metavar='STEP',
        help='steps, or starts of their names, with what they need; '
        'records.json and tables.md hold only these until the whole study is '
        'started again',
    )
    parser.add_argument('--seeds', nargs='+', type=int, help="instead of the study's")
    parser.add_argument(
        '--checkpoint',
        nargs='+',
        default=(),
        metavar='STEP=PATTERN',
        help='results that are there already, as out/pm_{seed}/epoch_30.pth',
    )
    parser.add_argument('--list', action='store_true', help='show the runs, run nothing')
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    wrong = [pair for pair in args.checkpoint if '=' not in pair]
    if wrong:
        raise SystemExit(f'--checkpoint takes STEP=PATTERN, got {wrong[0]!r}.')
    given = dict(pair.split('=', 1) for pair in args.checkpoint)
    try:
        study = load_study(args.study)
        if args.seeds:
            check_seeds(args.seeds, '--seeds')
            study.seeds = args.seeds
        steps = jobs_of(study, only=args.only, given=given)
    except (OSError, ValueError) as error:
        raise SystemExit(str(error))
    if args.list:
        for name, jobs in steps.items():
            needs = ', '.join(jobs[0].needs)
            print(
                f'{name}: {jobs[0].kind} {jobs[0].config.stem}, seeds '
                f'{[job.seed for job in jobs]}'
                + (f', needs {needs}' if needs else '')
                + (', given' if jobs[0].given else '')
            )
        return None
    out = args.out or Path('work_dirs/studies', Path(args.study).stem)

    def tabulate(records: list[dict]) -> str:
        for number, table in enumerate(study.get('tables', ())):
            if 'curve' in table:
                draw_curve(table, records, out / f'curve_{number}.svg')
        return study_tables(study, records)

    return run_study(steps, out, tabulate, parallel=args.jobs)


if __name__ == '__main__':
    main()
