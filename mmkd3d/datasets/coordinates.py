"""Check clouds, and move them near the origin, where float32 is fine enough.

float32 has 24 binary digits: at the coordinates of a map (5,400,000 m north) its
steps are 0.5 m. Where its steps exceed ``PRECISION`` of a cloud, the cloud gets
an origin of its own, which is taken off in double precision before anything
becomes float32; see :func:`origin_of`. All other clouds stay as they are.
"""

import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor

Cloud = np.ndarray | Tensor

# Steps of float32 at the largest coordinate, as a part of the cloud's extent: it is moved from
# PRECISION on, that is about 100 extents from zero; from ROUNDED on shapes are visibly damaged.
PRECISION = 1e-5
ROUNDED = 1e-3
OUTLIER = 100  # extents of most points
INFINITE = 2.0**128 - 2.0**103  # from here on, float32 rounds to infinity
# An array with so few rows and so many columns is a transposed cloud.
FEW_ROWS, MANY_COLUMNS = 16, 32
_told: set[str] = set()


class LocalCloud(NamedTuple):
    """A cloud near the origin.

    Attributes:
        name: For errors.
        points: (N, C) float32, xyz first, without ``origin``.
        origin: (3,) float64, to be added to xyz; zeros for most clouds.
    """

    name: str
    points: np.ndarray
    origin: np.ndarray


class Extent(NamedTuple):
    """Bounding boxes of a cloud: of all points, and of most (:func:`bulk`).

    Three numbers are faster as lists of Python than as arrays.
    """

    low: list[float]
    high: list[float]
    bulk_low: list[float]
    bulk_high: list[float]

    @classmethod
    def of(cls, points: np.ndarray) -> 'Extent':
        """The boxes of (N, >=3) finite numbers, xyz first."""
        low, high = (_reduce(points, f)[:3].tolist() for f in (np.minimum, np.maximum))
        return cls(low, high, *bulk(points[:, :3]))

    def longest(self) -> float:
        return max(high - low for low, high in zip(self.low, self.high))

    def longest_of_bulk(self) -> float:
        return max(high - low for low, high in zip(self.bulk_low, self.bulk_high))


def check_points(points: Cloud, source: str | Path, *, drop_nan: bool = False) -> np.ndarray:
    """Convert a cloud to a new float32 array, or refuse it.

    A cloud far from zero is moved to its own origin, see :func:`origin_of`.

    Args:
        points: (N, C) numbers, the first three columns are x, y, z.
        source: File or sample, for the error.
        drop_nan: Drop rows with a NaN or infinite value.

    Raises:
        ValueError: No (N, >=3) array, a transposed one, no point, or a NaN or
            infinite value.
    """
    return local_cloud(points, source, drop_nan=drop_nan).points


def local_cloud(
    points: Cloud,
    source: str | Path,
    *,
    drop_nan: bool = False,
    up: str | None = None,
    copy: bool = True,
) -> LocalCloud:
    """As :func:`check_points`, with the origin that was taken off.

    Logs the first origin of a process, and warns about coordinates that were
    rounded before and about points far from all others.

    Args:
        points, source, drop_nan: See :func:`check_points`.
        up: Axis that points up, see :func:`origin_of`.
        copy: Without, a float32 array that need not be moved is returned itself.
    """
    array = _numbers(points, source)
    with np.errstate(invalid='ignore'):
        least, most = float(array.min()), float(array.max())  # NaN if there is one
    if not -INFINITE < least <= most < INFINITE:
        keep = finite_rows(array)
        _refuse_nan(keep, source, drop_nan)
        array = array[keep]
    elif _is_near(array, least, most):
        return LocalCloud(str(source), array.astype(np.float32, copy=copy), np.zeros(3))
    extent = Extent.of(array)
    origin = _origin(extent, up)
    _warn_outliers(array, extent, source)
    if not origin.any():
        return LocalCloud(str(source), array.astype(np.float32, copy=copy), origin)
    _tell_origin(source, origin)
    _warn_rounded(array, source)
    xyz = array[:, :3].astype(np.float64) - origin
    moved = np.concatenate([xyz, array[:, 3:]], axis=1).astype(np.float32)
    return LocalCloud(str(source), moved, origin)


