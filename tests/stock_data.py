"""Small generated rooms at the default data paths of mmdetection3d's stock configs."""

import pickle
from pathlib import Path

import numpy as np

from mmkd3d.datasets.toy_rooms import write_toy_rooms
from tests.ops.rooms import random_room

SUNRGBD = 'bed table sofa chair toilet desk dresser night_stand bookshelf bathtub'.split()


def write_scannet(root: Path) -> None:
    """Write ``data/scannet``: two training rooms and one validation room.

    The segmentation configs of mmdetection3d 1.4 prepend the root twice to
    ``scene_idxs``. A symlink makes that path valid too.
    """
    out = root / 'data/scannet'
    write_toy_rooms(out, num_train=2, num_val=1, num_points=1500)
    (out / 'data').symlink_to(root / 'data')


def write_sunrgbd(root: Path) -> None:
    """Write ``data/sunrgbd``: two rooms per split, boxes with yaw."""
    out = root / 'data/sunrgbd'
    (out / 'points').mkdir(parents=True)
    for split, seeds in (('train', (0, 1)), ('val', (2, 3))):
        infos = []
        for seed in seeds:
            room = random_room(seed, num_points=1500)
            name = f'{seed:06d}.bin'
            room['points'].tofile(out / 'points' / name)
            yaws = np.random.default_rng(seed).uniform(-np.pi, np.pi, (len(room['boxes']), 1))
            boxes = np.concatenate([room['boxes'][:, :6], yaws], 1)
            camera = dict(img_path='none.jpg', depth2img=np.eye(3).tolist())
            instances = [
                dict(bbox_3d=box.tolist(), bbox_label_3d=int(label) % len(SUNRGBD))
                for box, label in zip(boxes, room['labels'])
            ]
            points = dict(num_pts_feats=6, lidar_path=name)
            infos.append(dict(lidar_points=points, images=dict(CAM0=camera), instances=instances))
        write_infos(out / f'sunrgbd_infos_{split}.pkl', 'sunrgbd', SUNRGBD, infos)


def write_s3dis(root: Path) -> None:
    """Write ``data/s3dis``: one room in each of the six areas."""
    out = root / 'data/s3dis'
    for folder in ('points', 'instance_mask', 'semantic_mask', 'seg_info'):
        (out / folder).mkdir(parents=True)
    for area in range(1, 7):
        room = random_room(area, num_points=1500)
        name = f'Area_{area}_room_1.bin'
        room['points'][:, :2] /= 3  # smaller rooms need fewer sliding blocks
        room['points'].tofile(out / 'points' / name)
        labels = np.random.default_rng(area).integers(0, 13, 1500)
        for folder in ('instance_mask', 'semantic_mask'):
            labels.astype(np.int64).tofile(out / folder / name)
        np.save(out / f'seg_info/Area_{area}_resampled_scene_idxs.npy', np.zeros(1, np.int32))
        masks = dict(pts_semantic_mask_path=name, pts_instance_mask_path=name)
        points = dict(num_pts_feats=6, lidar_path=name)
        info = dict(masks, lidar_points=points, instances=[])
        write_infos(out / f's3dis_infos_Area_{area}.pkl', 's3dis', [], [info])


def write_infos(path: Path, name: str, classes, infos: list) -> None:
    metainfo = dict(
        categories={c: i for i, c in enumerate(classes)}, dataset=name, info_version='1.1'
    )
    with open(path, 'wb') as file:
        pickle.dump(dict(metainfo=metainfo, data_list=infos), file)
