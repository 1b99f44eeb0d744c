"""Smooth deformations of sampled points and their normals.

``t`` is the coordinate along the named ``axis``; ``u`` and ``v`` are the two
that follow it in the order x, y, z, x, y. Normals are carried by the inverse
transpose of the Jacobian, in closed form.
"""

import numpy as np

AXES = dict(x=[0, 1, 2], y=[1, 2, 0], z=[2, 0, 1])


def _back(axis: str, columns: list, normals: list) -> tuple:
    """(t, u, v) columns to (N, 3) points and unit normals in x, y, z."""
    order = np.argsort(AXES[axis])
    points = np.stack(columns, axis=1)[:, order]
    normals = np.stack(normals, axis=1)[:, order]
    return points, normals / np.linalg.norm(normals, axis=1, keepdims=True)


def bend(points: np.ndarray, normals: np.ndarray, axis: str, curvature: float) -> tuple:
    """Bend the axis into a circle of radius ``1 / curvature`` towards +u.

    Args:
        points: (N, 3), with ``curvature * u < 1``.
        normals: (N, 3) unit normals.
        axis: 'x', 'y' or 'z'.
        curvature: 1 / length; 0 changes nothing.

    Returns:
        points (N, 3), unit normals (N, 3).
    """
    if abs(curvature) < 1e-9:
        return points, normals
    (t, u, v), (nt, nu, nv) = points.T[AXES[axis]], normals.T[AXES[axis]]
    cos, sin = np.cos(curvature * t), np.sin(curvature * t)
    stretch = 1 - curvature * u
    along = nt / stretch
    moved = [stretch * sin / curvature, (1 - stretch * cos) / curvature, v]
    return _back(axis, moved, [along * cos - nu * sin, along * sin + nu * cos, nv])


def twist(points: np.ndarray, normals: np.ndarray, axis: str, rate: float) -> tuple:
    """Turn (u, v) by ``rate * t`` radians; see :func:`bend`."""
    (t, u, v), (nt, nu, nv) = points.T[AXES[axis]], normals.T[AXES[axis]]
    cos, sin = np.cos(rate * t), np.sin(rate * t)
    u, v = u * cos - v * sin, u * sin + v * cos
    nu, nv = nu * cos - nv * sin, nu * sin + nv * cos
    return _back(axis, [t, u, v], [nt - rate * (u * nv - v * nu), nu, nv])


def taper(
    points: np.ndarray,
    normals: np.ndarray,
    axis: str,
    slope: float,
    bulge: float = 0.0,
    frequency: float = 0.0,
    phase: float = 0.0,
) -> tuple:
    """Scale (u, v) by ``exp(slope * t + bulge * sin(frequency * t + phase))``.

    See :func:`bend`.
    """
    (t, u, v), (nt, nu, nv) = points.T[AXES[axis]], normals.T[AXES[axis]]
    angle = frequency * t + phase
    scale = np.exp(slope * t + bulge * np.sin(angle))
    growth = slope + bulge * frequency * np.cos(angle)
    # d(u scale)/dt = u scale growth
    moved = [nt - growth * (u * nu + v * nv), nu / scale, nv / scale]
    return _back(axis, [t, u * scale, v * scale], moved)


def wave(
    points: np.ndarray, normals: np.ndarray, axis: str, height: float, frequency: float, phase=0.0
) -> tuple:
    """Shift u by ``height * sin(frequency * t + phase)``; see :func:`bend`."""
    (t, u, v), (nt, nu, nv) = points.T[AXES[axis]], normals.T[AXES[axis]]
    angle = frequency * t + phase
    moved = [t, u + height * np.sin(angle), v]
    return _back(axis, moved, [nt - height * frequency * np.cos(angle) * nu, nu, nv])


def deform(points: np.ndarray, normals: np.ndarray, rng: np.random.Generator) -> tuple:
    """One or two random deformations, each about a random axis.

    Args:
        points: (N, 3) in the unit sphere, y up.
        normals: (N, 3) unit normals.
        rng: Random numbers.

    Returns:
        points (N, 3), neither centred nor scaled again; unit normals (N, 3).
    """
    for kind in rng.permutation(4)[: rng.integers(1, 3)]:
        axis = 'yxz'[rng.choice(3, p=(0.5, 0.25, 0.25))]
        a, b, phase = rng.uniform(-1, 1, 3)
        if kind == 0:
            points, normals = bend(points, normals, axis, 0.65 * a / np.abs(points).max())
        elif kind == 1:
            points, normals = twist(points, normals, axis, 1.3 * a)
        elif kind == 2:
            points, normals = taper(points, normals, axis, 0.5 * a, 0.25 * b, 4.0, np.pi * phase)
        else:
            points, normals = wave(points, normals, axis, 0.13 * a, 3 + 2 * b, np.pi * phase)
    return points, normals
