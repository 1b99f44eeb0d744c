"""3DETR's crop of indoor scenes."""

from dataclasses import dataclass

import numpy as np

from mmkd3d.registry import TRANSFORMS


@TRANSFORMS.register_module()
@dataclass
class RandomCuboidCrop:
    """Keep the points in a random cuboid, and the boxes with centres there.

    The first augmentation of 3DETR, on the dense cloud: put it before
    ``PointSample``. A try draws a fraction of the scene for each axis and a
    point as the centre. If no try succeeds, or if the scene has fewer than
    ``min_points`` points, it is not cropped. Of the boxes only
    ``gt_bboxes_3d`` and ``gt_labels_3d`` are cropped.

    Args:
        min_points: Minimum number of points in the crop.
        crop_range: Smallest and largest fraction; SUN RGB-D (0.75, 1).
        aspect: Minimum ratio of the smaller to the larger fraction for at
            least one pair of axes; SUN RGB-D 0.75.
        num_tries: Maximum number of tries.

    Raises:
        ValueError: Fractions out of order or not in (0, 1].
    """

    min_points: int = 30000
    crop_range: tuple[float, float] = (0.5, 1.0)
    aspect: float = 0.8
    num_tries: int = 100

    def __post_init__(self):
        low, high = self.crop_range
        if not 0 < low <= high <= 1:
            raise ValueError(
                'RandomCuboidCrop: crop_range is the smallest and the largest '
                'fraction of a scene to keep, 0 < smallest <= largest <= 1, '
                f'got {self.crop_range}.'
            )

    def __call__(self, results: dict) -> dict:
        """Crop the scene.

        Args:
            results: ``points`` of mmdetection3d; ``gt_bboxes_3d`` with
                ``gt_labels_3d``, ``pts_instance_mask`` and
                ``pts_semantic_mask`` if present.
        """
        if len(results['points']) < self.min_points:
            return results
        # Whole columns: most tries fail on the first axes.
        xyz = np.ascontiguousarray(results['points'].coord.numpy().T)
        extent = np.ptp(xyz, axis=1)
        boxes = results.get('gt_bboxes_3d')
        centers = np.zeros((0, 3)) if boxes is None else (boxes.gravity_center.numpy())
        for _ in range(self.num_tries):
            kept = self._try(xyz, extent, centers)
            if kept is not None:
                return _crop(results, *kept)
        return results

    def _try(
        self, xyz: np.ndarray, extent: np.ndarray, centers: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Masks of the points (3, N) and boxes (M, 3) to keep; None if it fails."""
        fractions = np.random.uniform(*self.crop_range, size=3)
        # Neighbours in size have the largest ratio.
        ordered = np.sort(fractions)
        if (ordered[:-1] / ordered[1:]).max() < self.aspect:
            return None
        middle = xyz[:, np.random.randint(xyz.shape[1])]
        inside = True
        for x, center, half in zip(xyz, middle, extent * fractions / 2):
            inside = inside & (np.abs(x - center) <= half)
            if np.count_nonzero(inside) < self.min_points:
                return None
        left = xyz[:, inside]
        held = ((centers >= left.min(1)) & (centers <= left.max(1))).all(1)
        if len(centers) and not held.any():
            return None
        return inside, held


def _crop(results: dict, points: np.ndarray, boxes: np.ndarray) -> dict:
    for key in ('points', 'pts_instance_mask', 'pts_semantic_mask'):
        if results.get(key) is not None:
            results[key] = results[key][points]
    for key in ('gt_bboxes_3d', 'gt_labels_3d'):
        if results.get(key) is not None:
            results[key] = results[key][boxes]
    return results
