#!/usr/bin/env python
"""Draw what a model sees and predicts, as files; no display is needed."""
import argparse
from pathlib import Path

import mmkd3d  # noqa: F401  (stands in for what mmcv lacks, before mmdet3d)
from mmkd3d.visualization.commands import (draw_detections, draw_pretraining,
                                           draw_views)


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='example: python tools/visualize.py recon '
        'configs/toy/point-mae_toy.py work_dirs/point-mae_toy/epoch_1.pth')
    parser.add_argument(
        'what',
        choices=['recon', 'boxes', 'views'],
        help='recon: clouds of a pretraining config, what was visible and '
        'what was predicted; boxes: rooms of a detection config; views: '
        'clouds as an image teacher is shown them')
    parser.add_argument('config')
    parser.add_argument(
        'checkpoint', nargs='?', help='of the model; not for views')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/pictures'))
    parser.add_argument('--num', type=int, default=4, help='samples to draw')
    parser.add_argument(
        '--score',
        type=float,
        help='draw the boxes above this score; else as many of the best as '
        'there are true ones')
    args = parser.parse_args(argv)
    if (args.checkpoint is None) != (args.what == 'views'):
        parser.error(f'{args.what} takes ' + (
            'no checkpoint' if args.what == 'views' else 'a checkpoint'))
    if args.what == 'views':
        paths = draw_views(args.config, args.out, num=args.num)
    elif args.what == 'recon':
        paths = draw_pretraining(args.config, args.checkpoint, args.out,
                                 num=args.num)
    else:
        paths = draw_detections(args.config, args.checkpoint, args.out,
                                num=args.num, score=args.score)
    print('\n'.join(map(str, paths)))


if __name__ == '__main__':
    main()
