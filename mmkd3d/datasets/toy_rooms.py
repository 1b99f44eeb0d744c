"""ToyRooms: indoor scenes made from a seed, in mmdet3d's ScanNet layout."""

import json
import logging
import shutil
from pathlib import Path

import numpy as np
from mmengine.dist import barrier, is_main_process
from mmengine.logging import print_log

from mmkd3d.datasets import scannet_layout as layout
from mmkd3d.datasets.procedural.rooms.frames import write_frames
from mmkd3d.datasets.procedural.rooms.lived_in import build_lived_in_room
from mmkd3d.datasets.procedural.rooms.room import NYU40, build_room
from mmkd3d.datasets.procedural.rooms.scan import Scene, scan, stand_points, walk
from mmkd3d.registry import DATASETS

VERSION = 1  # of what a seed gives; raise it when that changes
STAMP = 'toy_rooms.json'
FIRST_NUMBER = dict(train=0, val=5000)
# y up (the builders) to z up (mmdet3d's depth coordinates)
UPRIGHT = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
MIN_POINTS = 20  # an object with fewer is left unlabelled

_made: dict[Path, dict] = {}  # what this process has asked for, by folder


def write_toy_rooms(
    out: str | Path,
    *,
    num_train: int = 48,
    num_val: int = 16,
    num_points: int = 20000,
    seed: int = 0,
    frames: int = 0,
    lived_in: bool = False,
) -> Path:
    """Write furnished rooms as mmdetection3d's ScanNet preparation would.

    Stock ``ScanNetDataset`` and ``ScanNetSegDataset`` read the folder. A
    scene depends on ``(seed, split, index)`` and ``num_points`` alone. The
    parameters are kept in a stamp file: nothing is done where they agree,
    all is made again where they differ. In a distributed run the first
    process writes and the others wait.

    Args:
        out: Folder; see :mod:`mmkd3d.datasets.scannet_layout`.
        num_train: Rooms of the training split.
        num_val: Rooms of the validation split.
        num_points: Points of each scan.
        seed: Names the whole data set.
        frames: Posed colour and depth images of each room.
        lived_in: Rooms of any size, some L-shaped, with furniture and clutter of
            ``ToyShapes`` close together, scanned by a depth camera that walks about, with
            its occlusion, noise and uneven density. Otherwise tidy rooms, seen completely.

    Returns:
        ``out``.

    Raises:
        FileExistsError: The folder holds something else.
        ValueError: This process already uses the folder with other
            parameters.
    """
    out = Path(out).resolve()
    wanted = dict(
        version=VERSION,
        num_train=num_train,
        num_val=num_val,
        num_points=num_points,
        seed=seed,
        frames=frames,
    )
    if lived_in:  # the stamps of older folders do not have it
        wanted['lived_in'] = True
    if _made.setdefault(out, wanted) != wanted:
        raise ValueError(
            f'{out} is in use with {_made[out]}, now {wanted} is needed. '
            'Give every split of one folder the same parameters.'
        )
    if is_main_process():
        _write_all(out, wanted)
    barrier()
    return out


def _write_all(out: Path, wanted: dict) -> None:
    stamp = out / STAMP
    if stamp.exists():
        if json.loads(stamp.read_text()) == dict(wanted, complete=True):
            return
        shutil.rmtree(out)
    elif out.exists() and any(out.iterdir()):
        raise FileExistsError(
            f'{out} is not empty and not a folder of toy rooms (no {STAMP}). '
            'Choose another data_root.'
        )
    for folder in layout.FOLDERS:
        (out / folder).mkdir(parents=True, exist_ok=True)
    stamp.write_text(json.dumps(dict(wanted, complete=False)))
    print_log(
        f'Making {wanted["num_train"]} + {wanted["num_val"]} toy rooms in {out}',
        'current',
        logging.INFO,
    )
    for split in ('train', 'val'):
        made = [_write_room(out, split, index, wanted) for index in range(wanted[f'num_{split}'])]
        layout.write_infos(out, split, [info for info, _ in made])
        counts = np.array([c for _, c in made]).reshape(len(made), len(layout.SEG_IDS))
        layout.write_seg_info(out, split, counts)
    stamp.write_text(json.dumps(dict(wanted, complete=True)))


def _alignment(rng: np.random.Generator) -> np.ndarray:
    """A raw frame that is turned and shifted: (4, 4) raw -> aligned."""
    angle = rng.uniform(-np.pi, np.pi)
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    matrix[:3, 3] = rng.uniform((-4, -4, -0.1), (4, 4, 0.1))
    return matrix


def _write_room(out: Path, split: str, index: int, wanted: dict) -> tuple:
    """Info of a new scene, and its points per semantic class."""
    rng = np.random.Generator(np.random.PCG64([wanted['seed'], FIRST_NUMBER[split], index]))
    name = f'scene{FIRST_NUMBER[split] + index:04d}_00'
    matrix = _alignment(rng)
    if wanted.get('lived_in'):
        scene = Scene(build_lived_in_room(rng), rng)
        eyes = stand_points(scene.room, 6, rng) if wanted['frames'] else None
        cloud = walk(scene, wanted['num_points'], rng)
    else:
        scene = Scene(build_room(rng), rng)
        eyes = stand_points(scene.room, 6, rng)
        cloud = scan(scene, wanted['num_points'], rng, eyes)
    semantics = np.array([NYU40[i.name] for i in scene.room.items])[cloud.item]
    instances = cloud.item + 1
    rare = np.bincount(instances)[instances] < MIN_POINTS
    semantics, instances = np.where(rare, 0, (semantics, instances))
    # aligned = matrix @ raw, and the builders' room stands aligned
    raw = (cloud.points @ UPRIGHT.T - matrix[:3, 3]) @ matrix[:3, :3]
    info = layout.write_scene(
        out, name, np.concatenate([raw, cloud.colors.round()], 1), semantics, instances, matrix
    )
    if wanted['frames']:
        to_raw = np.linalg.inv(matrix)
        to_raw[:3, :3] = to_raw[:3, :3] @ UPRIGHT
        write_frames(out / 'posed_images' / name, scene, eyes, wanted['frames'], rng, to_raw)
    return info, [int((semantics == i).sum()) for i in layout.SEG_IDS]


def _rooms(dataset: str, data_root, ann_file, rooms, kwargs):
    from mmdet3d import datasets

    write_toy_rooms(data_root, **(rooms or {}))
    return getattr(datasets, dataset)(data_root=str(data_root), ann_file=ann_file, **kwargs)


@DATASETS.register_module(name='ToyRooms')
def toy_rooms(
    data_root: str | Path,
    *,
    ann_file: str = 'scannet_infos_train.pkl',
    rooms: dict | None = None,
    **kwargs,
):
    """mmdet3d's ``ScanNetDataset`` on rooms that are written on first use.

    Args:
        data_root: Folder of the rooms.
        ann_file: Which split.
        rooms: Arguments of :func:`write_toy_rooms`; the same in every split.
        kwargs: Arguments of ``ScanNetDataset``.
    """
    return _rooms('ScanNetDataset', data_root, ann_file, rooms, kwargs)


@DATASETS.register_module(name='ToyRoomsSeg')
def toy_rooms_seg(
    data_root: str | Path,
    *,
    ann_file: str = 'scannet_infos_train.pkl',
    rooms: dict | None = None,
    **kwargs,
):
    """mmdet3d's ``ScanNetSegDataset`` on such rooms; see :func:`toy_rooms`."""
    return _rooms('ScanNetSegDataset', data_root, ann_file, rooms, kwargs)
