"""3DETR's crop of indoor scenes."""

from dataclasses import dataclass

import numpy as np

from mmkd3d.registry import TRANSFORMS

CELLS = 16  # per axis, of CellCounts
FIRST_TRIES = 4  # after so many failures CellCounts saves more time than it takes


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
        xyz = np.ascontiguousarray(results['points'].coord.numpy().T)
        extent = np.ptp(xyz, axis=1)
        boxes = results.get('gt_bboxes_3d')
        centers = np.zeros((0, 3)) if boxes is None else boxes.gravity_center.numpy()
        counts = None
        for done in range(self.num_tries):
            if done == FIRST_TRIES and np.isfinite(extent).all():
                counts = CellCounts(xyz, extent)
            drawn = self._draw(xyz.shape[1])
            if drawn is None or (counts and counts.at_most(*drawn) < self.min_points):
                continue
            kept = self._try(xyz, extent, centers, *drawn)
            if kept is not None:
                return _crop(results, *kept)
        return results

    def _draw(self, num_points: int) -> tuple[np.ndarray, int] | None:
        """Fractions (3,) and the index of the centre; None if the aspect is wrong."""
        fractions = np.random.uniform(*self.crop_range, size=3)
        # Neighbours in size have the largest ratio.
        small, middle, large = sorted(fractions.tolist())
        if max(small / middle, middle / large) < self.aspect:
            return None
        return fractions, np.random.randint(num_points)

    def _try(
        self,
        xyz: np.ndarray,
        extent: np.ndarray,
        centers: np.ndarray,
        fractions: np.ndarray,
        center: int,
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Indices of the points and mask of the boxes to keep; None if it fails."""
        inside = np.ones(xyz.shape[1], bool)
        for x, middle, half in zip(xyz, xyz[:, center], extent * fractions / 2):
            offset = x - middle
            inside &= np.abs(offset, out=offset) <= half
            if np.count_nonzero(inside) < self.min_points:
                return None
        index = np.flatnonzero(inside)
        left = xyz.take(index, 1)
        held = ((centers >= left.min(1)) & (centers <= left.max(1))).all(1)
        if len(centers) and not held.any():
            return None
        return index, held


class CellCounts:
    """Upper bounds of the number of points in cuboids, from counts per cell of a grid.

    Args:
        xyz: Coordinates, (3, N).
        extent: Extent of each axis, (3,), finite.
    """

    def __init__(self, xyz: np.ndarray, extent: np.ndarray):
        low = xyz.min(1, keepdims=True)
        # from 0 to CELLS; the float is within 1e-5 of the exact place
        self.cells = (xyz - low) * (CELLS / np.maximum(extent, 1e-30))[:, None].astype('f4')
        x, y, z = np.minimum(self.cells.astype(np.int16), CELLS - 1)
        counts = np.bincount((x * CELLS + y) * CELLS + z, minlength=CELLS**3)
        table = np.zeros((CELLS + 1,) * 3, int)
        table[1:, 1:, 1:] = counts.reshape(CELLS, CELLS, CELLS).cumsum(0).cumsum(1).cumsum(2)
        self.sums = table.tolist()

    def at_most(self, fractions: np.ndarray, center: int) -> int:
        """Number of points in all cells that a cuboid touches.

        Args:
            fractions: Size of the cuboid as fractions of the extents, (3,).
            center: Index of the point in its middle.
        """
        middle, half = self.cells[:, center].tolist(), (fractions * (CELLS / 2)).tolist()
        (a, b), (c, d), (e, f) = [
            # 0.01 is more than all errors of rounding
            (max(int(m - h - 0.01), 0), min(int(m + h + 0.01) + 1, CELLS))
            for m, h in zip(middle, half)
        ]
        before, until = (
            plane[d][f] - plane[c][f] - plane[d][e] + plane[c][e]
            for plane in (self.sums[a], self.sums[b])
        )
        return until - before


def _crop(results: dict, points: np.ndarray, boxes: np.ndarray) -> dict:
    for key in ('points', 'pts_instance_mask', 'pts_semantic_mask'):
        if results.get(key) is not None:
            results[key] = results[key][points]
    for key in ('gt_bboxes_3d', 'gt_labels_3d'):
        if results.get(key) is not None:
            results[key] = results[key][boxes]
    return results
