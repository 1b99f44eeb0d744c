#!/usr/bin/env python
"""Make data/scannet_small, a few rooms of ScanNet for two CPU cores.

Source   ScanNet v2, after signing the form at http://www.scan-net.org
Terms    ScanNet's terms of use: research only
Layout   what tools/create_data.py scannet of mmdetection3d writes:
         scannet_infos_train.pkl, points/, semantic_mask/, instance_mask/,
         posed_images/SCENE/{NNNNN.jpg,NNNNN.png,NNNNN.txt,intrinsic.txt} (optional)

The scans of the rooms 0 to 5 are written in the same layout, with 50,000 points
each, and up to 15 posed frames; those of the rooms 4 and 5 are for validation.
"""

import argparse
import shutil
from pathlib import Path

import numpy as np

from mmkd3d.apis.errors import short_errors
from mmkd3d.datasets.scannet_layout import FOLDERS, SEG_IDS, write_infos, write_seg_info

# what is heavy is imported in the functions: --help needs none of it

MASKS = ('semantic_mask', 'instance_mask')


def parse_args(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--root', type=Path, default=Path('data/scannet'))
    parser.add_argument('--out', type=Path, default=Path('data/scannet_small'))
    parser.add_argument('--rooms', type=int, nargs='+', default=[0, 1, 2, 3, 4, 5])
    parser.add_argument('--val-rooms', type=int, nargs='*', default=[4, 5])
    parser.add_argument('--num-points', type=int, default=50000)
    parser.add_argument('--seed', type=int, default=0)
    return parser.parse_args(argv)


def read_infos(root: Path) -> dict:
    """Info of each scan of the training and validation files, by its name."""
    from mmkd3d.datasets.base import verify_hint
    from mmkd3d.datasets.safe_pickle import load_pickle

    infos = {}
    for split in ('train', 'val'):
        path = root / f'scannet_infos_{split}.pkl'
        if path.is_file():
            content = load_pickle(path, 'it lists the scans', verify_hint('scannet', root))
            for info in content['data_list']:
                infos[Path(info['lidar_points']['lidar_path']).stem] = info
    if not infos:
        raise SystemExit(
            f'No scannet_infos_train.pkl in {root}; --help shows the layout. '
            + verify_hint('scannet', root)
        )
    return infos


def copy_scan(name: str, root: Path, out: Path, num_points: int, rng) -> np.ndarray:
    """Write a scan with fewer points; returns its numbers of points per class."""
    points = np.fromfile(root / 'points' / f'{name}.bin', np.float32).reshape(-1, 6)
    kept = np.sort(rng.choice(len(points), min(num_points, len(points)), replace=False))
    points[kept].tofile(out / 'points' / f'{name}.bin')
    for mask in MASKS:
        labels = np.fromfile(root / mask / f'{name}.bin', np.int64)
        labels[kept].tofile(out / mask / f'{name}.bin')
    frames = root / 'posed_images' / name
    if frames.is_dir():
        copy_frames(frames, out / 'posed_images' / name)
    semantics = np.fromfile(out / 'semantic_mask' / f'{name}.bin', np.int64)
    return (semantics[:, None] == SEG_IDS).sum(0)


def copy_frames(source: Path, target: Path, num: int = 15) -> None:
    """Copy frames, evenly over the scan, and write their cameras.npz."""
    from PIL import Image

    poses = sorted(source.glob('[0-9]*.txt'))
    if not poses:
        raise SystemExit(
            f'{source} has no poses (00000.txt, ...), which mmdetection3d extracts beside the '
            'images. Extract them, or remove the folder to prepare scans without frames.'
        )
    kept = [poses[i] for i in np.linspace(0, len(poses) - 1, min(num, len(poses))).astype(int)]
    target.mkdir(parents=True, exist_ok=True)
    for pose in kept:
        for suffix in ('.jpg', '.png'):
            shutil.copy(pose.with_suffix(suffix), target)
    width, height = Image.open(kept[0].with_suffix('.jpg')).size
    np.savez(
        target / 'cameras.npz',
        frame=np.array([int(pose.stem) for pose in kept]),
        cam2world=np.stack([np.loadtxt(pose) for pose in kept]),
        **{f'K_{width}x{height}': np.loadtxt(source / 'intrinsic.txt')[:3, :3]},
    )


@short_errors()
def main(argv=None):
    args = parse_args(argv)
    infos = read_infos(args.root)
    names = [name for name in sorted(infos) if int(name[5:9]) in args.rooms]
    if not names:
        raise SystemExit(f'No scans of the rooms {args.rooms} in {args.root}.')
    for folder in FOLDERS:
        (args.out / folder).mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(args.seed)
    counts = {n: copy_scan(n, args.root, args.out, args.num_points, rng) for n in names}
    for split in ('train', 'val'):
        part = [n for n in names if (int(n[5:9]) in args.val_rooms) == (split == 'val')]
        write_infos(args.out, split, [infos[n] for n in part])
        write_seg_info(
            args.out, split, np.array([counts[n] for n in part]).reshape(-1, len(SEG_IDS))
        )
        print(f'{split}: {len(part)} scans')


if __name__ == '__main__':
    main()
