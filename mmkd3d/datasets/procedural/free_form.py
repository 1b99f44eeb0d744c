"""Free-form solids: swept tubes, blobs, sheets and extruded outlines.

Meshes are made in place (``matrix`` is the identity), with smooth normals.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .solids import EYE, INSIDE, InsideTube, Mesh, Solid, cross

_ZERO = np.zeros(3)


@functools.lru_cache(maxsize=256)
def _spline(count: int, steps: int, closed: bool) -> np.ndarray:
    """Catmull-Rom weights (2 steps, count): values, then slopes, of a curve."""
    grid = np.linspace(0, count if closed else count - 1, steps)
    knot = np.minimum(grid.astype(int), count - 1 if closed else max(count - 2, 0))
    u = (grid - knot)[:, None]
    # weights of the four knots around each span
    value = np.concatenate(
        [-u + 2 * u**2 - u**3, 2 - 5 * u**2 + 3 * u**3, u + 4 * u**2 - 3 * u**3, u**3 - u**2],
        axis=1,
    )
    slope = np.concatenate(
        [-1 + 4 * u - 3 * u**2, -10 * u + 9 * u**2, 1 + 8 * u - 9 * u**2, 3 * u**2 - 2 * u], axis=1
    )
    weights = np.zeros((2, steps, count))
    rows = np.arange(steps)
    for k in range(4):
        near = knot + k - 1
        near = near % count if closed else np.clip(near, 0, count - 1)
        for table, part in zip(weights, (value, slope)):
            np.add.at(table, (rows, near), part[:, k] / 2)
    return weights.reshape(2 * steps, count)


def curve(points: ArrayLike, steps: int, closed: bool = False) -> np.ndarray:
    """A smooth curve (steps, D) through ``points`` (K, D), ends included."""
    points = np.asarray(points, float)
    return _spline(len(points), steps, closed)[:steps] @ points


@functools.lru_cache(maxsize=256)
def _faces(rows: int, columns: int) -> np.ndarray:
    """(F, 3) corner indices of the triangles of a grid of points."""
    first = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    quad = np.stack([first, first + 1, first + columns + 1, first + columns], axis=1)
    return quad[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3)


@functools.lru_cache(maxsize=64)
def _circle(sides: int) -> np.ndarray:
    """(4, sides + 1): cosine, sine, one and squared cosine around a circle."""
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    return np.stack([np.cos(angle), np.sin(angle), np.ones_like(angle), np.cos(angle) ** 2])


@functools.lru_cache(maxsize=256)
def _rows(steps: int, closed: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rings of a tube with round ends: sample, cosine and sine of latitude."""
    if closed:
        return np.arange(steps), np.ones((steps, 1)), np.zeros((steps, 1))
    index = np.r_[0, 0, np.arange(steps), steps - 1, steps - 1]
    cos, sin = np.ones(steps + 4), np.zeros(steps + 4)
    cos[[0, -1]], cos[[1, -2]] = 0, np.sqrt(0.5)
    sin[[0, 1, -2, -1]] = -1, -np.sqrt(0.5), np.sqrt(0.5), 1
    return index, cos[:, None], sin[:, None]


def _in_place(part: str, points, normals, inside=None) -> Solid:
    """A solid of a (U, V, 3) grid of points with normals of any length."""
    faces = _faces(*points.shape[:2])
    normals = normals / np.sqrt((normals * normals).sum(-1, keepdims=True) + 1e-30)
    mesh = Mesh(points.reshape(-1, 3)[faces], normals.reshape(-1, 3)[faces], inside)
    return Solid(part, mesh, EYE, _ZERO)


class Bar(NamedTuple):
    """A bar along a smooth curve, with an elliptic section.

    Attributes:
        part: Name.
        path: (K, 3) points that the axis goes through.
        radii: Radius at these points: a number, (K,), or (K, 2) along
            ``side`` and across it.
        side: Direction of the first radius; never along the path.
        flat: Factor of the second radius.
        cap: Length of the round ends in radii; near 0 they are flat.
    """

    part: str
    path: ArrayLike
    radii: ArrayLike
    side: ArrayLike = (1.0, 0.0, 0.0)
    flat: float = 1.0
    cap: float = 1.0

    def samples(self, steps: int, closed: bool) -> np.ndarray:
        """Centre and two radii (steps, 5), then their slopes (steps, 5)."""
        path = np.asarray(self.path, float)
        knots = np.empty((len(path), 5))
        knots[:, :3] = path
        radii = np.asarray(self.radii, float)
        if radii.ndim < 2:
            knots[:, 3] = radii
            knots[:, 4] = radii * self.flat
        else:
            knots[:, 3:] = radii
        return _spline(len(knots), steps, closed) @ knots


