"""Symmetries of a shape, from its solids."""

from collections.abc import Sequence

import numpy as np

from ..solids import Solid, dot

# what must change nothing: mirroring in x, mirroring in z, a quarter turn about y
OPERATIONS = np.array(
    [np.diag([-1, 1, 1]), np.diag([1, 1, -1]), [[0, 0, 1], [0, 1, 0], [-1, 0, 0]]], dtype=float
)
SHIFT = 0.01  # allowed difference of centres, in radii of the shape
TURN = 0.05  # allowed difference of directions, proportions and log sizes


def symmetries(solids: Sequence[Solid]) -> np.ndarray:
    """Whether each of ``OPERATIONS`` maps the solids onto each other, (3,) bool.

    Planes and axis go through the mean of the solids. Solids agree if part,
    centre, taper and second moments agree. This is cheap, and blind to an
    asymmetry within a solid that these do not show; solids of different form
    that cover the same space do not agree.
    """
    ids = {s.part: 1e3 * k for k, s in enumerate(solids)}  # far apart
    matrix = np.array([s.matrix for s in solids])
    mean, spread = (np.array(x) for x in zip(*(s.mesh.moments for s in solids)))
    lean = (matrix @ mean[..., None])[..., 0]  # to the wide end of a cone
    center = lean + [s.shift for s in solids]
    center -= center.mean(0) * (1, 0, 1)
    spread = matrix @ spread @ matrix.swapaxes(1, 2)
    size = np.sqrt(np.trace(spread, axis1=1, axis2=2))[:, None]  # (S, 1)
    radius = np.sqrt(size[:, 0] ** 2 + dot(center, center)).max()
    center /= SHIFT * radius
    lean /= TURN * size
    spread /= TURN * size[..., None] ** 2
    fixed = np.concatenate([np.log(size) / TURN, [[ids[s.part]] for s in solids]], axis=1)

    count = len(solids)
    turns = OPERATIONS[:, None], OPERATIONS.swapaxes(1, 2)
    features = np.concatenate([center, lean, spread.reshape(-1, 9), fixed], axis=1)
    turned = [
        center @ turns[1],
        lean @ turns[1],
        (turns[0] @ spread @ turns[1][:, None]).reshape(-1, count, 9),
        np.broadcast_to(fixed, (len(OPERATIONS), count, 2)),
    ]
    square = dot(features, features)  # turns keep it
    distance = np.add.outer(square, square) - 2 * np.concatenate(turned, axis=2) @ features.T
    same = distance < 1  # (3, S, S)
    return same.any(1).all(1) & same.any(2).all(1)
