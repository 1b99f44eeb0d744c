"""Putting solids together: copies, discs, pipes, tapered bars."""

from collections.abc import Sequence

import numpy as np

from ..solids import Solid, cylinder, prism, rod, rotation

Solids = list[Solid]
FLAT = rotation(np.pi / 2, 'x')  # turns rings and blocks from upright to lying
_MIRROR = np.diag([-1.0, 1.0, 1.0])
_ALONG = dict(x=rotation(-np.pi / 2, 'z'), y=None, z=FLAT)


def chance(rng, probability: float) -> bool:
    """True with this probability."""
    return rng.random() < probability


def number(rng, low: int, high: int) -> int:
    """A whole number between ``low`` and ``high``, both included."""
    return int(rng.integers(low, high + 1))


def placed(solids: Solids, shift: Sequence[float] = (0, 0, 0), *, turn=None, about=None) -> Solids:
    """Solids after ``turn`` (3, 3) about the point ``about``, then a ``shift``."""
    turn = np.eye(3) if turn is None else turn
    about = np.zeros(3) if about is None else np.asarray(about, float)
    shift = np.asarray(shift, float) + about - turn @ about
    return [s.moved(turn, shift) for s in solids]


def both(solids: Solids) -> Solids:
    """Solids and their mirror images in x = 0."""
    return solids + [s.moved(_MIRROR) for s in solids]


def around(solids: Solids, times: int, axis: str = 'y', start: float = 0.0) -> Solids:
    """Copies turned evenly about an axis through the origin."""
    angles = start + 2 * np.pi * np.arange(times) / times
    return [s.moved(turn) for turn in (rotation(a, axis) for a in angles) for s in solids]


def grounded(solids: Solids) -> Solids:
    """Solids moved up or down until the lowest point is at y = 0."""
    low = min((s.mesh.corners @ s.matrix[1]).min() + s.shift[1] for s in solids)
    return placed(solids, (0, -low, 0))


def pipe(part, points, radius: float) -> Solids:
    """Round bars from point to point."""
    return [rod(part, a, b, radius) for a, b in zip(points, points[1:])]


def arc(radius: float, first: float, last: float, pieces: int) -> np.ndarray:
    """(pieces + 1, 3) points on a circle in the xy plane; angles from +x."""
    angle = np.linspace(first, last, pieces + 1)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), 0 * angle], axis=1)


def disc(part, radius, thick, center, *, axis='x', **kwargs) -> Solid:
    """A cylinder of height ``thick`` along an axis; its top looks to +axis."""
    return cylinder(part, radius, thick, center, rotate=_ALONG[axis], **kwargs)


def taper(part, size, center, *, top=(1, 1), shift=(0, 0), back=False) -> Solid:
    """A prism that narrows towards +z (-z if ``back``).

    ``size`` is (x, y, z); ``top`` and ``shift`` are those of the far face in (x, y).
    """
    turn = rotation(-np.pi / 2 if back else np.pi / 2, 'x')
    up = 1 if back else -1
    return prism(
        part,
        (size[0], size[2], size[1]),
        center,
        top=top,
        shift=(shift[0], up * shift[1]),
        rotate=turn,
    )