def _frames(bars: Sequence[Bar], steps: int, closed: bool) -> tuple:
    """Centres, radii and their slopes, and three axes (T, steps, 2 or 3)."""
    samples = np.stack([bar.samples(steps, closed) for bar in bars])
    values, change = samples[:, :steps], samples[:, steps:]
    centre, radius = values[..., :3], values[..., 3:]
    radius = np.maximum(radius, 1e-4 * radius.max(axis=(1, 2), keepdims=True))
    change = change / np.sqrt((change[..., :3] ** 2).sum(-1, keepdims=True))
    along, growth = change[..., :3], change[..., 3:]
    side = np.array([bar.side for bar in bars], float)[:, None]
    first = side - (along * side).sum(-1, keepdims=True) * along
    first /= np.sqrt((first * first).sum(-1, keepdims=True))
    second = cross(along, first)
    return centre, radius, growth, along, first, second


def tubes(
    bars: Sequence[Bar], *, steps: int = 8, sides: int = 8, closed: bool = False, solid: bool = True
) -> list[Solid]:
    """One solid for each bar; many at once are much faster than one by one.

    Args:
        bars: Bars.
        steps: Rings along each path.
        sides: Corners of each ring.
        closed: The last point of a path is joined to its first; no ends.
        solid: Hide points of other solids inside.
    """
    centre, radius, growth, along, first, second = _frames(bars, steps, closed)
    index, cos, sin = _rows(steps, closed)
    cap = np.array([bar.cap for bar in bars])[:, None, None]
    a, b, t = first[:, index], second[:, index], along[:, index]
    r, growth = radius[:, index], growth[:, index]
    length = cap * r.mean(-1, keepdims=True)
    wide, out = r * cos, cos / r
    points = [wide[..., :1] * a, wide[..., 1:] * b, centre[:, index] + t * (length * sin)]
    # the gradient of the ellipse, tilted back where the radius grows
    tilt = (sin == 0) * growth * out
    ends = sin / np.maximum(length, 1e-9)
    normals = [
        out[..., :1] * a,
        out[..., 1:] * b,
        (ends - tilt[..., 1:]) * t,
        (tilt[..., 1:] - tilt[..., :1]) * t,
    ]
    circle = _circle(sides)
    points = np.stack(points, axis=-1) @ circle[:3]
    normals = np.stack(normals, axis=-1) @ circle
    normals /= np.sqrt((normals * normals).sum(2, keepdims=True))
    faces = _faces(len(index), sides + 1)
    corners, normals = (
        x.swapaxes(2, 3).reshape(len(bars), -1, 3).take(faces, axis=1) for x in (points, normals)
    )
    inside = [None] * len(bars)
    if solid:
        outward = np.zeros((len(bars), steps, 1))
        if not closed:
            outward[:, [0, -1]] = np.array([[-1], [1]]) / length[:, [0, -1]]
        frames = np.stack(
            [first / radius[..., :1], second / radius[..., 1:], along * outward], axis=2
        )
        inside = [InsideTube(*each) for each in zip(centre, radius, frames)]
    return [
        Solid(bar.part, Mesh(c, n, i), EYE, _ZERO)
        for bar, c, n, i in zip(bars, corners, normals, inside)
    ]


def tube(part: str, path: ArrayLike, radii: ArrayLike, **options) -> Solid:
    """A single bar; ``options`` are those of :class:`Bar` and :func:`tubes`."""
    shape = {k: options.pop(k) for k in ('side', 'flat', 'cap') if k in options}
    return tubes([Bar(part, path, radii, **shape)], **options)[0]


def sheets(part: str, points: np.ndarray) -> list[Solid]:
    """Open surfaces through (T, U, V, 3) grids of points; smooth normals."""
    points = np.asarray(points, float)
    across = np.empty((2, *points.shape))
    for grid, steps in ((points, across[0]), (points.swapaxes(1, 2), across[1].swapaxes(1, 2))):
        steps[:, 1:-1] = grid[:, 2:] - grid[:, :-2]
        steps[:, 0], steps[:, -1] = grid[:, 1] - grid[:, 0], grid[:, -1] - grid[:, -2]
    normals = cross(*across)
    normals /= np.sqrt((normals * normals).sum(-1, keepdims=True) + 1e-30)
    faces = _faces(*points.shape[1:3])
    corners, normals = (
        x.reshape(len(points), -1, 3).take(faces, axis=1) for x in (points, normals)
    )
    return [Solid(part, Mesh(c, n, None), EYE, _ZERO) for c, n in zip(corners, normals)]


def sheet(part: str, points: np.ndarray) -> Solid:
    """An open surface through a (U, V, 3) grid of points; smooth normals."""
    return sheets(part, np.asarray(points)[None])[0]


def revolved(part: str, profile, *, sides: int = 16, ribs: int = 0, depth: float = 0.0) -> Solid:
    """A smooth surface about y through ``profile`` [(radius, y), ...], upwards.

    ``ribs`` waves of ``depth`` (a share of the radius) run around it. It hides
    nothing inside.
    """
    radius, y = np.asarray(profile, float).T[:, :, None]
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    wave = 1 + depth * np.cos(ribs * angle)
    x, z = radius * wave * np.cos(angle), radius * wave * np.sin(angle)
    return sheet(part, np.stack([x, np.broadcast_to(y, x.shape), z], axis=-1))


