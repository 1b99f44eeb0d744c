"""Load points, and pack the results."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.structures import BaseDataElement

from mmkd3d.datasets.coordinates import check_points, finite_rows
from mmkd3d.datasets.labels import check_labels
from mmkd3d.datasets.readers import read_points, select_channels
from mmkd3d.registry import TRANSFORMS


@TRANSFORMS.register_module()
@dataclass(kw_only=True)
class LoadPoints:
    """Read ``results['path']``, or check the points that are already there.

    The same pipeline works for data sets of files and of arrays.

    Args:
        columns: Names of the columns to read from files, see
            :func:`~mmkd3d.datasets.readers.read_file`; None: x, y, z and then
            all others.
        channels: Number of columns to keep of these, or their indices; None
            keeps all, 'auto' keeps all of ``columns`` or, without them, three.
        parts_column: Column of the file that holds a part label per point;
            it becomes ``gt_parts``. Counted before ``channels`` are chosen.
        missing: 'error', or 'zero' to fill missing columns with zeros.
        drop_nan: Drop points with a NaN or infinite value, and their part labels.
        load_dim: Columns of a ``.bin`` file.
        num_mesh_points: Points drawn from the surface of a mesh file.
        seed: Seed of that draw.

    Raises:
        ValueError: The file is damaged, holds no or non-finite points or too
            few columns, or a part label is not one of
            ``results['part_ids']``; the message names the file.
    """

    columns: Sequence[str] | None = None
    channels: int | Sequence[int] | str | None = 'auto'
    parts_column: int | None = None
    missing: str = 'error'
    drop_nan: bool = False
    load_dim: int | None = None
    num_mesh_points: int = 8192
    seed: int = 0

    def __post_init__(self):
        self.channels = _channels(self.channels, self.columns)

    def __call__(self, results: dict) -> dict:
        if 'points' in results:
            source = results.get('sample_id', 'points')
            points = self._checked(results, source)
        elif 'path' in results:
            source = results['path']
            points = read_points(
                source,
                drop_nan=self.drop_nan,
                columns=self.columns,
                load_dim=self.load_dim,
                num_mesh_points=self.num_mesh_points,
                seed=self.seed,
            )
        else:
            raise ValueError(f"LoadPoints needs 'path' or 'points', got {sorted(results)}.")
        if self.parts_column is not None and 'gt_parts' not in results:
            results['gt_parts'] = self._take_parts(points, source)
        if 'part_ids' in results and 'gt_parts' in results:
            check_labels(results['gt_parts'], results['part_ids'], source, 'part label')
        results['points'] = select_channels(points, self.channels, source, missing=self.missing)
        return results

    @staticmethod
    def spec_effect(step: dict, channels: int) -> dict:
        kept = _channels(step.get('channels', 'auto'), step.get('columns'))
        return dict(channels=len(kept) if isinstance(kept, Sequence) else kept)

    def _checked(self, results: dict, source: str) -> np.ndarray:
        given = np.asarray(results['points'])
        points = check_points(given, source, drop_nan=self.drop_nan)
        if len(points) < len(given) and 'gt_parts' in results:
            results['gt_parts'] = results['gt_parts'][finite_rows(given)]
        return points

    def _take_parts(self, points: np.ndarray, source: str) -> np.ndarray:
        column = select_channels(points, [self.parts_column], source)
        return np.round(column[:, 0]).astype(np.int64)


def _channels(channels: Any, columns: Sequence[str] | None) -> Any:
    """``channels`` of LoadPoints, with 'auto' replaced."""
    if channels != 'auto':
        return channels
    return len(columns) if columns else 3


@TRANSFORMS.register_module()
@dataclass(kw_only=True)
class SceneToCloud:
    """Convert a scan loaded by mmdetection3d's transforms to one of our clouds.

    Put it after ``mmdet3d.LoadPointsFromFile`` and, for ScanNet,
    ``mmdet3d.GlobalAlignment``, before our transforms. The origin moves to
    the centre of the floor and units stay metres, so that pretraining and
    detection have the same input.

    Raises:
        ValueError: No points that mmdetection3d loaded.
    """

    def __call__(self, results: dict) -> dict:
        points = getattr(results.get('points'), 'tensor', None)
        if points is None:
            raise ValueError(
                'SceneToCloud needs the points of mmdetection3d, got '
                f'{type(results.get("points")).__name__}. Begin the pipeline '
                "with dict(type='mmdet3d.LoadPointsFromFile', ...)."
            )
        path = results.get('lidar_points', {}).get('lidar_path', '?')
        points = check_points(points.numpy(), path)
        low, high = points[:, :3].min(axis=0), points[:, :3].max(axis=0)
        origin = np.append((low[:2] + high[:2]) / 2, low[2])
        points = np.concatenate([points[:, :3] - origin, points[:, 3:]], 1)
        return dict(results, points=points.astype(np.float32), sample_id=path)


@TRANSFORMS.register_module()
@dataclass(kw_only=True)
class PackPoints:
    """Pack the results into the item that the data preprocessor takes.

    ``inputs``: ``points`` (N, 3+F) float and, where the data set renders
    them, ``views`` (V, H, W) float. ``data_samples``: an element with the
    metainfo ``sample_id``, ``category``, ``caption`` and ``copy_idx`` and the fields
    ``gt_label`` (long scalar), ``gt_parts`` (N,) long, ``gt_symmetry`` (3,) bool,
    ``gt_pose`` (3, 3) float, ``image`` (3, H, W) float in [0, 1] and
    ``view_points`` (M, 3) float, if present.

    Raises:
        ValueError: Points that are no usable cloud, or an image that is not
            a tensor yet.
    """

    meta_keys: Sequence[str] = ('sample_id', 'category', 'caption', 'copy_idx')

    def __call__(self, results: dict) -> dict:
        points = check_points(results['points'], results.get('sample_id', '?'))
        inputs = dict(points=torch.from_numpy(points))
        if 'views' in results:
            inputs['views'] = torch.as_tensor(results['views'])
        sample = BaseDataElement()
        for key in self.meta_keys:
            if key in results:  # set_metainfo would copy it
                sample.set_field(results[key], key, field_type='metainfo')
        if 'gt_label' in results:
            sample.gt_label = torch.tensor(int(results['gt_label']))
        if 'gt_parts' in results:
            sample.gt_parts = torch.as_tensor(np.asarray(results['gt_parts'], dtype=np.int64))
        if 'image' in results:
            sample.image = self._image(results['image'])
        for key in ('gt_symmetry', 'gt_pose', 'view_points'):
            if key in results:
                sample.set_field(torch.from_numpy(results[key]), key)
        return dict(inputs=inputs, data_samples=sample)

    @staticmethod
    def _image(image) -> torch.Tensor:
        if not isinstance(image, torch.Tensor):
            raise ValueError(
                'PackPoints needs the image as a tensor (3, H, W), got a '
                f"{type(image).__name__}. Put dict(type='AugmentRendering') "
                'after LoadRendering.'
            )
        return image
