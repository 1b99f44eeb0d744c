"""Transforms of one cloud: sampling, order and scale.

Augmentation is not here: the data preprocessor does it on whole batches.
Random choices use numpy's global generator, which mmengine seeds per worker.
"""

from dataclasses import dataclass

import numpy as np
import torch

from mmkd3d.ops.sampling import farthest_point_sample
from mmkd3d.registry import TRANSFORMS

MODES = ('unit_sphere', 'unit_cube', 'center')


def _take(results: dict, index: np.ndarray) -> dict:
    """Select points and their labels."""
    for key in ('points', 'gt_parts'):
        if key in results:
            results[key] = results[key].take(index, axis=0)
    return results


def _points(results: dict, name: str) -> np.ndarray:
    if 'points' not in results:
        raise ValueError(
            f"{name} needs 'points', got {sorted(results)}. Begin the "
            "pipeline with dict(type='LoadPoints')."
        )
    return results['points']


def subset(have: int, want: int) -> np.ndarray:
    """Indices (want,) of 0..have-1 in random order, each at most once.

    From numpy's global state, as ``np.random.choice(have, want, replace=False)``,
    which however permutes all.
    """
    generator = np.random.Generator(np.random.get_bit_generator())
    return generator.choice(have, want, replace=False)


@TRANSFORMS.register_module()
@dataclass
class SamplePoints:
    """Bring a cloud to ``num_points`` points.

    Args:
        num_points: N of the result.
        method: 'random'; 'fps' (farthest points, from the first one on); or
            'first', which keeps the order and is deterministic.
        replace: Always sample with replacement, as the published part
            segmentation does ('random' only).

    Drawn points are in random order, and every order is equally likely. A cloud
    with ``num_points`` points or fewer keeps all of them in their order; behind
    them it repeats some.

    Raises:
        ValueError: An unknown method.
    """

    num_points: int
    method: str = 'random'
    replace: bool = False

    def __post_init__(self):
        if self.method not in ('random', 'fps', 'first'):
            raise ValueError(
                f"SamplePoints: method is 'random', 'fps' or 'first', got {self.method!r}."
            )

    def __call__(self, results: dict) -> dict:
        points = _points(results, 'SamplePoints')
        return _take(results, self._choose(points))

    @staticmethod
    def spec_effect(step: dict, channels: int) -> dict:
        return dict(points=step.get('num_points'))

    def _choose(self, points: np.ndarray) -> np.ndarray:
        have, want = len(points), self.num_points
        if self.method == 'random' and self.replace:
            return np.random.randint(have, size=want)
        if have <= want:
            if self.method != 'random':
                return np.arange(want) % have
            extra = np.random.randint(have, size=want - have)
            return np.concatenate([np.arange(have), extra])
        if self.method == 'random':
            return subset(have, want)
        if self.method == 'first':
            return np.arange(want)
        return self._farthest(points)

    def _farthest(self, points: np.ndarray) -> np.ndarray:
        xyz = torch.from_numpy(np.ascontiguousarray(points[None, :, :3]))
        return farthest_point_sample(xyz, self.num_points)[0].numpy()


@TRANSFORMS.register_module()
@dataclass
class ShufflePoints:
    """Put the points in random order."""

    def __call__(self, results: dict) -> dict:
        points = _points(results, 'ShufflePoints')
        return _take(results, np.random.permutation(len(points)))


def center_and_scale(columns: np.ndarray, mode: str) -> tuple[np.ndarray, np.ndarray]:
    """Offset and scale of a cloud for :class:`NormalizePoints`.

    Args:
        columns: (..., 3, N).
        mode: One of ``MODES``.

    Returns:
        (..., 3, 1) and (..., 1, 1).
    """
    if mode == 'unit_cube':
        low, high = columns.min(-1, keepdims=True), columns.max(-1, keepdims=True)
        return (low + high) / 2, (high - low).max(-2, keepdims=True) / 2
    center = columns.sum(-1, keepdims=True) / columns.shape[-1]
    if mode == 'center':
        return center, np.ones_like(center[..., :1, :])
    squares = np.square(columns - center).sum(-2, keepdims=True)
    return center, np.sqrt(squares.max(-1, keepdims=True))


@TRANSFORMS.register_module()
@dataclass
class NormalizePoints:
    """Move a cloud to the origin and scale it; columns after xyz stay.

    Args:
        mode: 'unit_sphere' subtracts the mean of the points and divides by
            the largest norm, as all published object pretraining does;
            'unit_cube' centres the bounding box and divides by half its
            longest side; 'center' only subtracts the mean.

    Raises:
        ValueError: An unknown mode, or a cloud without extent.
    """

    mode: str = 'unit_sphere'

    def __post_init__(self):
        if self.mode not in MODES:
            raise ValueError(
                "NormalizePoints: mode is 'unit_sphere', "
                f"'unit_cube' or 'center', got {self.mode!r}."
            )

    def __call__(self, results: dict) -> dict:
        points = _points(results, 'NormalizePoints')
        columns = points[:, :3].T.astype(np.float64, order='C')  # faster to reduce
        center, scale = center_and_scale(columns, self.mode)
        if not scale > 0:
            source = results.get('path', results.get('sample_id', 'a cloud'))
            raise ValueError(
                f'{source}: all points coincide, there is no scale to '
                "normalise. Remove the file, or use mode='center'."
            )
        moved = np.ascontiguousarray(((columns - center) / scale).T, dtype=np.float32)
        if points.shape[1] > 3:
            moved = np.concatenate([moved, points[:, 3:]], axis=1)
        results['points'] = moved
        return results

    @staticmethod
    def spec_effect(step: dict, channels: int) -> dict:
        return dict(normalize=step.get('mode', 'unit_sphere'))


@TRANSFORMS.register_module()
@dataclass
class KeepViewPoints:
    """Copy the current xyz to ``view_points`` (M, 3), from which views are drawn.

    Put it before the points of the model are sampled, so that views show the
    dense cloud. Bring clouds of different sizes to one size first, with
    ``SamplePoints``; random sampling there makes other views in each epoch,
    ``method='fps'`` always the same ones.

    Raises:
        ValueError: No points.
    """

    def __call__(self, results: dict) -> dict:
        points = _points(results, 'KeepViewPoints')
        results['view_points'] = points[:, :3].astype(np.float32)
        return results
