"""Loops over points and solids, compiled by Numba when first used.

Imported only where :func:`mmkd3d.ops.compiled.kernels` finds that Numba works.
"""

import numba
import numpy as np


@numba.njit(cache=True, nogil=True, boundscheck=False)
def inside_others(points, owner, centers, halves, inverse, kinds, numbers, limit):
    """Which points lie inside a solid other than their own.

    Args:
        points: (M, 3).
        owner: (M,) index of the solid of each point.
        centers: (S, 3) shifts of the solids.
        halves: (S, 3) half extents of boxes about the centers that hold the solids.
        inverse: (S, 3, 3) inverse matrices of the solids.
        kinds: (S,) index in ``solids.KINDS``, -1 for a solid to leave out.
        numbers: (S, 4) of the kinds.
        limit: Fraction of the extent that counts as inside.

    Returns:
        (M,) bool.
    """
    found = np.zeros(len(points), np.bool_)
    for i in range(len(points)):
        x, y, z = points[i]
        for k in range(len(centers)):
            if kinds[k] < 0 or k == owner[i]:
                continue
            dx, dy, dz = x - centers[k, 0], y - centers[k, 1], z - centers[k, 2]
            if abs(dx) > halves[k, 0] or abs(dy) > halves[k, 1] or abs(dz) > halves[k, 2]:
                continue
            m = inverse[k]
            u = m[0, 0] * dx + m[0, 1] * dy + m[0, 2] * dz
            v = m[1, 0] * dx + m[1, 1] * dy + m[1, 2] * dz
            w = m[2, 0] * dx + m[2, 1] * dy + m[2, 2] * dz
            t = (v + 1) / 2
            a = numbers[k]
            if kinds[k] == 2:
                found[i] = u * u + v * v + w * w < limit
            elif abs(v) < limit:
                if kinds[k] == 1:
                    found[i] = np.hypot(u, w) < limit * (1 + (a[0] - 1) * t)
                else:
                    found[i] = abs(u - a[2] * t) < limit * (1 + (a[0] - 1) * t) and abs(
                        w - a[3] * t
                    ) < limit * (1 + (a[1] - 1) * t)
            if found[i]:
                break
    return found
