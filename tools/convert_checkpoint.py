#!/usr/bin/env python
"""Convert a published checkpoint to ours, or ours to a published one.

The output contains only tensors and plain metadata. From a pretraining file,
published or ours, the tool can write the student or the teacher alone.
"""

import argparse
import io
from collections import Counter
from pathlib import Path

import mmkd3d
from mmkd3d import checkpoints
from mmkd3d.apis.cli import add_trust_option
from mmkd3d.apis.errors import short_errors
from mmkd3d.checkpoints.maps import SOURCES
from mmkd3d.utils.atomic import write_atomic


def parse_args(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='examples: python tools/convert_checkpoint.py pretrain.pth '
        'point-mae.pth; python tools/convert_checkpoint.py ours.pth '
        'theirs.pth --to-published --source act',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('source_file', type=Path)
    parser.add_argument('target_file', type=Path)
    parser.add_argument(
        '--source',
        choices=sorted(SOURCES),
        metavar='SOURCE',
        help='kind of the published file; default: recognised by its keys. '
        f'One of {", ".join(sorted(SOURCES))}',
    )
    parser.add_argument(
        '--to-published', action='store_true', help='convert ours to the keys of --source'
    )
    part = parser.add_mutually_exclusive_group()
    part.add_argument(
        '--without-teacher',
        dest='part',
        action='store_const',
        const='student',
        help='write only the student of a pretraining (stage II) file',
    )
    part.add_argument(
        '--teacher-only',
        dest='part',
        action='store_const',
        const='teacher',
        help='write only the teacher of a stage II file of ACT, as a stage I file',
    )
    part.add_argument(
        '--backbone-only',
        dest='part',
        action='store_const',
        const='backbone',
        help='write only the student of any file, with the keys of a backbone, '
        "for init_cfg in our and mmdetection3d's configs",
    )
    add_trust_option(parser)
    args = parser.parse_args(argv)
    if args.to_published and args.source is None:
        parser.error('--to-published needs --source, the kind to write.')
    return args


def read_ours(args) -> tuple[dict, dict]:
    """Our state dict of the file that is read, and its metadata."""
    checkpoint = checkpoints.read_checkpoint(args.source_file, trust=args.trust_checkpoint)
    state = checkpoints.state_dict_of(checkpoint)
    found = checkpoints.detect(state)
    if args.to_published and found:
        raise ValueError(f'{args.source_file} is a published file already: {found}.')
    source = None if args.to_published else args.source or found
    if source is not None:
        return checkpoints.convert(state, source)
    if not (args.to_published or args.part):
        raise ValueError(
            f'{args.source_file} is none of the published files that are '
            f'known: {", ".join(SOURCES)}. Its keys start with '
            f'{", ".join(list(state)[:5])}.'
        )
    meta = checkpoint.get('meta') or {}
    return state, dict(
        source=meta.get('source'),
        stage=checkpoints.stage_of(state),
        dropped=[],
        input_spec=checkpoints.stored_spec(checkpoint)._asdict(),
    )


def take_part(state: dict, meta: dict, part: str) -> tuple[dict, dict]:
    """The student or the teacher of a pretraining file."""
    student, teacher = checkpoints.split_teacher(state)
    if not (student and teacher):
        raise ValueError(
            'Only a pretraining file that holds its teacher can be split; the '
            f'keys of this one start with {", ".join(list(state)[:5])}. To '
            'convert it as a whole, leave out --without-teacher and '
            '--teacher-only; to write the student alone, use --backbone-only.'
        )
    if part == 'student':
        return student, dict(meta, part=part)
    if checkpoints.stage_of(teacher) != 'teacher':
        raise ValueError(
            'The teachers in this file are networks for images and texts, no '
            'stage I file: their own files are of more use.'
        )
    return teacher, dict(meta, part=part, stage='teacher')


def publish(state: dict, source: str) -> tuple[dict, dict]:
    """The published state dict, and metadata that lists what it lacks."""
    published = checkpoints.to_published(state, source)
    dropped = [key for key in state if checkpoints.published_name(key, source) is None]
    return published, dict(source=source, stage=SOURCES[source].stage, dropped=dropped)


@short_errors()
def main(argv=None):
    args = parse_args(argv)
    entry = 'state_dict'
    if args.part == 'backbone':
        out = checkpoints.export_backbone(
            args.source_file, args.target_file, trust=args.trust_checkpoint
        )
        print(f'{args.source_file} -> {out} (backbone)')
        return
    state, meta = read_ours(args)
    if args.part:
        state, meta = take_part(state, meta, args.part)
    if args.to_published:
        entry = SOURCES[args.source].entry
        state, meta = publish(state, args.source)
    meta['mmkd3d_version'] = mmkd3d.__version__
    import torch

    file = io.BytesIO()
    torch.save({entry: state, 'meta': meta}, file)
    write_atomic(args.target_file, file.getbuffer())
    parts = Counter(key.split('.')[0] for key in state)
    print(
        f'{args.source_file} -> {args.target_file} '
        f'({meta["source"] or "ours"}, {meta["stage"]}, under {entry!r})'
    )
    print(f'  converted {len(state)}: {", ".join(f"{k} {n}" for k, n in parts.items())}')
    if meta['dropped']:
        print(f'  dropped   {len(meta["dropped"])}: {", ".join(meta["dropped"])}')


if __name__ == '__main__':
    main()