def origin_of(points: np.ndarray, up: str | None = None) -> np.ndarray:
    """The origin of a cloud: zeros unless float32 is too coarse for it.

    It is too coarse if its steps at the largest coordinate exceed
    ``PRECISION`` times the longest side of the bounding box, of all points or,
    if a few lie far away, of the others (:func:`bulk`). Then the origin is
    the centre of the box, on the axes where that lies farther from zero than
    the longest side: heights near zero stay. It is rounded to whole units (to
    halves, quarters, ... for clouds smaller than a unit), so that it can be
    written, subtracted and added exactly.

    Args:
        points: (N, >=3), xyz first.
        up: Axis along which the lowest coordinate takes the place of the
            centre: the floor of a room.

    Returns:
        (3,) float64.
    """
    return _origin(Extent.of(points), up)


def _origin(extent: Extent, up: str | None) -> np.ndarray:
    steps = np.spacing(np.float32(max(-min(extent.low), max(extent.high))))
    low, high, longest = extent.low, extent.high, extent.longest()
    if not 0 < PRECISION * longest < steps:
        low, high, longest = extent.bulk_low, extent.bulk_high, extent.longest_of_bulk()
        if not 0 < PRECISION * longest < steps:
            return np.zeros(3)
    center = (np.array(low) + np.array(high)) / 2
    if up is not None:
        center['xyz'.index(up)] = low['xyz'.index(up)]
    step = 2.0 ** min(0, np.floor(np.log2(longest)))
    return np.where(abs(center) > longest, np.rint(center / step) * step, 0.0)


def _is_near(points: np.ndarray, least: float, most: float) -> bool:
    """Whether it is plain that a cloud needs no origin and has no outliers.

    Args:
        points: (N, >=3) finite numbers, xyz first.
        least: The smallest of all.
        most: The largest.
    """
    low, high = bulk(points[:, :3])
    longest = max(b - a for a, b in zip(low, high))
    center = [(a + b) / 2 for a, b in zip(low, high)]
    farthest = max(most - min(center), max(center) - least)
    # float32 has 24 digits: its steps are at most 2^-23 of a number
    return PRECISION * longest > max(-least, most) * 2.0**-22 and farthest < OUTLIER * longest


def _reduce(points: np.ndarray, function: np.ufunc) -> np.ndarray:
    """Minimum or maximum of every column (N, C); numpy is fast on a few long rows."""
    while len(points) >= 64 and points.flags.c_contiguous:
        length = len(points) // 16
        rows, rest = points[: 16 * length], points[16 * length :]
        points = function.reduce(rows.reshape(16, -1)).reshape(length, -1)
        if len(rest):
            points = np.concatenate([points, rest])
    return function.reduce(points)


