#!/usr/bin/env python
"""Find objects in scans of rooms: boxes as JSON, PNG, HTML and PLY.

Writes for each scan NAME.json, NAME.png, NAME.html (an interactive page),
NAME_points.ply and NAME_found.ply. Boxes are in metres, z up, in the
coordinates of the scan.
"""

import argparse
from pathlib import Path

import mmkd3d
from mmkd3d.apis.cli import add_reading_options, add_trust_option, report_bad
from mmkd3d.apis.errors import short_errors

EXAMPLES = """examples:
  python tools/infer.py scan.ply --checkpoint work_dirs/.../epoch_36.pth
  python tools/infer.py scans/ 'more/*.bin' --load-dim 6 --score 0.5 \\
      --config votenet_point-mae-pointvit-s_8xb8-36e_scannet-3d --checkpoint my.pth
  python tools/infer.py phone.ply --up y --unit 0.001 --checkpoint my.pth"""


def parse_args(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, epilog=EXAMPLES
    )
    add = parser.add_argument
    add('inputs', nargs='+', help='files, folders or patterns')
    add('--config', help='name of a shipped config, or a file; default: that of the checkpoint')
    add('--checkpoint', type=Path, required=True, help='checkpoint of the whole model')
    add('--out', type=Path, default=Path('work_dirs/boxes'))
    add('--score', type=float, default=0.3, help='minimum score of boxes')
    add('--up', choices=('x', 'y', 'z'), default='z', help='up axis of the scans')
    add(
        '--unit',
        type=float,
        default=1.0,
        help='metres per unit of the scans: 0.001 for millimetres',
    )
    add(
        '--missing',
        choices=('error', 'zero'),
        default='error',
        help='columns that the config reads and a scan lacks: raise an error, or fill with zeros',
    )
    add(
        '--columns',
        nargs='+',
        metavar='NAME',
        help='columns of files with names, e.g. x y z red green blue; default: x y z and the rest',
    )
    add('--key', help='array of npz and h5 files; default: points')
    add('--load-dim', type=int, help='columns of .bin files; default: as in the config')
    add_reading_options(parser)
    add('--batch-size', type=int, default=1)
    add('--device', help='default: a GPU if there is one')
    add('--no-pictures', action='store_true', help='write only JSON')
    add_trust_option(parser)
    return parser.parse_args(argv)


@short_errors()
def main(argv=None) -> None:
    args = parse_args(argv)
    from mmkd3d.utils.detections import none_found

    bad: list[str] | None = [] if args.skip_bad else None
    inferencer = mmkd3d.Det3DInferencer(
        args.config,
        args.checkpoint,
        args.device,
        missing=args.missing,
        up=args.up,
        unit=args.unit,
        trust=args.trust_checkpoint,
    )
    results = inferencer(
        args.inputs,
        args.batch_size,
        score_threshold=args.score,
        out_dir=args.out,
        no_save_vis=args.no_pictures,
        columns=args.columns,
        key=args.key,
        load_dim=args.load_dim,
        drop_nan=args.drop_nan,
        bad=bad,
    )
    for prediction, paths in zip(results['predictions'], results['visualization']):
        boxes = f'{len(prediction["boxes"])} boxes with a score of {args.score:g} or more'
        if not prediction['boxes']:
            boxes = f'{none_found(args.score, prediction["best_score"])} (--score)'
        print(f'{prediction["name"]}: {boxes}')
        for box in prediction['boxes'][:10]:
            center, size = ('{:.2f} {:.2f} {:.2f}'.format(*box[key]) for key in ('center', 'size'))
            print(
                f'  {box["class_name"]} {box["score"]:.2f} at {center}, '
                f'size {size}, yaw {box["yaw"]:.2f}'
            )
        print('\n'.join(map(str, paths)))
    if args.skip_bad:
        report_bad(bad, args.out / 'bad.txt')


if __name__ == '__main__':
    main()
