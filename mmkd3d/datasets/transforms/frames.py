"""Posed frames of a scan, in the coordinates of the augmented points."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import print_log
from mmengine.structures import InstanceData
from torch.utils.data import get_worker_info

from mmkd3d.datasets.posed_images import read_cameras, read_depth, read_image
from mmkd3d.datasets.readers import existing
from mmkd3d.ops import frame_visibility
from mmkd3d.registry import TRANSFORMS

# Needed to undo the augmentation; Pack3DDetInputs packs all of it by default.
META_KEYS = (
    'lidar_path',
    'axis_align_matrix',
    'transformation_3d_flow',
    'pcd_rotation',
    'pcd_scale_factor',
    'pcd_trans',
    'pcd_horizontal_flip',
    'pcd_vertical_flip',
)


@TRANSFORMS.register_module()
@dataclass
class LoadPosedFrames:
    """Add posed frames of a scan, as the field ``frames`` of the sample.

    Put it last, after ``Pack3DDetInputs``. The folder is that of
    :mod:`mmkd3d.datasets.scannet_layout`: ``ROOT/SCENE/NNNNN.jpg``,
    ``NNNNN.png`` (depth in mm, 0 = not measured) and ``cameras.npz`` with
    ``frame`` (F,), ``cam2world`` (F, 4, 4) in the raw frame of the scan and
    ``K_WxH`` (3, 3) for images of that size; SCENE is the stem of
    ``lidar_path``.

    ``frames`` is an ``InstanceData`` of F frames: ``image`` (F, 3, H, W)
    uint8; ``depth`` (F, h, w) float32 in metres; ``extrinsic`` (F, 4, 4)
    float32 from the points as the model gets them to the camera; ``intrinsic``
    (F, 3, 3) float32 for pixels of ``image``. Its metainfo ``scale`` is the
    factor by which the augmentation scaled the cloud; camera coordinates and
    depths are scaled with it.

    The augmentation is undone with mmdet3d's record of flips, rotation,
    scaling and translation. :func:`add_to_datasets` checks that nothing else
    in the pipeline moves the cloud.

    Poses with an infinite value or NaN are skipped and, by default, frames
    without a depth. Samples of scans without a folder or without frames are
    returned unchanged; the first one is logged, and ``num_without`` counts
    them.

    Args:
        root: Folder of the folders of the scans.
        num_frames: Frames per sample, if there are so many; None: all.
        size: H and W of the images.
        choose: 'random', or 'even' for evenly spread frames. Random choices
            do not use numpy's global generator: the augmentation is the same
            with and without frames.
        aligned: Whether ``GlobalAlignment``, which leaves no record, is in the
            pipeline.
        without_depth: 'skip' frames whose depth is missing or has no
            measurement; 'keep' them with a depth of zeros, for which
            :class:`PosedFrames` makes no visibility test.

    Raises:
        FileNotFoundError: No root, no cameras in a folder, or a missing image.
        ValueError: An unreadable file, no intrinsics for the size of the
            images, insufficient metainfo, or unknown options.
    """

    root: str | Path
    num_frames: int | None = None
    size: Sequence[int] = (240, 320)
    choose: str = 'random'
    aligned: bool = True
    without_depth: str = 'skip'

    def __post_init__(self):
        for name, known in (('choose', ('random', 'even')), ('without_depth', ('skip', 'keep'))):
            if getattr(self, name) not in known:
                raise ValueError(
                    f'LoadPosedFrames: {name} is one of {known}, got {getattr(self, name)!r}.'
                )
        self.num_without = 0
        self._seed = self._generator = None

    def __call__(self, packed: dict) -> dict:
        sample = packed['data_samples']
        if 'lidar_path' not in sample:
            raise ValueError(
                'LoadPosedFrames needs lidar_path in the metainfo, got '
                f'{sorted(sample.metainfo_keys())}. Put it after '
                'Pack3DDetInputs, with lidar_path in its meta_keys.'
            )
        scene = Path(sample.lidar_path).stem
        frames = self._load(Path(self.root) / scene)
        if not frames:
            self._warn_once(scene)
            return packed
        image, depth, pose, intrinsic = map(np.stack, zip(*frames))
        undo = undo_augmentation(sample.metainfo, self.aligned)
        scale = float(abs(np.linalg.det(undo[:3, :3])) ** (-1 / 3))
        extrinsic = np.linalg.inv(pose) @ undo
        extrinsic[:, :3] *= scale
        sample.frames = InstanceData(
            metainfo=dict(scale=scale),
            image=torch.from_numpy(image).movedim(-1, 1).contiguous(),
            depth=torch.from_numpy(depth) * scale,
            extrinsic=torch.from_numpy(extrinsic).float(),
            intrinsic=torch.from_numpy(intrinsic).float(),
        )
        return packed

    def _warn_once(self, scene: str) -> None:
        if not self.num_without:
            root = existing(
                self.root,
                'LoadPosedFrames reads frames there',
                'Set root to the folder of posed images.',
            )
            print_log(
                f'{scene} has no usable frames in {root}: its samples, and '
                'those of other scans without frames, pass through without '
                'the field frames.',
                'current',
                logging.WARNING,
            )
        self.num_without += 1

    def _load(self, folder: Path) -> list[tuple]:
        """Image, depth, pose and intrinsics of the chosen frames."""
        if not folder.is_dir():
            return []
        ids, poses, intrinsics = read_cameras(folder)
        usable = np.flatnonzero(np.isfinite(poses).all((1, 2)))
        want = len(usable) if self.num_frames is None else self.num_frames
        frames = []
        for i in self._order(usable, want):
            if len(frames) == want:
                break
            depth = read_depth(folder / f'{ids[i]:05d}.png')
            if depth is None and self.without_depth == 'skip':
                continue
            image, intrinsic = read_image(folder / f'{ids[i]:05d}.jpg', intrinsics, self.size)
            frames.append((image, depth, poses[i], intrinsic))
        blank = next(
            (np.zeros_like(depth) for _, depth, *_ in frames if depth is not None),
            np.zeros((1, 1), np.float32),
        )
        return [(image, blank if depth is None else depth, *rest) for image, depth, *rest in frames]

    def _order(self, usable: np.ndarray, want: int) -> np.ndarray:
        """Order in which frames are tried until enough are loaded."""
        if self.choose == 'random':
            return self._random().permutation(usable)
        first = np.linspace(0, len(usable) - 1, min(want, len(usable)))
        first = usable[first.round().astype(int)]
        return np.concatenate([first, np.setdiff1d(usable, first)])

    def _random(self) -> np.random.Generator:
        """A generator with a different seed in each worker and epoch."""
        worker = get_worker_info()
        seed = torch.initial_seed() if worker is None else worker.seed
        if seed != self._seed:
            self._seed, self._generator = seed, np.random.default_rng(seed)
        return self._generator


@TRANSFORMS.register_module()
@dataclass
class VisibleInFrame:
    """Keep the part of a cloud that its first frame shows.

    For pretraining on scenes, after :class:`LoadPosedFrames`: drops points
    that are hidden in the measured depth or outside of the image, and samples
    ``num_points`` of the rest with numpy's global generator; fewer are all
    kept and some repeated. Point labels are sampled too. A sample without
    frames, or with too few visible points, becomes None, for which mmdet3d's
    data sets draw another one in training.

    Args:
        num_points: N of the result.
        tolerance: See :class:`PosedFrames`.
        min_points: Minimum number of visible points.
    """

    num_points: int
    tolerance: float = 0.05
    min_points: int = 512

    def __call__(self, packed: dict) -> dict | None:
        sample, points = packed['data_samples'], packed['inputs']['points']
        frames = sample.get('frames')
        if frames is None:
            return None
        first = frames[:1]
        _, seen = frame_visibility(
            points[None, :, :3],
            first.extrinsic,
            first.intrinsic,
            first.depth,
            first.image.shape[-2:],
            self.tolerance * frames.scale,
        )
        index = seen[0].nonzero()[:, 0].numpy()
        have, want = len(index), self.num_points
        if have < max(self.min_points, 1):
            return None
        chosen = np.random.permutation(have)[:want]
        if have < want:
            extra = np.random.randint(have, size=want - have)
            chosen = np.concatenate([chosen, extra])
        chosen = torch.from_numpy(index[chosen])
        packed['inputs']['points'] = points[chosen]
        labels = sample.get('gt_pts_seg')
        for key in () if labels is None else labels.keys():
            labels.set_field(labels[key][chosen], key)
        return packed


def undo_augmentation(metainfo: dict, aligned: bool) -> np.ndarray:
    """Matrix from the points of a sample to the raw coordinates of its scan.

    Args:
        metainfo: Of the packed sample.
        aligned: Whether its ``axis_align_matrix`` was applied, first of all.

    Returns:
        (4, 4), affine.

    Raises:
        ValueError: The record of the augmentation is insufficient.
    """
    from mmdet3d.models.layers.fusion_layers import apply_3d_transformation

    if metainfo.get('transformation_3d_flow', []).count('R') > 1:
        raise ValueError(
            'The cloud was rotated more than once, and mmdet3d records only '
            'the last rotation, so it cannot be projected into frames. Put '
            'one GlobalRotScaleTrans in the pipeline.'
        )
    recorded = {key: metainfo[key] for key in META_KEYS if key in metainfo}
    if 'pcd_rotation' in recorded:
        recorded['pcd_rotation'] = np.asarray(recorded['pcd_rotation'])
    corners = (
        apply_3d_transformation(torch.eye(4)[:, :3], 'DEPTH', recorded, reverse=True)
        .double()
        .numpy()
    )
    undo = np.eye(4)
    undo[:3, 3] = corners[3]  # of the origin
    undo[:3, :3] = (corners[:3] - corners[3]).T
    if not aligned:
        return undo
    if 'axis_align_matrix' not in metainfo:
        raise ValueError(
            'LoadPosedFrames needs axis_align_matrix in the metainfo of an '
            'aligned scan. Keep it in the meta_keys of Pack3DDetInputs, or '
            'set aligned=False if GlobalAlignment is not in the pipeline.'
        )
    return np.linalg.inv(np.asarray(metainfo['axis_align_matrix'])) @ undo


def add_to_datasets(dataset, transform_cfg: dict) -> list:
    """Append a :class:`LoadPosedFrames` to the pipeline of every data set.

    Args:
        dataset: Of mmdet3d, in any number of wrappers.
        transform_cfg: Of the transform; ``aligned`` is set here, according to
            the pipeline.

    Returns:
        The transforms, one for each data set.

    Raises:
        ValueError: A pipeline that moves the cloud in a way that cannot be
            undone, or that does not pack the metainfo for it; or no pipeline.
    """
    added = []
    for inner in _inner(dataset):
        transforms = getattr(getattr(inner, 'pipeline', None), 'transforms', None)
        if transforms is None:
            raise ValueError(
                f'{type(inner).__name__} has no pipeline to which '
                'LoadPosedFrames could be added. Use a data set of mmdet3d.'
            )
        cfg = dict(transform_cfg, aligned=_aligns(transforms))
        added.append(TRANSFORMS.build({'_scope_': 'mmkd3d', **cfg}))
        transforms.append(added[-1])
    return added


def _inner(dataset) -> Iterator:
    """Data sets inside of wrappers."""
    wrapped = getattr(dataset, 'datasets', None)
    if wrapped is None and hasattr(dataset, 'dataset'):
        wrapped = [dataset.dataset]
    if wrapped is None:
        yield dataset
    else:
        for one in wrapped:
            yield from _inner(one)


def _aligns(transforms: list) -> bool:
    """Whether a pipeline aligns clouds; see :func:`add_to_datasets`."""
    names = [type(step).__name__ for step in transforms]
    if 'IndoorPatchPointSample' in names:
        raise ValueError(
            'IndoorPatchPointSample moves a cloud and does not record how, so '
            'it cannot be projected into frames. Sample points with '
            "dict(type='mmdet3d.PointSample', num_points=...) in its place."
        )
    for step in transforms:
        missing = set(META_KEYS).difference(getattr(step, 'meta_keys', META_KEYS))
        if missing:
            raise ValueError(
                f'{type(step).__name__} drops {", ".join(sorted(missing))}, '
                'which are needed to project clouds into frames. Add them to its '
                'meta_keys, or leave meta_keys at the default.'
            )
    if 'GlobalAlignment' not in names:
        return False
    for name in names[: names.index('GlobalAlignment')]:
        if name in ('RandomFlip3D', 'GlobalRotScaleTrans'):
            raise ValueError(
                f'{name} stands before GlobalAlignment; LoadPosedFrames '
                'undoes the alignment last. Put GlobalAlignment first.'
            )
    return True
