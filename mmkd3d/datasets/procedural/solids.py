"""Solids: affine copies of unit meshes."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

SEGMENTS = 24  # of a circle
# A point counts as inside only below this fraction of a solid's extent, so that
# touching faces (a leg under a seat) don't hide each other due to rounding.
INSIDE = 0.995
YZX, ZXY = np.array([[1, 2, 0], [2, 0, 1]])
KINDS = ('prism', 'frustum', 'sphere')


@dataclass(frozen=True)
class Inside:
    """Whether points lie in a closed unit mesh.

    Attributes:
        kind: One of ``KINDS``.
        numbers: Of a prism ``top_x, top_z, shift_x, shift_z``, of a frustum
            ``top``; see :func:`prism_mesh` and :func:`frustum_mesh`.
    """

    kind: str
    numbers: tuple[float, ...] = ()

    def __call__(self, q: np.ndarray) -> np.ndarray:
        """(M, 3) points -> (M,) bool."""
        if self.kind == 'sphere':
            return (q * q).sum(1) < INSIDE
        between, t = np.abs(q[:, 1]) < INSIDE, (q[:, 1] + 1) / 2
        if self.kind == 'frustum':
            radius = 1 + (self.numbers[0] - 1) * t
            return between & (np.hypot(q[:, 0], q[:, 2]) < INSIDE * radius)
        top, shift = np.reshape(self.numbers, (2, 2, 1))
        flat = np.abs(q.T[[0, 2]] - shift * t) < INSIDE * (1 + (top - 1) * t)
        return between & flat.all(0)

    @functools.cached_property
    def row(self) -> np.ndarray:
        """(8,) index of the kind, four numbers, half extents in x, y and z."""
        top_x, top_z, shift_x, shift_z = (*self.numbers, 1, 1, 0, 0)[:4]
        reach = (max(1, top_x + abs(shift_x)), 1, max(1, top_z + abs(shift_z)))
        if self.kind == 'frustum':
            top_z, reach = 0, (max(1, top_x), 1, max(1, top_x))
        return np.array([KINDS.index(self.kind), top_x, top_z, shift_x, shift_z, *reach])


@dataclass(frozen=True)
class InsideTube:
    """Whether points lie in a tube, by the nearest sample of its axis.

    Attributes:
        centre: (T, 3) samples of the axis.
        radius: (T, 1 or 2) there.
        frames: (T, 3, 3): sides over their radii, and outwards over the length
            of the caps at the ends.
    """

    centre: np.ndarray
    radius: np.ndarray
    frames: np.ndarray

    @functools.cached_property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest corner (3,) of a box that holds the tube."""
        reach = self.radius.max() * 1.05
        return self.centre.min(0) - reach, self.centre.max(0) + reach

    def __call__(self, q: np.ndarray) -> np.ndarray:
        """(M, 3) points -> (M,) bool."""
        low, high = self.bounds
        found = np.zeros(len(q), dtype=bool)
        box = np.flatnonzero(((q > low) & (q < high)).all(axis=1))
        if len(box):
            q = q[box]
            near = (dot(self.centre, self.centre) - 2 * (q @ self.centre.T)).argmin(1)
            x, y, z = ((q - self.centre[near])[:, None] * self.frames[near]).sum(-1).T
            found[box] = x * x + y * y + np.maximum(z, 0) ** 2 < INSIDE**4
        return found


EYE = np.eye(3)
OPEN = np.array([-1.0] + [0] * 7)  # in place of Inside.row


