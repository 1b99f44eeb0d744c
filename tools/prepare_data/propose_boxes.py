#!/usr/bin/env python
"""Propose boxes of things in unlabelled rooms, as annotations for any detector.

Reads the rooms of a folder in mmdetection3d's ScanNet layout; their annotations are not
used. Writes OUT/scannet_infos_train.pkl, with masks in the form of ScanNet's, so that
ordinary detection configs train on OUT. The 18 classes of ScanNet stand for 18 pseudo
classes, clusters of things that are alike.

  geometry   connected points that are not floor, ceiling or wall; classes from their sizes
  teacher    connected points whose features, those of an image network on posed frames,
             are in one cluster; clusters with large pieces, such as walls, are left out
  both       things of geometry, without those that look like floors and walls, and with
             what looks like a thing on them; classes from sizes and features

With --random-weights the image network is random, as a control. For annotated rooms, the
command ends with how many of their boxes were found (overlap above 0.25), and how many
of the proposals are one of them.
"""

import argparse
import os
from pathlib import Path

import numpy as np
from tqdm import tqdm

from mmkd3d.apis.errors import short_errors
from mmkd3d.datasets import scannet_layout as layout

# what is heavy is imported in the functions: --help needs none of it

SIZE = (480, 640)  # rows and columns of the images that the teacher gets
DIMS = 32  # main directions of its features
CLUSTERS = 16  # of the features of points


def parse_args(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='example: python tools/prepare_data/propose_boxes.py data/toy_rooms_400',
    )
    add = parser.add_argument
    add('root', type=Path, help='folder in the ScanNet layout')
    add('--use', choices=('geometry', 'teacher', 'both'), default='geometry')
    add('--out', type=Path, help='default: ROOT/proposals_USE')
    add('--ann-file', default='scannet_infos_train.pkl', help='list of the rooms, in ROOT')
    add('--limit', type=int, help='only so many rooms')
    add('--radius', type=float, default=0.1, help='metres up to which points are connected')
    add('--turn', type=float, help='and up to which turn of the surface, in degrees, for scans')
    add('--frames', type=int, default=8, help='posed frames of a room to look at')
    add('--random-weights', action='store_true', help='an image network with random weights')
    add('--seed', type=int, default=0, help='of clusters and random weights')
    args = parser.parse_args(argv)
    if not args.radius > 0:
        raise ValueError(f'--radius is more than 0 metres, got {args.radius}.')
    if args.random_weights and args.use == 'geometry':
        raise ValueError('--random-weights is for --use teacher and --use both.')
    name = f'proposals_{args.use}' + '_random' * args.random_weights
    args.out = args.out or args.root / name
    return args


def read_points(root: Path, info: dict) -> np.ndarray:
    """Points (N, 3) of a room, aligned, in metres."""
    lidar = info['lidar_points']
    points = np.fromfile(root / 'points' / lidar['lidar_path'], np.float32)
    points = points.reshape(-1, lidar['num_pts_feats'])[:, :3].astype(np.float64)
    return layout.align(points, np.array(info['axis_align_matrix']))


class FrameFeatures:
    """Features of an image network at the points of a room, from its posed frames.

    Args:
        args: Of the command.
        infos: Rooms; the first say which directions of the features matter.
    """

    def __init__(self, args: argparse.Namespace, infos: list[dict]):
        import torch
        from mmengine.dataset import Compose
        from sklearn.decomposition import PCA

        from mmkd3d.registry import MODELS

        torch.manual_seed(args.seed)
        root, number = str(args.root / 'posed_images'), args.frames
        frames = dict(root=root, num_frames=number, choose='even', size=SIZE)
        self.pipeline = Compose(
            [
                dict(type='mmdet3d.Pack3DDetInputs', keys=['points']),
                dict(type='mmkd3d.LoadPosedFrames', **frames),
            ]
        )
        teacher = dict(size=SIZE, random_weights=args.random_weights)
        self.target = MODELS.build(
            dict(
                type='mmkd3d.PointTarget',
                teacher=dict(type='mmkd3d.ImageNetTeacher', **teacher),
                views=dict(type='mmkd3d.PosedFrames', num_views=number, size=SIZE),
            )
        ).eval()
        some = [self._read(read_points(args.root, info)[::20], info) for info in infos[:24]]
        seen = np.concatenate([feats[visible] for feats, visible in some])
        if len(seen) < DIMS:
            raise ValueError(
                f'{root}: its frames show {len(seen)} points of the rooms. Use geometry, or see '
                'mmkd3d/datasets/scannet_layout.py for the form of posed frames.'
            )
        self.main = PCA(DIMS, random_state=args.seed).fit(seen)

    def __call__(self, points: np.ndarray, info: dict) -> tuple[np.ndarray, np.ndarray]:
        """Features (N, DIMS) and whether a frame shows the point, (N,)."""
        feats, visible = self._read(points, info)
        return self.main.transform(feats).astype(np.float32), visible

    def _read(self, points: np.ndarray, info: dict) -> tuple[np.ndarray, np.ndarray]:
        import torch
        from mmdet3d.structures import DepthPoints

        cloud = torch.from_numpy(points).float()
        packed = self.pipeline(
            dict(
                points=DepthPoints(cloud),
                lidar_path=info['lidar_points']['lidar_path'],
                axis_align_matrix=np.array(info['axis_align_matrix']),
            )
        )
        found = self.target(cloud[None], [packed['data_samples']], cloud[None])
        feats = torch.nn.functional.normalize(found.feats[0], dim=1)
        return feats.numpy(), found.visible[0].numpy()


