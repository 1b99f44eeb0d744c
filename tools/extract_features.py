#!/usr/bin/env python
"""Extract features of point clouds with the student of any checkpoint.

Writes an npz file with `features`, `ids` (name of the file, with #i for clouds
of one array), for --level point also `offset` (first point of each cloud), and
the settings: `level`, `layer`, `input_spec` (json), `checkpoint`,
`checkpoint_hash`.
"""

import argparse
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor
from tqdm import tqdm

import mmkd3d
from mmkd3d.checkpoints.input_spec import NORMALIZE
from mmkd3d.datasets.readers import list_files, read_clouds
from mmkd3d.models.backbones.base import LEVELS
from mmkd3d.utils.atomic import write_atomic
from mmkd3d.utils.hashes import file_digest

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
    add('checkpoint', type=Path, help='our checkpoint, exported or not, or a published one')
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
    add('--batch-size', type=int, default=32)
    add('--device', help='default: a GPU if there is one')
    add('--out', type=Path, default=Path('features.npz'))
    add(
        '--trust-checkpoint',
        action='store_true',
        help='unpickle the whole file; a pickle can run any code',
    )
    args = parser.parse_args(argv)
    if args.out.suffix != '.npz':
        parser.error(f'--out is an npz file, got {args.out}.')
    return args


def extract(args: argparse.Namespace) -> dict[str, np.ndarray]:
    """The arrays to write."""
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
    clouds = (
        cloud
        for path in tqdm(files, unit='file')
        for cloud in read_clouds(path, columns=args.columns, key=args.key, load_dim=args.load_dim)
    )
    found = list(extractor.stream(clouds))
    if not found:
        raise ValueError('There is no cloud in the inputs.')
    ids, feats = zip(*found)
    return dict(
        stack(feats, args.level),
        ids=np.array(ids),
        level=args.level,
        layer=-1 if args.layer is None else args.layer,
        input_spec=json.dumps(extractor.spec._asdict()),
        checkpoint=args.checkpoint.name,
        checkpoint_hash=file_digest(args.checkpoint)[:16],
    )


def stack(feats: Sequence[Tensor], level: str) -> dict[str, np.ndarray]:
    """Features as one array; those of points end to end."""
    arrays = [rows.numpy() for rows in feats]
    if level != 'point':
        return dict(features=np.stack(arrays))
    offset = np.cumsum([0, *map(len, arrays)])
    return dict(features=np.concatenate(arrays), offset=offset)


def main(argv=None) -> None:
    args = parse_args(argv)
    try:
        arrays = extract(args)
    except (FileNotFoundError, ImportError, ValueError) as error:
        raise SystemExit(str(error))
    content = io.BytesIO()
    np.savez(content, **arrays)
    write_atomic(args.out, content.getbuffer())
    print(
        f'{args.out}: {len(arrays["ids"])} clouds, features '
        f'{arrays["features"].shape}, {args.level}'
    )


if __name__ == '__main__':
    main()
