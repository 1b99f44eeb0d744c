#!/usr/bin/env python
"""Precompute teacher features once, then train without the teacher.

Every target of the model (model.targets.NAME, or model.target) gets a cache in
OUT/NAME. Text: all categories or captions of the training set, in all prompts.
Images: all views of every shape. These must not change between epochs: random views
and random steps before KeepViewPoints raise an error. Where a recipe augments
what the teacher sees (images with AugmentRendering, or clouds for a
DenseTarget), --copies K or --max-gb X caches K augmented copies of every shape,
and training draws one of them in every step. For a config with a DistillationHook: the feature maps of all
posed frames of the hook.

You can stop the command at any time and resume with the same command. A cache
is refused if the teacher (compared by a checksum of its weights), the renderer,
augmentation or prompts, or the data differ: rebuild it with --rebuild. The command prints
the options that train with the caches.
"""

import argparse
from pathlib import Path

from mmkd3d.apis.cli import add_options, config_file, read_options
from mmkd3d.apis.errors import short_errors


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='example: python tools/cache_teacher.py '
        'recon-mini_1xb16-20k_psb\n'
        'augmented: python tools/cache_teacher.py i2p-mae-b_1xb64-300e_shapenet55 --max-gb 200\n'
        'then: python tools/train.py CONFIG --cfg-options '
        'model.targets.img.cache=FOLDER model.targets.text.cache=FOLDER',
    )
    parser.add_argument('config', type=config_file, help='name of a shipped config, or a file')
    parser.add_argument(
        '--out', type=Path, help='folder of the caches; default work_dirs/teacher_cache/CONFIG'
    )
    parser.add_argument(
        '--only',
        nargs='+',
        default=(),
        metavar='NAME',
        help='targets or hooks to cache, such as img or text; default: all',
    )
    parser.add_argument(
        '--dtype',
        choices=('float32', 'float16'),
        help='type of the stored features; float16 takes half the space and changes the loss '
        'slightly; default: float16 for the maps of a DenseTarget, else float32',
    )
    parser.add_argument(
        '--copies', type=int, metavar='K', help='augmented copies of every shape to cache'
    )
    parser.add_argument(
        '--max-gb',
        type=float,
        metavar='X',
        help='largest size of the augmented copies, in 1e9 bytes; without --copies as many as fit',
    )
    parser.add_argument(
        '--batch-size', type=int, default=64, help='samples or texts per forward pass of a teacher'
    )
    parser.add_argument('--device', help='device of the teachers, such as cpu')
    parser.add_argument('--rebuild', action='store_true', help='remove existing caches first')
    add_options(parser)
    return parser.parse_args(argv)


@short_errors()
def main(argv=None):
    args = parse_args(argv)

    # imported here: --help needs neither
    from mmkd3d.apis.load import find_config
    from mmkd3d.apis.teacher_cache import cache_targets

    config = find_config(args.config)
    config.merge_from_dict(read_options(args.cfg_options))
    out = args.out or Path('work_dirs', 'teacher_cache', args.config.stem)
    folders = cache_targets(
        config,
        out,
        only=args.only,
        dtype=args.dtype,
        copies=args.copies,
        max_gb=args.max_gb,
        batch_size=args.batch_size,
        rebuild=args.rebuild,
        device=args.device,
    )
    options = ' '.join(f'{option}={folder}' for option, folder in folders.items())
    print(f'Train with:\n  --cfg-options {options}')
    return folders


if __name__ == '__main__':
    main()
