#!/usr/bin/env python
"""Make a detection data set from scans and boxes of any classes.

Scans    all formats that mmkd3d reads (ply, pcd, npy, bin, ...), z up, in metres;
         other axes and units with --up and --unit
Boxes    in the coordinates of the scans: one csv or json file for all scans, or a
         folder with SCAN.csv or SCAN.json for each (files of tools/infer.py, too):
         csv   class,x,y,z,dx,dy,dz[,yaw]   with a column scan in a file for all
         json  [{"class": ..., "center": [x, y, z], "size": [dx, dy, dz], "yaw": ...}]
               or {SCAN: [...]} in a file for all
         (x, y, z) is the middle of the box, (dx, dy, dz) its full extents along its
         own axes, yaw its turn in radians, counter-clockwise seen from above
Splits   text files with a name of a scan in each line
Output   OUT/points/SCAN.bin and OUT/indoor_infos_{train,val}.pkl, mmdetection3d's
         info format, for type='mmkd3d.IndoorDet3DDataset'

Prints the classes with their numbers and mean sizes, and what to set in a config.
"""

import argparse
import math
import pickle
from pathlib import Path

import numpy as np
from tqdm import tqdm

from mmkd3d.apis.errors import short_errors
from mmkd3d.datasets.box_files import FORM, Box, read_box_table, read_boxes
from mmkd3d.utils.names import check_class_names, read_names

# what is heavy is imported in the functions: --help needs none of it

EXAMPLE = """example:
  python tools/prepare_data/indoor_det3d.py scans/ --boxes boxes.csv --val val.txt --out data/own
"""


def parse_args(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, epilog=EXAMPLE
    )
    add = parser.add_argument
    add('scans', nargs='+', help='files, folders or patterns')
    add('--boxes', type=Path, required=True, help='csv or json file, or a folder of them')
    add('--val', type=Path, required=True, help='list of the scans for validation')
    add('--train', type=Path, help='list of the scans for training; default: all others')
    add('--out', type=Path, default=Path('data/indoor'))
    add('--classes', nargs='+', help='in the order of the labels; default: all, sorted by name')
    add('--columns', type=int, default=3, help='columns to write: 6 keeps colours after xyz')
    add('--up', choices=('x', 'y', 'z'), default='z', help='up axis of scans and boxes')
    add('--unit', type=float, default=1.0, help='metres per unit of scans and boxes, e.g. 0.001')
    add('--degrees', action='store_true', help='yaws are in degrees')
    add('--drop-empty', action='store_true', help='leave out boxes without points inside')
    add('--key', help='array of npz and h5 files; default: points')
    add('--load-dim', type=int, help='columns of .bin scans')
    args = parser.parse_args(argv)
    if not 0 < args.unit < math.inf:
        raise ValueError(f'--unit is more than 0 metres, got {args.unit}.')
    if args.columns < 3:
        raise ValueError(f'--columns is 3 (x, y, z) or more, got {args.columns}.')
    return args


def find_scans(args) -> dict[str, Path]:
    """Name of each scan -> its file."""
    from mmkd3d.datasets.readers import list_files

    scans: dict[str, Path] = {}
    for path in list_files(args.scans):
        if path.resolve() == args.boxes.resolve() or path.stem in scans:
            if path.stem in scans:
                raise ValueError(f'{scans[path.stem]} and {path} have the same name; rename one.')
            continue
        scans[path.stem] = path
    return scans


def find_boxes(path: Path, scans: dict[str, Path]) -> dict[str, list[Box]]:
    """Boxes of each scan, from a file for all or from one for each."""
    if path.is_dir():
        files = {name: [path / f'{name}{end}' for end in ('.json', '.csv')] for name in scans}
        found = {name: [p for p in both if p.is_file()] for name, both in files.items()}
        lacks = [name for name, existing in found.items() if not existing]
        if lacks:
            raise FileNotFoundError(
                f'{path}: no file of boxes for {len(lacks)} of {len(scans)} scans, such as '
                f'{lacks[0]}.csv or {lacks[0]}.json. A scan without objects has an empty list.'
            )
        return {name: read_boxes(existing[0]) for name, existing in found.items()}
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such file or folder of boxes. {FORM}')
    table = read_box_table(path)
    unknown = sorted(table.keys() - scans.keys())
    if unknown:
        raise ValueError(
            f'{path}: boxes of {len(unknown)} scans that are not there, such as {unknown[0]}; '
            f'the scans are {", ".join(sorted(scans)[:5])}, ...'
        )
    return {name: table.get(name, []) for name in scans}


