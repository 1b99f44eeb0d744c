#!/usr/bin/env python
"""Train and test a config with several seeds: mean, deviation, min and max.

The command can be stopped at any time; the same command goes on from there,
and failed runs are tried again. With --few-shot every seed runs all folds of
the published episodes (configs whose data sets are ModelNetFewshot).

Written to the work dir: a folder of each run with its log; records.json, every
result with protocol, seed, commit, and checksums of its data and its
checkpoint; tables.md.
"""

import argparse
from pathlib import Path

import mmkd3d  # noqa: F401  (stands in for what mmcv lacks, before mmdet3d)
from mmkd3d.studies.runner import run_study
from mmkd3d.studies.study import jobs_of
from mmkd3d.studies.tables import spread_table, summarize


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='example: python tools/multi_seed.py cls_pointvit-mini_1xb32-15e_psb-21 --seeds 0 1 2',
    )
    parser.add_argument('config', help='name of a shipped config, or a file')
    parser.add_argument('--seeds', nargs='+', type=int, default=(0, 1, 2))
    parser.add_argument(
        '--few-shot',
        nargs=2,
        type=int,
        metavar=('WAY', 'SHOT'),
        help='run each seed on all folds of these episodes',
    )
    parser.add_argument('--folds', type=int, default=10, help='of --few-shot (default 10)')
    parser.add_argument(
        '--best-on-test',
        action='store_true',
        help='test the epoch that is best on the test set, not the last one: '
        'optimistic, for comparison with papers that do so; the results are '
        'called that',
    )
    parser.add_argument(
        '--allow-shared-shapes',
        action='store_true',
        help='go on where the student was pretrained on test shapes, and say so',
    )
    parser.add_argument('--work-dir', type=Path, help='default: work_dirs/multi_seed/CONFIG')
    parser.add_argument('--jobs', type=int, default=1, help='runs at a time (default 1)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=(),
        help='settings to override, as key=value with dots inside key',
    )
    return parser.parse_args(argv)


def steps_of(args) -> dict[str, dict]:
    """The one step, or one for each fold."""
    name = Path(args.config).stem
    step = dict(
        train=args.config,
        test=True,
        best=args.best_on_test,
        allow_shared_shapes=args.allow_shared_shapes,
        options=args.cfg_options,
    )
    if args.few_shot is None:
        return {name: step}
    way, shot = args.few_shot
    chosen = 'best epoch on the test set' if args.best_on_test else ('last epoch')
    return {
        f'{name}/fold_{fold}': dict(
            step,
            protocol=f'{way}-way {shot}-shot, {chosen}',
            extra=extra,
            options=[
                *args.cfg_options,
                *(
                    f'{half}_dataloader.dataset.{key}={value}'
                    for half in ('train', 'val', 'test')
                    for key, value in extra
                ),
            ],
        )
        for fold in range(args.folds)
        for extra in [(('way', way), ('shot', shot), ('fold', fold))]
    }


def check_episodes(args) -> None:
    """``ValueError`` if ``--few-shot`` asks for what the config has not."""
    if args.folds < 1:
        raise ValueError(f'--folds is 1 or more, got {args.folds}.')
    plain = dict(train=args.config, options=args.cfg_options)
    ((job,),) = jobs_of(dict(steps=dict(plain=plain))).values()
    cfg = job.load_config({})
    for half in ('train', 'val', 'test'):
        dataset = (cfg.get(f'{half}_dataloader') or {}).get('dataset') or {}
        if not {'way', 'shot', 'fold'} <= set(dataset):
            raise ValueError(
                '--few-shot needs a config whose data sets have way, shot '
                'and fold, as those called cls_*_modelnet-fewshot; the '
                f'{half}_dataloader of {args.config} has '
                f'{dataset.get("type", "no data set")}.'
            )


def main(argv=None):
    args = parse_args(argv)
    out = args.work_dir or Path('work_dirs/multi_seed', Path(args.config).stem)
    try:
        if args.few_shot:
            check_episodes(args)
        jobs = jobs_of(dict(steps=steps_of(args), seeds=args.seeds))
    except (OSError, ValueError) as error:
        raise SystemExit(str(error))
    return run_study(
        jobs, out, lambda records: spread_table(summarize(records)), parallel=args.jobs
    )


if __name__ == '__main__':
    main()
