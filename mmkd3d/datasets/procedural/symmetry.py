"""Symmetries of a shape, from its solids."""

from collections.abc import Sequence

import numpy as np

from .solids import Solid

# what must change nothing: mirroring in x, mirroring in z, a quarter turn about y
OPERATIONS = np.array(
    [np.diag([-1, 1, 1]), np.diag([1, 1, -1]), [[0, 0, 1], [0, 1, 0], [-1, 0, 0]]], dtype=float
)
SHIFT = 0.01  # allowed difference of centres, in radii of the shape
TURN = 0.05  # allowed difference of directions and proportions of a solid


def symmetries(solids: Sequence[Solid]) -> np.ndarray:
    """Whether each of ``OPERATIONS`` maps the solids onto each other, (3,) bool.

    Planes and axis go through the mean of the solids. Solids agree if part,
    centre, taper and second moments agree. This is cheap, and blind to an asymmetry
    within a solid that these do not show; solids of different form that cover
    the same space do not agree.
    """
    ids = {s.part: k for k, s in enumerate(solids)}
    part = np.array([ids[s.part] for s in solids])
    matrix = np.array([s.matrix for s in solids])
    mean, spread = (np.array(x) for x in zip(*(s.mesh.moments for s in solids)))
    lean = (matrix @ mean[..., None])[..., 0]  # to the wide end of a cone
    center = lean + [s.shift for s in solids]
    center -= center.mean(0) * (1, 0, 1)
    spread = matrix @ spread @ matrix.swapaxes(1, 2)
    size = np.trace(spread, axis1=1, axis2=2)
    radius = np.sqrt(size + (center**2).sum(1)).max()

    moved, leaning = (x @ OPERATIONS.swapaxes(1, 2) for x in (center, lean))  # (3, S, 3)
    turned = OPERATIONS[:, None] @ spread @ OPERATIONS[:, None].swapaxes(2, 3)  # (3, S, 3, 3)
    near = np.abs(moved[:, :, None] - center).max(-1) < SHIFT * radius
    like = np.abs(turned[:, :, None] - spread).max((-2, -1)) < TURN * size
    like &= np.abs(leaning[:, :, None] - lean).max(-1) < TURN * np.sqrt(size)
    same = near & like & (part[:, None] == part)  # (3, S, S)
    return same.any(1).all(1) & same.any(2).all(1)
