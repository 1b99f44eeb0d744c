"""mmdetection3d's ScanNet folder: its content, and how to write one.

points/SCENE.bin            float32 (N, 6): xyz in metres (raw frame), rgb
semantic_mask/SCENE.bin     int64 (N,): nyu40 ids
instance_mask/SCENE.bin     int64 (N,): 0 = none
scannet_infos_{train,val}.pkl       info format 1.1
seg_info/{train,val}_{resampled_scene_idxs,label_weight}.npy
posed_images/SCENE/         NNNNN.jpg, NNNNN.png (depth, mm), cameras.npz
"""

import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np

CLASSES = (
    'cabinet',
    'bed',
    'chair',
    'sofa',
    'table',
    'door',
    'window',
    'bookshelf',
    'picture',
    'counter',
    'desk',
    'curtain',
    'refrigerator',
    'showercurtrain',
    'toilet',
    'sink',
    'bathtub',
    'garbagebin',
)
CLASS_IDS = (3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 24, 28, 33, 34, 36, 39)
SEG_IDS = (1, 2) + CLASS_IDS
FOLDERS = ('points', 'semantic_mask', 'instance_mask', 'seg_info')
POINTS_PER_PATCH = 8192  # of the semantic segmentation's sampling


def align(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Raw (N, 3) points in the aligned frame; ``matrix`` is (4, 4)."""
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def tight_boxes(points: np.ndarray, semantics: np.ndarray, instances: np.ndarray) -> list[dict]:
    """The boxes of the detection classes, tight around their points.

    Args:
        points: (N, 3) in the aligned frame.
        semantics: (N,) nyu40 ids.
        instances: (N,) ids, 0 = none.

    Returns:
        ``instances`` of the info format: ``bbox_3d`` (centre, full size) and
        ``bbox_label_3d``.
    """
    found = []
    for i in np.unique(instances[np.isin(semantics, CLASS_IDS)]):
        if i == 0:
            continue
        mask = instances == i
        low, high = points[mask].min(0), points[mask].max(0)
        label = CLASS_IDS.index(int(semantics[mask][0]))
        box = np.concatenate([(low + high) / 2, high - low])
        found.append(dict(bbox_3d=box.tolist(), bbox_label_3d=label))
    return found


def write_scene(
    out: Path,
    name: str,
    points: np.ndarray,
    semantics: np.ndarray,
    instances: np.ndarray,
    matrix: np.ndarray,
) -> dict:
    """Write the arrays of a scene.

    Args:
        out: Root of the layout.
        name: Of the scene.
        points: (N, 6) raw frame, rgb 0..255.
        semantics: (N,) nyu40 ids.
        instances: (N,) ids.
        matrix: (4, 4) ``axis_align_matrix``.

    Returns:
        Its info.
    """
    file = f'{name}.bin'
    points = points.astype(np.float32)
    points.tofile(out / 'points' / file)
    semantics.astype(np.int64).tofile(out / 'semantic_mask' / file)
    instances.astype(np.int64).tofile(out / 'instance_mask' / file)
    aligned = align(points[:, :3].astype(np.float64), matrix)
    return dict(
        lidar_points=dict(num_pts_feats=6, lidar_path=file),
        pts_semantic_mask_path=file,
        pts_instance_mask_path=file,
        instances=tight_boxes(aligned, semantics, instances),
        axis_align_matrix=matrix.tolist(),
    )


def write_infos(out: Path, split: str, infos: Sequence[dict]) -> None:
    """Write ``scannet_infos_SPLIT.pkl``."""
    metainfo = dict(
        categories={n: i for i, n in enumerate(CLASSES)}, dataset='scannet', info_version='1.1'
    )
    with open(out / f'scannet_infos_{split}.pkl', 'wb') as file:
        pickle.dump(dict(metainfo=metainfo, data_list=list(infos)), file)


def write_seg_info(out: Path, split: str, counts: np.ndarray) -> None:
    """Write the class weights and the re-sampled list of scenes.

    Args:
        out: Root of the layout.
        split: 'train' or 'val'.
        counts: (scenes, 20) points per class of ``SEG_IDS``.
    """
    share = counts.sum(0) / max(counts.sum(), 1)
    times = np.maximum(1, np.round(counts.sum(1) / POINTS_PER_PATCH))
    np.save(
        out / 'seg_info' / f'{split}_label_weight.npy', (1 / np.log(1.2 + share)).astype(np.float32)
    )
    np.save(
        out / 'seg_info' / f'{split}_resampled_scene_idxs.npy',
        np.repeat(np.arange(len(counts)), times.astype(int)).astype(np.int32),
    )
