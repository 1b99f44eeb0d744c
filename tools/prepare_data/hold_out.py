#!/usr/bin/env python
"""Mark other shapes of an npz file as the test half, or turn its clouds to y up.

Recipes are chosen on a split of the training half, so that the test half is not used up;
objects of scans are split by their rooms. The new file has the array ``is_test``.
"""

import argparse
from pathlib import Path

import numpy as np

from mmkd3d.apis.errors import short_errors


def parse_args(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="""examples:
  python tools/prepare_data/hold_out.py psb_1809.npz --train-half is_test --label fine --every 3 \\
      --out work_dirs/psb_train_half.npz
  python tools/prepare_data/hold_out.py scannet_objects.npz --by scene --test scene0004 scene0005 \\
      --up z --out work_dirs/scannet_rooms.npz""",
    )
    parser.add_argument('file', type=Path, help='npz file with the arrays points (S, N, C), ...')
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--train-half', metavar='KEY', help='keep the shapes where this is false')
    parser.add_argument('--label', help='array of classes, for --every')
    parser.add_argument('--every', type=int, help='hold out every so many-th shape of each class')
    parser.add_argument('--by', help='array of strings, for --test')
    parser.add_argument('--test', nargs='+', help='beginnings of the strings of the test shapes')
    parser.add_argument(
        '--up', choices=('y', 'z'), default='y', help='axis of the file that points up'
    )
    args = parser.parse_args(argv)
    if bool(args.every) == bool(args.by) or bool(args.every) != bool(args.label):
        parser.error('give --every and --label, or --by and --test')
    if bool(args.by) != bool(args.test):
        parser.error('--by and --test belong together')
    if args.every is not None and args.every < 2:
        parser.error(f'--every must be 2 or more, got {args.every}')
    if args.out.suffix != '.npz':
        parser.error(f'--out is an npz file, got {args.out}')
    return args


def held_out(arrays: dict, args) -> np.ndarray:
    """Which shapes are tests, (S,) bool."""
    if args.by:
        return np.array([str(v).startswith(tuple(args.test)) for v in arrays[args.by]])
    test = np.zeros(len(arrays['points']), dtype=bool)
    for label in np.unique(arrays[args.label]):
        index = np.flatnonzero(arrays[args.label] == label)
        test[index[args.every - 1 :: args.every]] = True
    return test


@short_errors()
def main(argv=None):
    args = parse_args(argv)
    with np.load(args.file) as file:
        arrays = dict(file)
    keys = {'points', args.train_half, args.label, args.by} - {None}
    if keys - set(arrays):
        raise ValueError(f'{args.file} has no {sorted(keys - set(arrays))}, only {sorted(arrays)}.')
    if args.train_half:
        keep = ~arrays[args.train_half].astype(bool)
        arrays = {k: v[keep] if v.shape[:1] == keep.shape else v for k, v in arrays.items()}
    if args.up == 'z' and arrays['points'].shape[-1] != 3:
        raise ValueError(f'--up z turns coordinates, got points of {arrays["points"].shape}.')
    if args.up == 'z':
        arrays['points'] = arrays['points'][..., [0, 2, 1]] * np.array([1, 1, -1], 'float16')
    arrays['is_test'] = held_out(arrays, args)
    test = arrays['is_test'].sum()
    if test in (0, len(arrays['is_test'])):
        raise ValueError(
            f'{test} of {len(arrays["is_test"])} shapes would be test shapes: choose others.'
        )
    args.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez(args.out, **arrays)
    print(f'{args.out}: {len(arrays["is_test"]) - test} training shapes, {test} test shapes')


if __name__ == '__main__':
    main()