def find_things(args: argparse.Namespace, infos: list[dict]) -> list:
    """The rooms with their things and pseudo classes."""
    from mmkd3d.datasets import proposals

    features = None if args.use == 'geometry' else FrameFeatures(args, infos)
    rooms = []
    for info in tqdm(infos, desc='rooms'):
        points = read_points(args.root, info)
        room = proposals.Room(points, *(features(points, info) if features else ()))
        if args.use != 'teacher':
            proposals.things_of_geometry(room, args.radius, args.turn)
        rooms.append(room)
    if args.use == 'teacher':
        proposals.things_of_features(rooms, args.radius, clusters=CLUSTERS, seed=args.seed)
    if args.use == 'both':
        proposals.correct_geometry(rooms, args.radius, args.seed)
    if not any(room.number.any() for room in rooms):
        raise ValueError(f'There is no thing in the {len(rooms)} rooms of {args.root}.')
    proposals.set_labels(rooms, classes=len(layout.CLASSES), seed=args.seed)
    return rooms


def write_room(args: argparse.Namespace, info: dict, room) -> dict:
    """Write the masks of a room; returns its info, with the proposals as annotations."""
    ids = np.array([0, *layout.CLASS_IDS])  # of ScanNet, 0 for no thing
    semantics = ids[np.array([0, *(room.labels + 1)])[room.number]]
    name = Path(info['lidar_points']['lidar_path']).name
    for folder, mask in (('semantic_mask', semantics), ('instance_mask', room.number)):
        mask.astype(np.int64).tofile(args.out / folder / name)
    return dict(
        lidar_points=info['lidar_points'],
        pts_semantic_mask_path=name,
        pts_instance_mask_path=name,
        instances=layout.tight_boxes(room.points, semantics, room.number),
        axis_align_matrix=info['axis_align_matrix'],
    )


def compare(found: list[dict], infos: list[dict]) -> str:
    """How many annotated boxes were found, and how many proposals are one of them."""
    import torch
    from mmdet3d.structures.ops import axis_aligned_bbox_overlaps_3d

    def corners(info):
        boxes = torch.tensor([i['bbox_3d'] for i in info['instances']]).reshape(-1, 6)
        return torch.cat([boxes[:, :3] - boxes[:, 3:] / 2, boxes[:, :3] + boxes[:, 3:] / 2], 1)

    hits = np.zeros(2)
    totals = np.array([sum(len(i['instances']) for i in x) for x in (infos, found)])
    for one, info in zip(found, infos):
        if one['instances'] and info['instances']:
            overlap = axis_aligned_bbox_overlaps_3d(corners(info), corners(one)) > 0.25
            hits += [overlap.any(1).sum().item(), overlap.any(0).sum().item()]
    share = hits / np.maximum(totals, 1)
    return (
        f'{share[0]:.1%} of {totals[0]} annotated boxes found, '
        f'{share[1]:.1%} of the proposals are one'
    )


@short_errors()
def main(argv=None):
    args = parse_args(argv)
    from mmkd3d.datasets.infos import read_infos

    infos = read_infos(args.root / args.ann_file, layout.CLASSES).data_list[: args.limit]
    rooms = find_things(args, infos)
    for folder in ('semantic_mask', 'instance_mask'):
        (args.out / folder).mkdir(parents=True, exist_ok=True)
    points = args.out / 'points'
    if not points.exists():
        points.symlink_to(os.path.relpath(args.root / 'points', args.out), True)
    found = [write_room(args, info, room) for info, room in zip(infos, rooms)]
    layout.write_infos(args.out, 'train', found)
    number = sum(len(info['instances']) for info in found)
    print(f'{number} proposals in {len(found)} rooms: {args.out}')
    if any(info['instances'] for info in infos):
        print(compare(found, infos))


if __name__ == '__main__':
    main()
