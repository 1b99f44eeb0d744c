#!/usr/bin/env python
"""Train and test a config with several seeds: mean, deviation, min and max.

You can stop the command at any time; run it again to continue. Failed runs
are tried again. With --few-shot, every seed runs all folds of the published
episodes (configs whose data sets are ModelNetFewShot).

The work dir holds a folder for each run with its logs, records.json (every
result with protocol, seed, commit, and checksums of data and checkpoint) and
tables.md.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import mmkd3d
from mmkd3d.apis.cli import key_value, read_options
from mmkd3d.apis.config_files import config_path
from mmkd3d.apis.jobs import lock_folder, pass_stop_on, run_tool
from mmkd3d.checkpoints.shipped import find_checkpoint
from mmkd3d.evaluation.records import (
    check_seeds,
    make_record,
    spread_table,
    summarize,
    write_record,
)
from mmkd3d.utils.atomic import write_atomic
from mmkd3d.utils.hashes import file_digest, text_digest

if TYPE_CHECKING:
    from mmengine.config import Config

TIMES = ('time', 'data_time')  # mmengine reports them beside the metrics


class Run(NamedTuple):
    """One seed of one fold.

    Attributes:
        folder: Of logs and checkpoints. A checksum of the settings in its
            name keeps runs with other settings apart.
        seed: Random seed.
        options: Of ``--cfg-options``.
        started_from: Checkpoints from which the model starts.
        extra: Further fields of the record: way, shot, fold.
    """

    folder: Path
    seed: int
    options: list[str]
    started_from: list[str]
    extra: dict[str, int]


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
    parser.add_argument('--folds', type=int, default=10, help='folds of --few-shot (default 10)')
    parser.add_argument(
        '--best-on-test',
        action='store_true',
        help='test the epoch that is best on the test set instead of the last one. This is '
        'optimistic; use it to compare with papers that do so. The results are labelled',
    )
    parser.add_argument(
        '--train-only', action='store_true', help='do not test; for pretraining configs'
    )
    parser.add_argument(
        '--curve',
        metavar='METRIC',
        help='also record this metric of every validation during the training, as METRIC@EPOCH',
    )
    parser.add_argument(
        '--allow-shared-shapes',
        action='store_true',
        help='continue if the model was pretrained on test shapes, and note it in the protocol',
    )
    parser.add_argument('--work-dir', type=Path, help='default: work_dirs/multi_seed/CONFIG')
    parser.add_argument('--jobs', type=int, default=1, help='number of parallel runs (default 1)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        type=key_value,
        help='settings to override, as key=value with dots inside key',
    )
    args = parser.parse_args(argv)
    args.work_dir = args.work_dir or Path('work_dirs/multi_seed', Path(args.config).stem)
    return args


def read_config(path: Path, options: list[str]) -> Config:
    """The config with the options of ``--cfg-options``."""
    cfg = mmkd3d.get_config(path)
    cfg.merge_from_dict(read_options(options))
    return cfg


def check(args) -> None:
    """``ValueError`` if the arguments contradict each other or the config."""
    check_seeds(args.seeds)
    for name in ('jobs', 'folds'):
        if getattr(args, name) < 1:
            raise ValueError(f'--{name} must be 1 or more, got {getattr(args, name)}.')
    for option in args.cfg_options:
        if option.startswith(('randomness=', 'randomness.seed=')):
            raise ValueError(f'{option} would give all runs the same seed: use --seeds.')
    if args.train_only and (args.few_shot or args.best_on_test or args.curve):
        raise ValueError('--train-only excludes --few-shot, --best-on-test and --curve.')
    cfg = read_config(args.config, args.cfg_options)
    needed = ['test'] * (not args.train_only) + ['val'] * bool(args.best_on_test or args.curve)
    for split in needed:
        if not cfg.get(f'{split}_dataloader'):
            raise ValueError(f'{args.config.stem} has no {split}_dataloader.')
    for split in ('train', 'val', 'test') if args.few_shot else ():
        dataset = (cfg.get(f'{split}_dataloader') or {}).get('dataset') or {}
        if not {'way', 'shot', 'fold'} <= set(dataset):
            raise ValueError(
                '--few-shot needs a config whose data sets have way, shot and fold, as the '
                f'configs cls_*_modelnet-fewshot have; the {split}_dataloader of '
                f'{args.config.stem} has {dataset.get("type", "no data set")}.'
            )


def plan(args) -> list[Run]:
    """The runs, one for each fold and seed."""
    runs = []
    for fold in range(args.folds) if args.few_shot else (None,):
        extra, options = {}, list(args.cfg_options)
        if args.few_shot:
            extra = dict(zip(('way', 'shot', 'fold'), (*args.few_shot, fold)))
            options += [
                f'{split}_dataloader.dataset.{key}={value}'
                for split in ('train', 'val', 'test')
                for key, value in extra.items()
            ]
        cfg = read_config(args.config, options)
        settings = (cfg.to_dict(), args.best_on_test, args.train_only, args.curve)
        digest = text_digest([json.dumps(settings, default=str)])[:8]
        folder = args.work_dir / f'fold_{fold}' if args.few_shot else args.work_dir
        for seed in args.seeds:
            run = folder / f'seed_{seed}-{digest}'
            runs.append(Run(run.resolve(), seed, options, checkpoints_of(cfg), extra))
    return runs


def checkpoints_of(cfg: Config) -> list[str]:
    """The checkpoints from which a model starts, each once."""
    return list(dict.fromkeys(filter(None, [*initial(cfg.model), cfg.get('load_from')])))


def initial(part: Any) -> Iterator[str | None]:
    """The checkpoint of every ``init_cfg`` in a part of a config."""
    if isinstance(part, Mapping):
        yield (part.get('init_cfg') or {}).get('checkpoint')
        part = list(part.values())
    if isinstance(part, (list, tuple)):
        for value in part:
            yield from initial(value)


def examine_data(args, run: Run) -> dict:
    """Checksums of the data, and notes for the protocol, as fields of a record.

    Test shapes in the training set are noted, because published data sets
    contain some.

    Raises:
        ValueError: The model was pretrained on test shapes, without
            ``--allow-shared-shapes``.
    """
    from mmengine.registry import init_default_scope

    from mmkd3d.datasets.identity import identify
    from mmkd3d.evaluation.held_out import HeldOut
    from mmkd3d.registry import DATASETS

    cfg = read_config(args.config, run.options)
    init_default_scope(cfg.get('default_scope', 'mmkd3d'))
    try:
        known = {
            split: identify(DATASETS.build(cfg[f'{split}_dataloader'].dataset))
            for split in ('train', 'test')
        }
    except Exception as error:  # the training may still work
        print(f'No checksum of the data: {error}')
        return dict(notes=[], data_hash=None)
    notes = [HeldOut(known['test'], allow=True).compare(known['train'], 'the training set')]
    held_out = HeldOut(known['test'], allow=args.allow_shared_shapes)
    notes += map(held_out.compare_pretraining, run.started_from)
    return dict(
        notes=list(filter(None, notes)),
        data_hash={split: found.hash for split, found in known.items()},
    )


def do_run(args, run: Run, data: dict, lock: int) -> dict:
    """Train and test; returns the record, and writes it to ``record.json``."""
    from mmkd3d.engine.resume import final_checkpoint

    folder, start = run.folder, time.time()
    options = ['--cfg-options', f'randomness.seed={run.seed}', *run.options]
    best = ['default_hooks.checkpoint.save_best=auto'] * args.best_on_test
    train = [args.config, '--work-dir', folder]
    shared = dict(lock=lock, jobs=args.jobs)
    run_tool('train.py', *train, '--resume', *options, *best, log=folder / 'train.log', **shared)
    if args.best_on_test:
        saved = sorted(folder.glob('best_*.pth'), key=lambda path: path.stat().st_mtime)
        if not saved:
            raise RuntimeError(
                f'No best_*.pth in {folder}. Set train_cfg.val_interval so that epochs are '
                'evaluated, or remove the folder to train again.'
            )
        checkpoint = saved[-1]
    else:
        checkpoint = final_checkpoint(folder, read_config(args.config, run.options))
    metrics = {}
    if not args.train_only:
        test = [args.config, checkpoint, '--work-dir', folder / 'test', *options]
        run_tool('test.py', *test, log=folder / 'test.log', **shared)
        newest = max(folder.glob('test/*/*.json'), key=lambda path: path.stat().st_mtime)
        metrics = json.loads(newest.read_text())
    if args.curve:
        metrics.update(read_curve(folder, args.curve))
    record = make_record(
        name=args.config.stem,
        protocol='; '.join((protocol_of(args), *data['notes'])),
        metrics={name: value for name, value in metrics.items() if name not in TIMES},
        seed=run.seed,
        config=args.config.stem,
        checkpoint=checkpoint,
        started_from={
            name: file_digest(path)[:16]
            for name in run.started_from
            if (path := find_checkpoint(name)).is_file()
        },
        data_hash=data['data_hash'],
        command=['python', 'tools/train.py', *train, *options],
        seconds=round(time.time() - start, 1),
        **run.extra,
    )
    write_record(folder / 'record.json', record)
    return record


def protocol_of(args) -> str:
    if args.train_only:
        return f'{args.config.stem}, training'
    chosen = 'best epoch on the test set' if args.best_on_test else 'last epoch'
    if args.few_shot:
        return '{}-way {}-shot, {}'.format(*args.few_shot, chosen)
    return f'{args.config.stem}, {chosen}'


def read_curve(folder: Path, metric: str) -> dict[str, float]:
    """``METRIC@EPOCH`` -> value, from mmengine's scalars.

    A training that was resumed has several files; the newest counts.
    """
    found = {}
    for file in sorted(folder.glob('*/vis_data/scalars.json')):
        for scalars in map(json.loads, file.read_text().splitlines()):
            if metric in scalars:
                found[int(scalars['step'])] = float(scalars[metric])
    if not found:
        raise RuntimeError(
            f'No validation in {folder} has the metric {metric}: check its name, or set '
            'train_cfg.val_interval.'
        )
    return {f'{metric}@{epoch}': found[epoch] for epoch in sorted(found)}


def do_runs(args, runs: list[Run], lock: int) -> tuple[list[dict], list[str]]:
    """Do the runs that are not finished yet.

    Returns:
        The records of finished runs, and a line for each failed run.
    """
    records, failed, data, waiting = {}, [], {}, []
    for run in runs:
        try:
            records[run.folder] = json.loads((run.folder / 'record.json').read_text())
            print(f'seed {run.seed}: finished already, {run.folder}')
        except (OSError, ValueError):  # absent or damaged
            waiting.append(run)
            if not args.train_only and tuple(run.options) not in data:
                data[tuple(run.options)] = examine_data(args, run)
    with ThreadPoolExecutor(args.jobs) as pool:
        unknown, start = dict(notes=[], data_hash=None), time.time()
        jobs = {
            pool.submit(do_run, args, run, data.get(tuple(run.options), unknown), lock): run
            for run in waiting
        }
        try:
            for number, job in enumerate(as_completed(jobs), start=1):
                run = jobs[job]
                try:
                    records[run.folder] = job.result()
                except Exception as error:  # the other runs continue
                    failed.append(f'FAILED {run.folder}: {error}')
                    print(failed[-1])
                    continue
                left = (time.time() - start) / number * (len(waiting) - number) / 60
                metrics = [f'{k} {v:.4g}' for k, v in records[run.folder]['metrics'].items()]
                print(
                    f'[{number}/{len(waiting)}] seed {run.seed}: {"; ".join(metrics[:6])} '
                    f'(about {left:.0f} min left)',
                    flush=True,
                )
        except BaseException:  # Ctrl-C reached the tools as well
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [records[run.folder] for run in runs if run.folder in records], failed


def main(argv=None):
    args = parse_args(argv)
    try:
        args.config = config_path(args.config)
        check(args)
        runs = plan(args)
        with pass_stop_on(), lock_folder(args.work_dir) as lock:
            records, failed = do_runs(args, runs, lock)
            text = spread_table(summarize(records))
            write_record(args.work_dir / 'records.json', records)
            write_atomic(args.work_dir / 'tables.md', text.encode())
    except (OSError, ValueError) as error:
        raise SystemExit(str(error))
    except KeyboardInterrupt:
        raise SystemExit('Stopped. Run the same command again to continue.')
    if any(record['metrics'] for record in records):
        print(f'\n{text}')
    print(f'Written to {args.work_dir}: records.json, tables.md')
    if failed:
        raise SystemExit('\n'.join(failed))
    return records


if __name__ == '__main__':
    main()
