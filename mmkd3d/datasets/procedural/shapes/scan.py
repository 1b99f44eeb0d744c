"""A scan of a single shape: what depth cameras around it see."""

import numpy as np

from mmkd3d.ops.compiled import kernels

from ..solids import cross, dot
from ..surface import unoccluded

DENSITY = 3  # points on the whole surface for each point of the scan
FEWEST = 3072  # and at least so many, to hide what is behind
PIXELS = 48  # rows and columns of the visibility buffer
SLACK = 0.08  # surfaces closer than this behind another one are visible, in radii
VIEWS = (1, 1, 1, 2, 3, 5)  # numbers of viewpoints, equally likely
HOLES = 3  # at most
OUTLIERS = 0.02  # largest share of points that are moved along their ray


def surface_points(num_points: int) -> int:
    """Number of points on the whole surface that a scan with ``num_points`` needs."""
    return max(DENSITY * num_points, FEWEST)


def stand_around(rng: np.random.Generator) -> np.ndarray:
    """Viewpoints (V, 3) around the unit sphere, mostly slightly from above."""
    count = VIEWS[rng.integers(len(VIEWS))]
    azimuth, distance = rng.uniform(0, 2 * np.pi, count), rng.uniform(2.2, 4.5)
    height = np.clip(rng.normal(0.35, 0.3, count), -0.6, 1.4)
    flat = np.cos(height)
    return distance * np.stack([flat * np.sin(azimuth), np.sin(height), flat * np.cos(azimuth)], 1)


def facing(
    points: np.ndarray, normals: np.ndarray, two_sided: np.ndarray, eyes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How well points are seen from the best viewpoint.

    Points that face away are hidden unless their surface has two sides, and so
    are points behind others, by a z-buffer.

    Args:
        points: (N, 3) in the unit sphere.
        normals: (N, 3), unit.
        two_sided: (N,) bool.
        eyes: (V, 3), outside the unit sphere and not above each other.

    Returns:
        cosine (N,) between normal and ray, 0 for hidden points, and view (N,).
    """
    far = np.linalg.norm(eyes, axis=1)
    back = eyes / far[:, None]
    right = np.stack([back[:, 2], np.zeros(len(eyes)), -back[:, 0]], axis=1)
    right /= np.hypot(back[:, 0], back[:, 2])[:, None]
    axes = np.stack([right, cross(back, right), back], axis=1)
    if kernels() is not None:
        from ..loops import facing

        return facing(points, normals, two_sided, eyes, axes, PIXELS, SLACK)
    cosines = [_cosine(points, normals, two_sided, *camera) for camera in zip(eyes, axes, far)]
    view = np.argmax(cosines, axis=0)
    return np.take_along_axis(np.array(cosines), view[None], 0)[0], view


def _cosine(points, normals, two_sided, eye, axes, far) -> np.ndarray:
    """The cosine of :func:`facing` for one viewpoint."""
    across, upright, near = axes @ points.T
    depth = far - near
    # the pinhole camera sees the unit sphere, and little else
    place = np.stack([upright, across]) * (np.sqrt(far**2 - 1) * PIXELS / 2 / depth) + PIXELS / 2
    # each point covers a square of one pixel
    low = np.clip(place - 0.5, 0, PIXELS - 2).astype(int)
    own = np.clip(place, 0, PIXELS - 1).astype(int)
    covered = low[0] * PIXELS + low[1] + np.array([[0], [1], [PIXELS], [PIXELS + 1]])
    visible = unoccluded(covered, own[0] * PIXELS + own[1], depth, PIXELS**2, SLACK)
    ray = eye - points
    cosine = dot(normals, ray) / np.sqrt(dot(ray, ray))
    cosine = np.where(two_sided, np.abs(cosine), cosine)
    return np.where(visible & (cosine > 0.05), cosine, 0)


def scan_shape(
    points: np.ndarray,
    normals: np.ndarray,
    two_sided: np.ndarray,
    num_points: int,
    noise: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sample a scan from points on the whole surface.

    Points are denser where a camera is near and looks straight at the surface.
    Their noise lies mostly along the ray and grows with the square of the
    distance. Some balls are empty, and a few points are moved along their ray.
    Where too few points are visible, some are repeated, with other noise.

    Args:
        points: (M, 3) in the unit sphere; M from :func:`surface_points`.
        normals: (M, 3), unit.
        two_sided: (M,) whether the surface can be seen from behind.
        num_points: N.
        noise: Standard deviation along the ray at the distance of the nearest camera.
        rng: Random numbers.

    Returns:
        points (N, 3), normals (N, 3) towards the camera, and index (N,) of
        the surface point.
    """
    eyes = stand_around(rng)
    for _ in range(4):
        weight, view = facing(points, normals, two_sided, eyes)
        if 3 * np.count_nonzero(weight) > num_points:
            break
        eyes = np.concatenate([eyes, stand_around(rng)])  # saw the edge of a plate, for example
    visible = np.flatnonzero(weight)
    points, normals, two_sided = (
        points.take(visible, 0),
        normals.take(visible, 0),
        two_sided[visible],
    )
    ray = points - eyes.take(view[visible], 0)
    distance = np.sqrt(dot(ray, ray))
    chosen = _draw(weight[visible] / distance**2 * _outside_holes(points, rng), num_points, rng)
    distance = distance[chosen]
    ray = ray.take(chosen, 0) / distance[:, None]
    along = rng.normal(0, noise, num_points) * (distance / distance.min()) ** 2
    moved = rng.random(num_points) < rng.uniform(0, OUTLIERS)
    along += moved * rng.normal(0, 0.2, num_points)
    found = points.take(chosen, 0) + ray * along[:, None]
    found += rng.normal(0, noise / 4, (num_points, 3))
    normals = normals.take(chosen, 0)
    away = two_sided[chosen] & (dot(normals, ray) > 0)
    return found, np.where(away[:, None], -normals, normals), visible[chosen]


def _outside_holes(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Points (M, 3) outside some balls about points, which leave at least half of them."""
    square, kept = dot(points, points), np.ones(len(points), dtype=bool)
    for _ in range(rng.integers(HOLES + 1)):
        center = points[rng.integers(len(points))]
        outside = square - 2 * points @ center + center @ center > rng.uniform(0.06, 0.25) ** 2
        if 2 * np.count_nonzero(kept & outside) > len(points):
            kept &= outside
    return kept


def _draw(weight: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Indices (count,): each once, by weight; repeated where weights are too few."""
    # a fixed rate leaves grazed and far surfaces thin even where all points are needed
    rate = weight / np.median(weight[weight > 0])
    some = np.flatnonzero(rng.random(len(weight)) < rate)
    if len(some) >= count:
        return rng.choice(some, count, replace=False)
    return np.concatenate([some, rng.choice(some, count - len(some))])
