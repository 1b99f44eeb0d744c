#!/usr/bin/env python
"""Extract features of point clouds with the student of any checkpoint.

Writes an npz file with `features`, `ids` (name of the file, with #i for clouds
of one array), for --level point also `offset` (first point of each cloud), and
the settings: `level`, `layer`, `input_spec` (json), `checkpoint`,
`checkpoint_hash`. Until it is complete, features are kept in NAME.partial
beside it; the same command goes on from there after an error or a kill.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import mmkd3d
from mmkd3d.apis.cli import add_reading_options, add_trust_option, report_bad
from mmkd3d.checkpoints.input_spec import NORMALIZE
from mmkd3d.checkpoints.shipped import find_checkpoint
from mmkd3d.models.backbones import LEVELS
from mmkd3d.utils.hashes import file_digest

if TYPE_CHECKING:
    import numpy as np

    from mmkd3d.apis.feature_parts import FeatureParts

EXAMPLES = """examples:
  python tools/extract_features.py work_dirs/.../epoch_300.pth shapes/ one.ply
  python tools/extract_features.py downloaded.pth 'scans/*.bin' --load-dim 6 \\
      --config recon-b_1xb128-300e_shapenet55 --level point"""


def number_of_points(text: str):
    """A number, or one of two words."""
    return text if text in ('spec', 'all') else int(text)


def parse_args(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, epilog=EXAMPLES
    )
    add = parser.add_argument
    add(
        'checkpoint',
        type=Path,
        help='our checkpoint, exported or not, or a published one; or name of a shipped student',
    )
    add(
        'inputs',
        nargs='+',
        help='files, folders or patterns; an array (S, N, C) of an npz, npy '
        'or h5 file has S clouds',
    )
    add('--config', help='name of a shipped config, or a file; default: that of the checkpoint')
    add('--level', choices=LEVELS, default='global')
    add(
        '--layer',
        type=int,
        help='last block to run, from 0, or -1 for the last; for Point-M2AE and I2P-MAE: last level',
    )
    add(
        '--num-points',
        type=number_of_points,
        default='spec',
        help="points per cloud, or 'all'; default: as in training",
    )
    add('--normalize', choices=('spec', *NORMALIZE), default='spec', help='default: as in training')
    add('--up', choices=('x', 'y', 'z'), help='up axis of the clouds, if it differs from training')
    add(
        '--columns',
        nargs='+',
        metavar='NAME',
        help='columns of files with names, e.g. x y z red green blue; default: x y z and the rest',
    )
    add('--key', help='array of npz and h5 files; default: points')
    add('--load-dim', type=int, help='columns of .bin files')
    add_reading_options(parser)
    add('--batch-size', type=int, default=32)
    add('--device', help='default: a GPU if there is one')
    add('--out', type=Path, default=Path('features.npz'))
    add_trust_option(parser)
    args = parser.parse_args(argv)
    if args.out.suffix != '.npz':
        parser.error(f'--out is an npz file, got {args.out}.')
    return args


def extract(args: argparse.Namespace, parts: FeatureParts, bad: list[str] | None) -> dict:
    """Extract the features that are missing; returns the arrays that were written."""
    from mmkd3d.datasets.find import list_files

    files = list_files(args.inputs)
    extractor = mmkd3d.FeatureExtractor(
        args.checkpoint,
        args.config,
        level=args.level,
        layer=args.layer,
        num_points=None if args.num_points == 'all' else args.num_points,
        normalize=args.normalize,
        up=args.up,
        batch_size=args.batch_size,
        device=args.device,
        trust=args.trust_checkpoint,
    )
    found = extractor.stream(missing_clouds(args, files, parts.done.copy(), bad), bad=bad)
    while batch := list(islice(found, args.batch_size)):
        parts.add(*zip(*batch))
    if not parts.done:
        raise ValueError('\n'.join(['There is no usable cloud in the inputs.', *(bad or ())]))
    return parts.join(
        level=args.level,
        layer=-1 if args.layer is None else args.layer,
        input_spec=json.dumps(extractor.spec._asdict()),
        checkpoint=args.checkpoint.name,
        checkpoint_hash=parts.settings['checkpoint_hash'],
    )


def missing_clouds(
    args: argparse.Namespace, files: Sequence[Path], done: set[str], bad: list[str] | None
) -> Iterator[tuple[str, np.ndarray]]:
    """Names and points of the clouds that are not done."""
    from tqdm import tqdm

    from mmkd3d.datasets.readers import read_clouds

    names = ('columns', 'key', 'load_dim', 'drop_nan')
    options = dict({name: getattr(args, name) for name in names}, bad=bad)
    for path in tqdm(files, unit='file'):
        if path.as_posix() not in done:
            clouds = read_clouds(path, **options)
            yield from ((name, points) for name, points in clouds if name not in done)


def settings(args: argparse.Namespace) -> dict:
    """What the features depend on."""
    names = ('config', 'level', 'layer', 'num_points', 'normalize', 'up')
    names += ('columns', 'key', 'load_dim', 'drop_nan')
    file = find_checkpoint(args.checkpoint)
    digest = file_digest(file)[:16] if file.is_file() else ''
    return dict({k: getattr(args, k) for k in names}, checkpoint_hash=digest)


def main(argv=None) -> None:
    args = parse_args(argv)
    from mmkd3d.apis.feature_parts import FeatureParts

    bad: list[str] | None = [] if args.skip_bad else None
    parts = None
    try:
        parts = FeatureParts(args.out, settings(args))
        arrays = extract(args, parts, bad)
    except (FileNotFoundError, ImportError, ValueError) as error:
        hint = ''
        if parts and parts.done:
            hint = (
                f'\nThe features of {len(parts.done)} clouds are kept in {parts.folder}: run '
                'again to go on from them. --skip-bad leaves out clouds that cannot be used.'
            )
        raise SystemExit(f'{error}{hint}')
    print(
        f'{args.out}: {len(arrays["ids"])} clouds, features '
        f'{arrays["features"].shape}, {args.level}'
    )
    if args.skip_bad:
        report_bad(bad, args.out.with_suffix('.bad.txt'))


if __name__ == '__main__':
    main()