@dataclass(frozen=True)
class Mesh:
    """A unit mesh: triangles with a normal at each corner.

    Attributes:
        corners: (F, 3, 3) corners of F triangles.
        normals: (F, 3, 3) unit normals there.
        inside: (M, 3) points -> (M,) bool; None for an open surface.
    """

    corners: np.ndarray
    normals: np.ndarray
    inside: Callable | None

    @functools.cached_property
    def vertices(self) -> np.ndarray:
        """(V, 3) distinct corners."""
        return np.unique(self.corners.reshape(-1, 3).round(9), axis=0)

    @functools.cached_property
    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean (3,) and covariance (3, 3) of the surface."""
        area = np.sqrt(dot(self.areas, self.areas))
        area /= area.sum()
        centres = self.corners.sum(1)  # times 3
        mean = area @ centres / 3
        # exact for a triangle: its corners and 3 times its centre, weighted equally
        points = np.concatenate([self.corners.reshape(-1, 9), centres], axis=1)
        weighted = (points * area[:, None]).reshape(-1, 3)
        return mean, weighted.T @ points.reshape(-1, 3) / 12 - np.outer(mean, mean)

    @functools.cached_property
    def areas(self) -> np.ndarray:
        """(F, 3) vectors along the normals of faces with their areas as lengths."""
        return _crosses(self.corners) / 2


class Solid(NamedTuple):
    """``mesh`` under ``x -> matrix @ x + shift``; belongs to ``part``."""

    part: str
    mesh: Mesh
    matrix: np.ndarray
    shift: np.ndarray

    def moved(self, matrix: np.ndarray, shift: Sequence[float] = (0, 0, 0)):
        """The solid after ``x -> matrix @ x + shift``."""
        return Solid(
            self.part, self.mesh, matrix @ self.matrix, matrix @ self.shift + np.asarray(shift)
        )

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest corner."""
        corners = self.mesh.vertices @ self.matrix.T + self.shift
        return corners.min(0), corners.max(0)