def read_splits(args, scans: dict[str, Path]) -> dict[str, list[str]]:
    """Names of the scans of each split."""
    splits = {}
    for split, path in (('val', args.val), ('train', args.train)):
        if path is None:
            splits[split] = [name for name in scans if name not in splits['val']]
        else:
            lines = [Path(line) for line in read_names(path)]
            # a dot may be part of a name
            splits[split] = [line.name if line.name in scans else line.stem for line in lines]
            unknown = [name for name in splits[split] if name not in scans]
            if unknown:
                raise ValueError(f'{path} lists {unknown[0]}, of which there is no scan.')
            twice = [name for name in splits[split] if splits[split].count(name) > 1]
            if twice:
                raise ValueError(f'{path} lists {twice[0]} more than once. Remove the others.')
        if not splits[split]:
            raise ValueError(f'There is no scan for {split}. Change the lists.')
    both = sorted(set(splits['train']) & set(splits['val']))
    if both:
        raise ValueError(f'{both[0]} is in both lists, {args.train} and {args.val}.')
    return dict(train=splits['train'], val=splits['val'])


def class_list(args, boxes: dict[str, list[Box]]) -> list[str]:
    """Names of the classes, in the order of the labels."""
    check_class_names(args.classes, '--classes')
    names = sorted({box.name for found in boxes.values() for box in found})
    check_class_names(names, args.boxes)
    if not names:
        raise ValueError(f'{args.boxes}: there is no box. {FORM}')
    unknown = [name for name in names if args.classes and name not in args.classes]
    if unknown:
        source = next(b.source for found in boxes.values() for b in found if b.name == unknown[0])
        raise ValueError(f'{source}: {unknown[0]!r} is none of --classes {" ".join(args.classes)}.')
    if args.classes:
        return args.classes
    alike = {name.casefold(): name for name in names}
    for name in names:
        if alike[name.casefold()] != name:
            raise ValueError(
                f'{args.boxes}: the classes {name!r} and {alike[name.casefold()]!r} differ in case '
                'only. Write them alike, or list both with --classes.'
            )
    return names


