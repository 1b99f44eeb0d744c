#!/usr/bin/env python
"""Draw inputs and predictions of a model to files; no display is needed."""

import argparse
from pathlib import Path

from mmkd3d.apis.cli import add_options, config_file, read_options
from mmkd3d.apis.errors import short_errors

NO_CHECKPOINT = ('views', 'teacher', 'frames')


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='example: python tools/visualize.py recon '
        'configs/toy/point-mae_toy.py work_dirs/point-mae_toy/epoch_1.pth',
    )
    parser.add_argument(
        'what',
        choices=['recon', 'boxes', 'views', 'mask', 'teacher', 'frames'],
        help='recon: visible and predicted points of a pretraining config; boxes: rooms with '
        'boxes of a detection config; views: images as the image teacher of the config reads them; mask: masked '
        'and visible patches, their saliency, and the prediction; teacher: features and '
        'saliency of the teacher of I2P-MAE or of a SaliencyMasker; frames: features of the '
        'teacher of a DistillationHook on scans',
    )
    parser.add_argument('config', type=config_file, help='name of a shipped config, or a file')
    parser.add_argument(
        'checkpoint',
        nargs='?',
        help="checkpoint of the model; not for views, teacher and frames; 'none' for mask draws "
        'no prediction',
    )
    parser.add_argument('--out', type=Path, default=Path('work_dirs/pictures'))
    parser.add_argument('--num', type=int, default=4, help='samples to draw')
    parser.add_argument(
        '--data',
        help='for mask and teacher: npz file with an array points, or a config with a data set; '
        "default: the config's data set",
    )
    add_options(parser)
    parser.add_argument(
        '--score',
        type=float,
        help='draw boxes above this score; default: the best ones, as many as there are true boxes',
    )
    args = parser.parse_args(argv)
    if args.what == 'mask':
        if args.checkpoint == 'none':
            args.checkpoint = None
    elif (args.checkpoint is None) != (args.what in NO_CHECKPOINT):
        parser.error(
            f'{args.what} takes no checkpoint'
            if args.checkpoint
            else f'{args.what} needs a checkpoint'
        )
    if args.data and args.what not in ('mask', 'teacher'):
        parser.error(f'{args.what} draws the data of its config: no --data')
    return args


@short_errors()
def main(argv=None):
    args = parse_args(argv)

    # imported here: --help needs none of them
    from mmkd3d.apis.load import find_config
    from mmkd3d.visualization.masking import draw_masks, draw_teacher
    from mmkd3d.visualization.posed_frames import draw_frames
    from mmkd3d.visualization.pretraining import draw_pretraining
    from mmkd3d.visualization.scenes import draw_detections
    from mmkd3d.visualization.teacher_views import draw_views

    args.config = find_config(args.config)
    args.config.merge_from_dict(read_options(args.cfg_options))
    if args.what == 'views':
        paths = draw_views(args.config, args.out, num=args.num)
    elif args.what == 'frames':
        paths = draw_frames(args.config, args.out, num=args.num)
    elif args.what == 'teacher':
        paths = draw_teacher(args.config, args.out, data=args.data, num=args.num)
    elif args.what == 'mask':
        paths = draw_masks(args.config, args.checkpoint, args.out, data=args.data, num=args.num)
    elif args.what == 'recon':
        paths = draw_pretraining(args.config, args.checkpoint, args.out, num=args.num)
    else:
        paths = draw_detections(
            args.config, args.checkpoint, args.out, num=args.num, score=args.score
        )
    print('\n'.join(map(str, paths)))


if __name__ == '__main__':
    main()
