"""The visible surface of solids: sampling points, and what hides what."""

from collections.abc import Sequence

import numpy as np

from mmkd3d.ops.compiled import kernels

from .solids import INSIDE, OPEN, Inside, InsideTube, Solid, dot, unit


class Surface:
    """The visible surface of a union of solids, to sample points from.

    Args:
        solids: Solids in any order.
    """

    def __init__(self, solids: Sequence[Solid]):
        self.solids = solids
        self._matrix = np.array([s.matrix for s in solids])
        self._inverse = np.linalg.inv(self._matrix)
        self._shift = np.array([s.shift for s in solids])
        rows = [s.mesh.inside.row if isinstance(s.mesh.inside, Inside) else OPEN for s in solids]
        self._kinds, self._numbers, reach = np.split(np.array(rows), (1, 5), axis=1)
        self._halves = (np.abs(self._matrix) @ reach[..., None])[..., 0]
        self._corners = np.concatenate([s.mesh.corners for s in solids])
        self._normals = np.concatenate([s.mesh.normals for s in solids])
        self._owner = np.repeat(np.arange(len(solids)), [len(s.mesh.corners) for s in solids])
        cofactors = self._inverse * np.linalg.det(self._matrix)[:, None, None]
        areas = np.concatenate([s.mesh.areas @ c for s, c in zip(solids, cofactors)])
        self._share = np.cumsum(np.sqrt(dot(areas, areas)))

    @property
    def open(self) -> np.ndarray:
        """Whether the solids are open surfaces, with two sides, (S,) bool."""
        return np.array([s.mesh.inside is None for s in self.solids])

    @property
    def area(self) -> float:
        """Area of all faces, hidden ones included, in square metres."""
        return float(self._share[-1])

    def draw(self, num_points: int, rng: np.random.Generator) -> tuple:
        """Sample points uniformly by area.

        Returns:
            points (N, 3), unit normals (N, 3) outwards, owner (N,) index of
            the solid.
        """
        found, have = [], 0
        while have < num_points:
            some = self._draw_some(int((num_points - have) * 1.3) + 64, rng)
            found.append(some)
            have += len(some[0])
        if len(found) > 1:
            found = [[np.concatenate(x) for x in zip(*found)]]
        return tuple(x[:num_points] for x in found[0])

    def _draw_some(self, draw: int, rng: np.random.Generator) -> tuple:
        where = rng.random(draw) * self.area
        u, v = rng.random((2, draw))
        if kernels() is None:
            points, normals, owner = self._place(np.searchsorted(self._share, where), u, v)
            hidden = np.zeros(draw, dtype=bool)
        else:
            from .loops import find, place

            points, normals, owner, hidden = place(
                find(self._share, where),
                u,
                v,
                self._owner,
                self._corners,
                self._normals,
                self._matrix,
                self._inverse,
                self._shift,
                self._halves,
                self._kinds[:, 0],
                self._numbers,
                INSIDE,
            )
        self._hide(points, owner, hidden)
        keep = np.flatnonzero(~hidden)
        return points.take(keep, 0), normals.take(keep, 0), owner.take(keep)

    def _place(self, face: np.ndarray, u: np.ndarray, v: np.ndarray) -> tuple:
        """See :func:`.loops.place`."""
        flip = u + v > 1
        u, v = np.where(flip, 1 - u, u), np.where(flip, 1 - v, v)
        weights, owner = np.stack([1 - u - v, u, v], axis=1), self._owner[face]
        local = np.einsum('mij,mi->mj', self._corners[face], weights)
        points = np.einsum('mij,mj->mi', self._matrix[owner], local) + self._shift[owner]
        normals = np.einsum('mij,mi->mj', self._normals[face], weights)
        return points, unit(np.einsum('mi,mij->mj', normals, self._inverse[owner])), owner

    def _hide(self, points: np.ndarray, owner: np.ndarray, hidden: np.ndarray) -> None:
        """Mark points (M, 3) that lie strictly inside a solid other than their own.

        Kinds that the loops have tested are left out.
        """
        compiled = kernels() is not None
        for k, solid in enumerate(self.solids):
            inside = solid.mesh.inside
            if inside is None or (compiled and isinstance(inside, Inside)):
                continue
            if compiled and isinstance(inside, InsideTube):
                from .loops import hide_in_tube

                place = self._inverse[k], self._shift[k], *inside.bounds
                tube = inside.centre, inside.frames, INSIDE**4
                hide_in_tube(points, owner, k, *place, *tube, hidden)
            else:
                local = (points - solid.shift) @ self._inverse[k].T
                hidden |= inside(local) & (owner != k)


def unoccluded(
    covered: np.ndarray,
    own: np.ndarray,
    distance: np.ndarray,
    num_pixels: int,
    slack: float,
    ratio: float = 1.0,
) -> np.ndarray:
    """Which points (N,) are nearer than ``ratio * nearest + slack``, with the nearest point of the pixel.

    Args:
        covered: (N,) or (K, N) pixels that each point covers.
        own: (N,) pixel that decides about each point.
        distance: (N,) from the camera.
        num_pixels: Of the z-buffer.
        slack: In units of the distance.
        ratio: See above.
    """
    nearest = np.full(num_pixels, np.inf)
    np.minimum.at(nearest, covered.ravel(), np.broadcast_to(distance, covered.shape).ravel())
    return distance < nearest[own] * ratio + slack