def read_scan(args, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Points (N, columns), float32, and what was taken off x, y, z in double precision."""
    from mmkd3d.datasets.coordinates import local_cloud
    from mmkd3d.datasets.readers import read_file, select_channels

    clouds = read_file(path, key=args.key, load_dim=args.load_dim)
    if len(clouds) != 1:
        raise ValueError(f'{path}: expected one scan, got {len(clouds)}. Store one per file.')
    scan = local_cloud(clouds[0][1], path, up=args.up)
    return select_channels(scan.points, args.columns, path), scan.origin


def to_metres(args, box: Box, origin: np.ndarray) -> list[float]:
    """Centre, size and yaw of a box with z up, in metres and radians."""
    from mmkd3d.apis.scans import AXES

    yaw = np.deg2rad(box.yaw) if args.degrees else box.yaw
    if abs(yaw) > 2 * np.pi:
        raise ValueError(f'{box.source}: the yaw {box.yaw} is no angle in radians. Use --degrees.')
    values = (np.array(box.center) - origin, np.array(box.size))
    center, size = (v[AXES[args.up]] * args.unit for v in values)
    return [*center.tolist(), *size.tolist(), float(yaw)]


def write_scan(args, name: str, path: Path, boxes: list[Box], classes: list[str]) -> dict:
    """Write the points of a scan; returns its info."""
    import torch

    from mmkd3d.apis.scans import AXES, implausible
    from mmkd3d.ops.boxes import points_in_boxes

    points, origin = read_scan(args, path)
    points[:, :3] = points[:, AXES[args.up]] * args.unit
    doubt = implausible(np.ptp(points[:, :3], axis=0))
    if doubt:
        print(f'{path}: {doubt}')
    rows = np.array([to_metres(args, box, origin) for box in boxes]).reshape(-1, 7)
    # rows have the middle, the operator takes the bottom
    bottom = torch.from_numpy(rows - np.eye(7)[2] * rows[:, 5:6] / 2)
    xyz = torch.from_numpy(points[:, :3].copy())
    held = points_in_boxes(xyz[None], bottom[None], sides=True)[0].any(0).tolist()
    empty = [box.source for box, filled in zip(boxes, held) if not filled]
    if empty and not args.drop_empty:
        low, high = (values.tolist() for values in (xyz.amin(0), xyz.amax(0)))
        raise ValueError(
            f'{empty[0]}: no point of {path} is inside, nor in {len(empty) - 1} others of '
            f'{len(boxes)} boxes. The scan spans {low} to {high}. Check the coordinates, the unit '
            'and the axis that is up; --drop-empty leaves such boxes out.'
        )
    diagonal = float(np.linalg.norm(np.ptp(points[:, :3], axis=0)))
    for row, box in zip(rows, boxes):
        if row[3:6].max() > 2 * diagonal:
            raise ValueError(
                f'{box.source}: the size is {row[3:6].tolist()} metres, more than twice the '
                f'diagonal of {path}, {diagonal:.4g}. Check the unit of the boxes and of the scan.'
            )
    instances = [
        dict(bbox_3d=row.tolist(), bbox_label_3d=classes.index(box.name))
        for row, box, filled in zip(rows, boxes, held)
        if filled
    ]
    points.astype(np.float32).tofile(args.out / 'points' / f'{name}.bin')
    cloud = dict(num_pts_feats=args.columns, lidar_path=f'{name}.bin')
    return dict(sample_idx=name, lidar_points=cloud, instances=instances)


def report(infos: dict[str, list[dict]], classes: list[str]) -> None:
    """Print the number of boxes, mean sizes, and what to set in a config."""
    rows = {
        split: [
            (box['bbox_label_3d'], box['bbox_3d']) for info in found for box in info['instances']
        ]
        for split, found in infos.items()
    }
    sizes = []
    print(f'{"class":20} {"train":>6} {"val":>6}  mean size of train, metres')
    for label, name in enumerate(classes):
        own = {split: [box for k, box in found if k == label] for split, found in rows.items()}
        if not own['train']:
            raise ValueError(f'No training scan has a {name}: change the lists or --classes.')
        sizes.append(np.mean(own['train'], axis=0)[3:6].round(3).tolist())
        print(f'{name:20} {len(own["train"]):6} {len(own["val"]):6}  {sizes[-1]}')
    for split, found in infos.items():
        empty = [info['sample_idx'] for info in found if not info['instances']]
        if empty:
            print(f'{split}: {len(empty)} of {len(found)} scans have no box, such as {empty[0]}')
    yaw = any(box[6] for found in rows.values() for _, box in found)
    coder = f'num_sizes={len(classes)}, mean_sizes={sizes}'
    if yaw:
        coder += ', with_rot=True, num_dir_bins=12'
    turn = ', num_angle_bins=12, criterion=dict(loss_weights=dict(giou=0))' if yaw else ''
    print(f"""
metainfo = dict(classes={tuple(classes)})  # is in the info files
VoteNet: model = dict(bbox_head=dict(num_classes={len(classes)}, bbox_coder=dict({coder})))
3DETR:   model = dict(bbox_head=dict(num_classes={len(classes)}{turn}))""")


@short_errors()
def main(argv=None):
    args = parse_args(argv)
    scans = find_scans(args)
    boxes = find_boxes(args.boxes, scans)
    splits, classes = read_splits(args, scans), class_list(args, boxes)
    (args.out / 'points').mkdir(parents=True, exist_ok=True)
    infos = {
        split: [write_scan(args, n, scans[n], boxes[n], classes) for n in tqdm(names, split)]
        for split, names in splits.items()
    }
    report(infos, classes)
    categories = {name: label for label, name in enumerate(classes)}
    for split, data_list in infos.items():
        metainfo = dict(categories=categories, dataset='indoor', info_version='1.1')
        content = pickle.dumps(dict(metainfo=metainfo, data_list=data_list))
        (args.out / f'indoor_infos_{split}.pkl').write_bytes(content)
    print(f'{args.out}: {len(infos["train"])} + {len(infos["val"])} scans')


if __name__ == '__main__':
    main()
