"""A scan of a single shape: what depth cameras around it see."""

import numpy as np

from .scan import unoccluded
from .solids import dot

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
    points: np.ndarray, normals: np.ndarray, two_sided: np.ndarray, eye: np.ndarray
) -> np.ndarray:
    """Cosine (N,) between normals and the direction to the eye, 0 for hidden points.

    Points that face away are hidden unless their surface has two sides, and so
    are points behind others.

    Args:
        points: (N, 3) in the unit sphere.
        normals: (N, 3), unit.
        two_sided: (N,) bool.
        eye: (3,).
    """
    distance = np.linalg.norm(eye)
    back = eye / distance
    right = np.array([back[2], 0, -back[0]]) / np.hypot(back[0], back[2])
    across, upright, near = np.stack([right, np.cross(back, right), back]) @ points.T
    # the pinhole camera sees the unit sphere, and little else
    zoom = np.sqrt(distance**2 - 1) / (distance - near) * PIXELS / 2
    column, row = across * zoom + PIXELS / 2, upright * zoom + PIXELS / 2
    depth = distance - near
    # each point covers a square of one pixel
    low = np.clip(np.stack([row, column]) - 0.5, 0, PIXELS - 2).astype(int)
    first = low[0] * PIXELS + low[1]
    covered = first + np.array([[0], [1], [PIXELS], [PIXELS + 1]])
    own = np.clip(np.stack([row, column]), 0, PIXELS - 1).astype(int)
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
        cosine = np.stack([facing(points, normals, two_sided, eye) for eye in eyes])  # (V, M)
        weight = cosine.max(0)
        if 3 * np.count_nonzero(weight) > num_points:
            break
        eyes = np.concatenate([eyes, stand_around(rng)])  # saw the edge of a plate, for example
    ray = points - eyes[cosine.argmax(0)]
    distance = np.sqrt(dot(ray, ray))
    weight = _with_holes(points, weight, rng) / distance**2
    index = _draw(weight, num_points, rng)
    ray, distance = ray[index] / distance[index, None], distance[index]
    along = rng.normal(0, noise, num_points) * (distance / distance.min()) ** 2
    moved = rng.random(num_points) < rng.uniform(0, OUTLIERS)
    along = along + moved * rng.normal(0, 0.2, num_points)
    found = points[index] + ray * along[:, None] + rng.normal(0, noise / 4, (num_points, 3))
    away = two_sided[index] & (dot(normals[index], ray) > 0)
    return found, np.where(away[:, None], -1, 1) * normals[index], index


def _with_holes(points: np.ndarray, weight: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """``weight`` with 0 in some balls about visible points, as long as half of them stay."""
    visible = np.flatnonzero(weight)
    for _ in range(rng.integers(HOLES + 1)):
        center = points[visible[rng.integers(len(visible))]]
        ray = points - center
        outside = dot(ray, ray) > rng.uniform(0.06, 0.25) ** 2
        if 2 * (outside & (weight > 0)).sum() > len(visible):
            weight = weight * outside
    return weight


def _draw(weight: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Indices (count,): each once, by weight; repeated where weights are too few."""
    visible = np.flatnonzero(weight)
    weight = weight[visible]
    # a fixed rate leaves grazed and far surfaces thin even where all points are needed
    thin = rng.random(len(visible)) < weight / np.median(weight)
    visible = visible[thin]
    if len(visible) >= count:
        return rng.choice(visible, count, replace=False)
    return np.concatenate([visible, rng.choice(visible, count - len(visible))])
