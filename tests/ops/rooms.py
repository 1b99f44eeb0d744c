"""Tiny random rooms, in memory and in mmdet3d's ScanNet layout."""

import pickle
from pathlib import Path

import numpy as np

CLASSES = tuple(
    'cabinet bed chair sofa table door window bookshelf picture counter desk curtain '
    'refrigerator showercurtrain toilet sink bathtub garbagebin'.split()
)
NYU_CHAIR = 5


def random_room(seed: int, num_points: int = 2000) -> dict:
    """Random noise points and three boxes filled with points.

    Returns:
        points (N, 6), boxes (3, 6) with gravity centres, labels (3,),
        instance (N,) with 0 = background, semantic (N,) as NYU40 ids.
    """
    rng = np.random.default_rng(seed)
    centers = np.array([[-1, -1, 0.5], [1, -1, 0.4], [0, 1, 0.6]], np.float32)
    boxes = np.concatenate([centers, rng.uniform(0.6, 1.0, (3, 3))], 1)
    instance = rng.integers(0, 4, num_points)
    xyz = rng.uniform((-3, -3, 0), (3, 3, 2), (num_points, 3))
    for i, box in enumerate(boxes, 1):
        own = instance == i
        unit = rng.uniform(-0.5, 0.5, (own.sum(), 3))
        xyz[own] = box[:3] + unit * box[3:]
    points = np.concatenate([xyz, rng.uniform(0, 255, xyz.shape)], 1)
    return dict(
        points=points.astype(np.float32),
        boxes=boxes.astype(np.float32),
        labels=np.full(3, CLASSES.index('chair')),
        instance=instance,
        semantic=np.where(instance > 0, NYU_CHAIR, 1),
    )


def write_rooms(root: Path, rooms: int | list[dict] = 2) -> Path:
    """Write rooms in the format of mmdet3d's ``ScanNetDataset``."""
    if isinstance(rooms, int):
        rooms = [random_room(i) for i in range(rooms)]
    for folder in ('points', 'instance_mask', 'semantic_mask'):
        (root / folder).mkdir(parents=True, exist_ok=True)
    data_list = []
    for i, room in enumerate(rooms):
        name = f'scene{i:04d}_00.bin'
        room['points'].tofile(root / 'points' / name)
        for key in ('instance', 'semantic'):
            room[key].astype(np.int64).tofile(root / f'{key}_mask' / name)
        data_list.append(
            dict(
                lidar_points=dict(num_pts_feats=6, lidar_path=name),
                pts_instance_mask_path=name,
                pts_semantic_mask_path=name,
                axis_align_matrix=np.eye(4).tolist(),
                instances=[
                    dict(bbox_3d=box.tolist(), bbox_label_3d=int(label))
                    for box, label in zip(room['boxes'], room['labels'])
                ],
            )
        )
    metainfo = dict(
        categories={name: i for i, name in enumerate(CLASSES)},
        dataset='scannet',
        info_version='1.1',
    )
    for split in ('train', 'val'):
        with open(root / f'scannet_infos_{split}.pkl', 'wb') as file:
            pickle.dump(dict(metainfo=metainfo, data_list=data_list), file)
    return root