def dot(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Products (N,) of vectors (N, D) with vectors."""
    return np.einsum('ij,ij->i', one, two)


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cross product along the last axis; much faster than NumPy's if small."""
    x, y, z = a[..., 0], a[..., 1], a[..., 2]
    u, v, w = b[..., 0], b[..., 1], b[..., 2]
    return np.stack([y * w - z * v, z * u - x * w, x * v - y * u], axis=-1)


def mean_point(points: np.ndarray) -> np.ndarray:
    """Mean (3,) of points (N, 3), faster than numpy's."""
    return np.full(len(points), 1 / len(points)) @ points


def rotation(angle: float, axis: str = 'y') -> np.ndarray:
    """Right-handed rotation matrix (3, 3) about a coordinate axis, radians."""
    c, s = np.cos(angle), np.sin(angle)
    if axis == 'x':
        rows = (1.0, 0.0, 0.0), (0.0, c, -s), (0.0, s, c)
    elif axis == 'y':
        rows = (c, 0.0, s), (0.0, 1.0, 0.0), (-s, 0.0, c)
    else:
        rows = (c, -s, 0.0), (s, c, 0.0), (0.0, 0.0, 1.0)
    return np.array(rows)


def _crosses(corners: np.ndarray) -> np.ndarray:
    """Cross products (F, 3) of two sides of triangles (F, 3, 3)."""
    one, two = (corners[:, 1:] - corners[:, :1]).transpose(1, 2, 0)
    return (one[YZX] * two[ZXY] - one[ZXY] * two[YZX]).T


def _quads(corners: np.ndarray, normals: np.ndarray) -> tuple:
    """Split quads (Q, 4, 3) into triangles (2 Q, 3, 3)."""
    split = [[0, 1, 2], [0, 2, 3]]
    return (corners[:, split].reshape(-1, 3, 3), normals[:, split].reshape(-1, 3, 3))


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., 3) of length 1."""
    return vectors / np.sqrt(np.einsum('...i,...i->...', vectors, vectors))[..., None]


def _grid(points: np.ndarray, normals: np.ndarray) -> tuple:
    """Triangles of a (U, V, 3) grid of points without closing seams."""

    def cells(x):
        return np.stack([x[:-1, :-1], x[:-1, 1:], x[1:, 1:], x[1:, :-1]], axis=2).reshape(-1, 4, 3)

    return _quads(cells(points), cells(normals))


@functools.cache
def box_mesh() -> Mesh:
    """The cube [-1, 1]^3."""
    square = np.array([[-1, -1, 1], [1, -1, 1], [1, 1, 1], [-1, 1, 1.0]])
    turns = [rotation(k * np.pi / 2, 'y').round() for k in range(4)]
    turns += [rotation(k * np.pi / 2, 'x').round() for k in (1, 3)]
    faces = np.stack([square @ turn.T for turn in turns])
    normals = np.stack([np.tile(turn[:, 2], (4, 1)) for turn in turns])
    return Mesh(*_quads(faces, normals), Inside('prism', (1.0, 1.0, 0.0, 0.0)))


@functools.cache
def rectangle_mesh() -> Mesh:
    """The square [-1, 1]^2 at z = 0, facing +z."""
    front = box_mesh().normals[:, 0, 2] > 0.5
    corners = box_mesh().corners[front] * (1, 1, 0)
    return Mesh(corners, box_mesh().normals[front], None)


def prism_mesh(top_x: float, top_z: float, shift_x: float, shift_z: float) -> Mesh:
    """The cube with its top face scaled and shifted: wings, wedges, slopes."""
    corners = box_mesh().corners.copy()
    top = corners[..., 1] > 0
    scale, shift = np.array([top_x, 1, top_z]), np.array([shift_x, 0, shift_z])
    corners[top] = corners[top] * scale + shift
    normal = _crosses(corners)
    normal /= np.maximum(np.sqrt(dot(normal, normal)), 1e-12)[:, None]

    inside = Inside('prism', (top_x, top_z, shift_x, shift_z))
    return Mesh(corners, np.repeat(normal[:, None], 3, axis=1), inside)


@functools.lru_cache(maxsize=4096)
def frustum_mesh(top: float, bottom: bool, lid: bool, solid: bool) -> Mesh:
    """Radius 1 at y = -1 and ``top`` at y = 1, with or without end discs."""
    angle = np.linspace(0, 2 * np.pi, SEGMENTS + 1)
    ring = np.stack([np.cos(angle), np.zeros_like(angle), -np.sin(angle)], 1)
    up = np.array([0, 1.0, 0])
    side = np.stack([ring - up, ring * top + up])
    normals = unit(np.stack([ring + up * (1 - top) / 2] * 2))
    pieces = [_grid(side.swapaxes(0, 1), normals.swapaxes(0, 1))]
    for use, y, radius in ((bottom, -1.0, 1.0), (lid, 1.0, top)):
        if use and radius > 0:
            rim = ring * radius + up * y
            fan = np.stack([np.tile(up * y, (SEGMENTS, 1)), rim[:-1], rim[1:]], axis=1)
            pieces.append((fan, np.tile(up * y, (SEGMENTS, 3, 1))))

    inside = Inside('frustum', (top,)) if solid else None
    return Mesh(*(np.concatenate(x) for x in zip(*pieces)), inside)


@functools.cache
def sphere_mesh(low: float = -90.0, high: float = 90.0) -> Mesh:
    """The unit sphere between two latitudes (degrees); closed if whole."""
    lat = np.radians(np.linspace(low, high, SEGMENTS // 2 + 1))[:, None]
    lon = np.linspace(0, 2 * np.pi, SEGMENTS + 1)[None]
    points = np.stack(
        np.broadcast_arrays(np.cos(lat) * np.cos(lon), np.sin(lat), np.cos(lat) * np.sin(lon)), -1
    )
    whole = low <= -90 and high >= 90
    return Mesh(*_grid(points, points), Inside('sphere') if whole else None)


@functools.lru_cache(maxsize=4096)
def torus_mesh(tube: float, arc: float) -> Mesh:
    """A ring of radius 1 in the xy plane, of ``arc`` radians."""
    u = np.linspace(-arc / 2, arc / 2, SEGMENTS + 1)[:, None]
    v = np.linspace(0, 2 * np.pi, SEGMENTS // 2 + 1)[None]
    normals = np.stack(
        np.broadcast_arrays(
            np.cos(u) * np.cos(v), np.sin(u) * np.cos(v), np.sin(v) * np.ones_like(u)
        ),
        -1,
    )
    spine = np.stack(np.broadcast_arrays(np.cos(u), np.sin(u), np.zeros_like(u)), -1)
    return Mesh(*_grid(spine + tube * normals, normals), None)


def _place(part, mesh, scale, center, rotate=None) -> Solid:
    matrix = np.diag(np.asarray(scale, dtype=float))
    if rotate is not None:
        matrix = rotate @ matrix
    return Solid(part, mesh, matrix, np.asarray(center, dtype=float))


def box(part, size, center, *, rotate=None) -> Solid:
    """A box of full ``size`` (3,) about ``center``."""
    return _place(part, box_mesh(), np.asarray(size) / 2, center, rotate)


def prism(part, size, center, *, top=(1, 1), shift=(0, 0), rotate=None):
    """A box whose top face is scaled by ``top`` and shifted by ``shift``.

    ``top`` and ``shift`` are (x, z); the shift is in metres.
    """
    half = np.asarray(size) / 2
    mesh = prism_mesh(*top, shift[0] / half[0], shift[1] / half[2])
    return _place(part, mesh, half, center, rotate)


def cylinder(
    part, radius, height, center, *, top=1.0, ends=(True, True), squash=1.0, rotate=None
) -> Solid:
    """A cylinder or cone about y; ``top`` is the ratio of the upper radius.

    ``ends`` selects the end discs; without both it is a shell.
    ``squash`` scales z.
    """
    mesh = frustum_mesh(float(top), *ends, all(ends))
    return _place(part, mesh, (radius, height / 2, radius * squash), center, rotate)


def rod(part, start, end, radius, *, top=1.0) -> Solid:
    """A round bar from ``start`` to ``end``."""
    start, end = np.asarray(start, float), np.asarray(end, float)
    length = np.linalg.norm(end - start)
    y = (end - start) / length
    x = unit(cross(EYE[np.abs(y).argmin()], y))
    rotate = np.stack([x, y, cross(x, y)], axis=1)
    mesh = frustum_mesh(float(top), True, True, True)
    return _place(part, mesh, (radius, length / 2, radius), (start + end) / 2, rotate)


def rectangle(part, size, center, rotate=None) -> Solid:
    """A flat face of ``size`` (width, height) facing +z."""
    return _place(part, rectangle_mesh(), (size[0] / 2, size[1] / 2, 1.0), center, rotate)


def ellipsoid(part, radii, center, *, rotate=None) -> Solid:
    """An ellipsoid with ``radii`` (3,)."""
    return _place(part, sphere_mesh(), radii, center, rotate)


def bowl(part, radii, center, *, low=-90.0, high=0.0, rotate=None) -> Solid:
    """An open ellipsoid shell between two latitudes in degrees."""
    return _place(part, sphere_mesh(low, high), radii, center, rotate)


def ring(part, radius, tube, center, *, arc=2 * np.pi, rotate=None) -> Solid:
    """A torus or an arc of one, in the xy plane, open to -x."""
    mesh = torus_mesh(round(tube / radius, 3), float(arc))
    return _place(part, mesh, (radius,) * 3, center, rotate)


def lathe(part, profile, *, center=(0, 0), squash=1.0, lid=True, base=True):
    """A body of revolution about y through ``profile`` [(radius, y), ...].

    Returns a list of solids; closed pieces hide points inside them.
    """
    solids = []
    for k, ((r0, y0), (r1, y1)) in enumerate(zip(profile, profile[1:])):
        r0 = max(r0, 1e-3)
        mesh = frustum_mesh(
            round(r1 / r0, 3), base and k == 0, lid and k == len(profile) - 2, lid and base
        )
        solids.append(
            _place(
                part, mesh, (r0, (y1 - y0) / 2, r0 * squash), (center[0], (y0 + y1) / 2, center[1])
            )
        )
    return solids