@functools.lru_cache(maxsize=8)
def _directions(rows: int, columns: int) -> np.ndarray:
    lat = np.linspace(-np.pi / 2, np.pi / 2, rows)[:, None]
    lon = np.linspace(0, 2 * np.pi, columns)[None]
    parts = np.cos(lat) * np.cos(lon), np.sin(lat), np.cos(lat) * np.sin(lon)
    return np.stack(np.broadcast_arrays(*parts), -1)


def blob(
    part: str, radii, center, rng, *, bumps: float = 0.15, waves: float = 2.0, fine=(10, 17)
) -> Solid:
    """An ellipsoid with random smooth bumps.

    Args:
        part: Name.
        radii: (3,) of the ellipsoid.
        center: (3,).
        rng: Random numbers.
        bumps: Height of the bumps, as a share of the radius.
        waves: How many of them, roughly, around the body.
        fine: Rows and columns of the grid.
    """
    direction = rng.normal(0, waves, (4, 3))
    phase = rng.uniform(0, 2 * np.pi, 4)

    def radius(x):
        return np.exp(bumps * 0.7 * np.sin(x @ direction.T + phase).sum(-1, keepdims=True))

    x = _directions(*fine)
    r = radius(x)
    gradient = 0.7 * bumps * (np.cos(x @ direction.T + phase) @ direction)  # of log r
    gradient -= (gradient * x).sum(-1, keepdims=True) * x

    def inside(q):
        length = np.sqrt((q * q).sum(1, keepdims=True)) + 1e-9
        return (length < INSIDE * radius(q / length))[:, 0]

    mesh = _in_place(part, r * x, x - gradient, inside).mesh
    return Solid(part, mesh, np.diag(np.asarray(radii, float)), np.asarray(center, float))


def superellipsoid(part: str, radii, center, *, power=(1.0, 1.0), rotate=None) -> Solid:
    """An ellipsoid with exponents: 0.2 is box-like, 1 round, 2 a diamond.

    ``power`` is (along y, around y).
    """
    vertical, around = power

    def bent(value, exponent):
        return np.sign(value) * np.abs(value) ** exponent

    lat = np.linspace(-np.pi / 2, np.pi / 2, 13)[:, None]
    lon = np.linspace(0, 2 * np.pi, 25)[None]

    def grid(e, n):
        flat = bent(np.cos(lat), e)
        parts = flat * bent(np.cos(lon), n), bent(np.sin(lat), e), flat * bent(np.sin(lon), n)
        return np.stack(np.broadcast_arrays(*parts), -1)

    def inside(q):
        x, y, z = (np.abs(q) + 1e-9).T
        flat = (x ** (2 / around) + z ** (2 / around)) ** (around / vertical)
        return flat + y ** (2 / vertical) < INSIDE

    mesh = _in_place(part, grid(vertical, around), grid(2 - vertical, 2 - around), inside).mesh
    matrix = np.diag(np.asarray(radii, float))
    return Solid(
        part, mesh, matrix if rotate is None else rotate @ matrix, np.asarray(center, float)
    )


def facets(part: str, corners: np.ndarray) -> Solid:
    """Flat triangles (F, 3, 3), counter-clockwise from outside."""
    normals = cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.sqrt((normals * normals).sum(1, keepdims=True)) + 1e-12
    mesh = Mesh(corners, np.repeat(normals[:, None], 3, axis=1), None)
    return Solid(part, mesh, EYE, _ZERO)


def extrusion(part: str, outline: np.ndarray, depth: float, *, taper: float = 1.0) -> Solid:
    """A counter-clockwise outline (K, 2) in x and y, thick along z about 0.

    Every point of the outline must be visible from (0, 0). ``taper`` scales
    the front face.
    """
    outline = np.asarray(outline, float)
    count = len(outline)
    back = np.concatenate([outline, np.full((count, 1), -depth / 2)], axis=1)
    front = np.concatenate([outline * taper, np.full((count, 1), depth / 2)], axis=1)
    back_next, front_next = np.roll(back, -1, 0), np.roll(front, -1, 0)
    middle = np.zeros((2, count, 3))
    middle[:, :, 2] = [[-depth / 2], [depth / 2]]
    triangles = [
        (back, back_next, front_next),
        (back, front_next, front),
        (middle[1], front, front_next),
        (middle[0], back_next, back),
    ]
    return facets(part, np.concatenate([np.stack(t, axis=1) for t in triangles]))


def stand(solids: list[Solid]) -> list[Solid]:
    """The solids, moved so that the lowest corner is at y = 0."""
    low = min((s.mesh.corners.reshape(-1, 3) @ s.matrix[1]).min() + s.shift[1] for s in solids)
    up = np.array([0, -low, 0])
    return [Solid(s.part, s.mesh, s.matrix, s.shift + up) for s in solids]
