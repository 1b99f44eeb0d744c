"""Small rooms with classes of one's own, in mmdetection3d's info format."""

import pickle
from pathlib import Path

import numpy as np

CLASSES = ('crate', 'pallet', 'robot')
LABELS = (0, 1, 2, 1)


def own_room(seed: int, num_boxes: int = 4, yaw: float = 0.0) -> tuple[np.ndarray, list[dict]]:
    """Points (N, 4) on a floor and in boxes, and the boxes as instances."""
    rng = np.random.default_rng(seed)
    parts = [np.c_[rng.uniform(0, 5, 300), rng.uniform(0, 4, 300), np.zeros(300)]]
    instances = []
    for k in range(num_boxes):
        center, size = np.array([1.0 + k, 1.0 + k % 2 * 2, 0.5]), rng.uniform(0.4, 0.7, 3)
        unit = rng.uniform(-0.49, 0.49, (60, 3)) * size
        turn = np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]])
        parts.append(np.c_[unit[:, :2] @ turn.T, unit[:, 2]] + center)
        box = [*center.tolist(), *size.tolist(), *([yaw] if yaw else [])]
        instances.append(dict(bbox_3d=box, bbox_label_3d=LABELS[k]))
    points = np.concatenate(parts)
    return np.c_[points, rng.uniform(0, 1, len(points))].astype(np.float32), instances


def write_own_rooms(root: Path, yaw: float = 0.0) -> Path:
    """Write two rooms of each split; the second has no boxes. No masks, no alignment."""
    (root / 'points').mkdir()
    for split, seeds in (('train', (0, 1)), ('val', (2, 3))):
        infos = []
        for seed in seeds:
            points, instances = own_room(seed, 0 if seed % 2 else 4, yaw)
            points.tofile(root / 'points' / f'room{seed}.bin')
            cloud = dict(num_pts_feats=4, lidar_path=f'room{seed}.bin')
            infos.append(dict(lidar_points=cloud, instances=instances, sample_idx=f'room{seed}'))
        categories = {name: i for i, name in enumerate(CLASSES)}
        content = dict(metainfo=dict(categories=categories, dataset='own'), data_list=infos)
        (root / f'own_infos_{split}.pkl').write_bytes(pickle.dumps(content))
    return root