def bulk(xyz: np.ndarray) -> tuple[list[float], list[float]]:
    """Bounding box of most points (N, 3), by quantiles of at most 256 of them.

    Zeros, which scanners write for missing points, do not count.
    """
    if not xyz[:, 0].all():
        xyz = _measured(xyz)
    some = xyz[:: -(-len(xyz) // 256)].T.astype(np.float64, order='C')
    some.sort(axis=1)
    last = some.shape[1] - 1
    return some[:, round(0.1 * last)].tolist(), some[:, round(0.9 * last)].tolist()


def _measured(xyz: np.ndarray) -> np.ndarray:
    """Points (N, 3) other than (0, 0, 0); all if there are no others."""
    seen = xyz.any(axis=1)
    return xyz if seen.all() or not seen.any() else xyz[seen]


def finite_rows(points: np.ndarray) -> np.ndarray:
    """Rows of (N, C) whose values are all finite, also in float32; (N,) bool."""
    with np.errstate(over='ignore'):
        return np.isfinite(points.astype(np.float32)).all(axis=1)


def is_transposed(rows: int, columns: int) -> bool:
    """Whether the shape of a cloud is that of its transpose."""
    return rows <= FEW_ROWS and columns >= MANY_COLUMNS


def _numbers(points: Cloud, source: str | Path) -> np.ndarray:
    """The cloud as an (N, >=3) array of its own type, or a ``ValueError``.

    Masked values become NaN.
    """
    if isinstance(points, Tensor):
        if points.layout != torch.strided:
            raise ValueError(
                f'{source}: expected points as an (N, >=3) array, got a tensor of layout '
                f'{points.layout}. Give points.to_dense().'
            )
        points = points.detach().cpu()
        points = (points.float() if points.dtype == torch.bfloat16 else points).numpy()
    if isinstance(points, np.ma.MaskedArray) and points.dtype.kind in 'fiu':
        points = np.ma.filled(points.astype(np.result_type(points, np.float16)), np.nan)
    points = np.asarray(points)
    if not points.size:
        raise ValueError(f'{source}: the cloud is empty. Remove the file or make it again.')
    if points.ndim != 2 or points.shape[1] < 3:
        raise ValueError(
            f'{source}: expected points as an (N, >=3) array, got shape '
            f'{points.shape}. Store one cloud per file, one point per row.'
        )
    if is_transposed(*points.shape):
        raise ValueError(
            f'{source}: expected points as an (N, >=3) array, one per row, got shape '
            f'{points.shape}, which seems to be transposed. Give points.T, or '
            'points.transpose(0, 2, 1) of a batch of clouds.'
        )
    if points.dtype.kind not in 'fiu':
        raise ValueError(f'{source}: expected real numbers, got dtype {points.dtype}.')
    return points


def _refuse_nan(keep: np.ndarray, source: str | Path, drop_nan: bool) -> None:
    """``ValueError`` about rows that are not finite, unless they can be dropped."""
    if keep.any() and drop_nan:
        return
    advice = (
        'Make the file again.'
        if drop_nan
        else 'Drop those rows (drop_nan=True, --drop-nan) or make the file again.'
    )
    raise ValueError(
        f'{source}: {(~keep).sum()} of {len(keep)} points have a NaN or infinite value '
        f'(the first in row {keep.argmin()}). {advice}'
    )


def _tell_origin(source: str | Path, origin: np.ndarray) -> None:
    if 'origin' not in _told:
        _told.add('origin')
        print_log(
            f'{source}: coordinates are too large for float32. The origin '
            f'{tuple(origin.tolist())} is taken off; each such cloud has its own.',
            'current',
        )


def _warn_outliers(points: np.ndarray, extent: Extent, source: str | Path) -> None:
    """Warn if points lie far from most of a cloud, such as zeros in map coordinates."""
    center = [(low + high) / 2 for low, high in zip(extent.bulk_low, extent.bulk_high)]
    reach = OUTLIER * extent.longest_of_bulk()
    sides = zip(extent.low, center, extent.high)
    farthest = max(max(high - middle, middle - low) for low, middle, high in sides)
    if farthest > reach > 0:  # 0: most are the same point
        far = abs(points[:, :3] - center).max(axis=1) > reach
        first = far.argmax()
        warnings.warn(
            f'{source}: {far.sum()} of {len(far)} points lie far from the others, the first in '
            f'row {first} at {tuple(points[first, :3].tolist())}. If they are no measurements, '
            'remove them.',
            stacklevel=2,
        )


def _warn_rounded(points: np.ndarray, source: str | Path) -> None:
    """Warn if the coordinates of a cloud far from zero were rounded to float32, or float16."""
    kind = np.float16 if points.dtype == np.float16 else np.float32
    xyz = _measured(points[:, :3]).astype(np.float64)
    near, far = (f(abs(xyz), axis=0).astype(kind) for f in (np.min, np.max))
    fine, coarse = (np.spacing(x).astype(np.float64) for x in (near, far))
    extent = np.ptp(xyz, axis=0).max()
    for axis in np.argsort(-coarse, kind='stable'):
        steps = xyz[:, axis] / fine[axis]
        rounded = (steps == np.rint(steps)).all() and (steps % 2 == 1).any()
        if rounded and coarse[axis] > ROUNDED * extent:
            warnings.warn(
                f'{source}: {"xyz"[axis]} goes in steps of {coarse[axis]:g} up to '
                f'{far[axis]:.8g}, the cloud extends over {extent:.4g}: the coordinates were '
                f'rounded to {kind.__name__} before, and details are lost. Make the file again '
                'in double precision, or subtract an origin before rounding.',
                stacklevel=2,
            )
            return
