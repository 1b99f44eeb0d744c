#!/usr/bin/env python
"""Ask the teachers of a pretraining config once, and keep what they say.

Every target of the model (model.targets.NAME, or model.target) gets a cache in OUT/NAME. Text:
all categories or captions of the training set, in all prompts. Images: all
views of every shape. They must be the same every time: random views,
AugmentRendering without train=False, and random steps before KeepViewPoints
are refused. Of a config with a DistillationHook: the teacher's maps of all
posed frames of the hook.

The command can be stopped at any time; the same command goes on from there.
A cache knows the teacher (with a checksum of its weights), the renderer or
the prompts, and the data it was made of, and is refused where one differs:
then --rebuild. What is printed at the end is what the training needs.
"""

import argparse
from pathlib import Path

from mmengine.config import Config, DictAction

import mmkd3d
from mmkd3d.apis.frame_cache import cache_frames, hooks_with_frames
from mmkd3d.apis.teacher_cache import cache_targets


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='example: python tools/cache_teacher.py '
        'recon_pt-t_1xb64-30e_psb\n'
        'then: python tools/train.py CONFIG --cfg-options '
        'model.targets.img.cache=FOLDER model.targets.text.cache=FOLDER',
    )
    parser.add_argument('config', help='name of a shipped config, or a file')
    parser.add_argument(
        '--out', type=Path, help='folder of the caches; default work_dirs/teacher_cache/CONFIG'
    )
    parser.add_argument(
        '--only',
        nargs='+',
        default=(),
        metavar='NAME',
        help='targets, or hooks, to cache, such as img or text; default: all',
    )
    parser.add_argument(
        '--dtype',
        choices=('float32', 'float16'),
        default='float32',
        help='of the storage; float16 takes half the space and changes the loss a little',
    )
    parser.add_argument(
        '--batch-size',
        type=int,
        default=64,
        help='samples, or texts, that a teacher reads at a time',
    )
    parser.add_argument('--device', help='of the teachers, such as cpu')
    parser.add_argument('--rebuild', action='store_true', help='remove what is there first')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='settings to override, as key=value with dots inside key',
    )
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    config = (
        Config.fromfile(args.config)
        if args.config.endswith('.py')
        else mmkd3d.get_config(args.config)
    )
    if args.cfg_options:
        config.merge_from_dict(args.cfg_options)
    out = args.out or Path('work_dirs', 'teacher_cache', Path(args.config).stem)
    options = dict(
        only=args.only,
        dtype=args.dtype,
        batch_size=args.batch_size,
        rebuild=args.rebuild,
        device=args.device,
    )
    try:
        if hooks_with_frames(config, args.only):
            folders = cache_frames(config, out, **options)
            place = 'custom_hooks.{}.target.cache'
        else:
            folders = cache_targets(config, out, **options)
            place = 'model.targets.{}.cache'
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(str(error))
    print(
        'Train with:\n  --cfg-options '
        + ' '.join(
            f'{place.format(name).replace("targets.target", "target")}={folder}'
            for name, folder in folders.items()
        )
    )
    return folders


if __name__ == '__main__':
    main()
