"""Loops over points and solids, compiled by Numba when first used.

Imported only where :func:`mmkd3d.ops.compiled.kernels` finds that Numba works.
"""

import numba
import numpy as np

_compile = numba.njit(cache=True, nogil=True, boundscheck=False)


@_compile
def find(rising, values):
    """``np.searchsorted(rising, values)`` for values from 0 to the last of ``rising``."""
    count, last = len(rising), rising[-1]
    # where to begin for each of `count` intervals
    start, k = np.empty(count + 1, np.int64), 0
    for i in range(count + 1):
        while k < count - 1 and rising[k] < i * last / count:
            k += 1
        start[i] = k
    found = np.empty(len(values), np.int64)
    for i in range(len(values)):
        k = start[max(0, int(values[i] / last * count) - 1)]
        while rising[k] < values[i]:
            k += 1
        found[i] = k
    return found


@_compile
def is_inside(kind, a, limit, u, v, w):
    """Whether (u, v, w) lies in a unit mesh; see ``solids.Inside``."""
    if kind == 2:
        return u * u + v * v + w * w < limit
    if abs(v) >= limit:
        return False
    t = (v + 1) / 2
    if kind == 1:
        return np.hypot(u, w) < limit * (1 + (a[0] - 1) * t)
    if abs(u - a[2] * t) >= limit * (1 + (a[0] - 1) * t):
        return False
    return abs(w - a[3] * t) < limit * (1 + (a[1] - 1) * t)


@_compile
def place(
    face, us, vs, owners, corners, normals, matrix, inverse, shift, halves, kinds, numbers, limit
):
    """Points at (1 - u - v, u, v) of faces, and whether they lie inside another solid.

    Where u + v > 1, 1 - u and 1 - v are meant.

    Args:
        face: (M,) index of the face of each point.
        us: (M,), and vs.
        owners: (F,) index of the solid of each face.
        corners: (F, 3, 3) in the unit meshes, and normals.
        matrix: (S, 3, 3) of the solids, and their inverse.
        shift: (S, 3).
        halves: (S, 3) half extents of boxes about the shifts that hold the solids.
        kinds: (S,) index in ``solids.KINDS``, -1 for a solid to leave out.
        numbers: (S, 4) of the kinds.
        limit: Fraction of the extent that counts as inside.

    Returns:
        points (M, 3), unit normals (M, 3), owner (M,) and hidden (M,) bool.
    """
    count = len(face)
    points, directions = np.empty((count, 3)), np.empty((count, 3))
    owner, hidden = np.empty(count, owners.dtype), np.zeros(count, np.bool_)
    local = np.empty(3)
    for i in range(count):
        u, v = us[i], vs[i]
        if u + v > 1:
            u, v = 1 - u, 1 - v
        t = 1 - u - v
        own = owners[face[i]]
        owner[i] = own
        a, b = corners[face[i]], matrix[own]
        for j in range(3):
            local[j] = a[0, j] * t + a[1, j] * u + a[2, j] * v
        for j in range(3):
            points[i, j] = (
                b[j, 0] * local[0] + b[j, 1] * local[1] + b[j, 2] * local[2] + shift[own, j]
            )
        a, b = normals[face[i]], inverse[own]
        for j in range(3):
            local[j] = a[0, j] * t + a[1, j] * u + a[2, j] * v
        square = 0.0
        for j in range(3):
            value = local[0] * b[0, j] + local[1] * b[1, j] + local[2] * b[2, j]
            directions[i, j] = value
            square += value * value
        length = np.sqrt(square)
        for j in range(3):
            directions[i, j] /= length
        for k in range(len(shift)):
            if kinds[k] < 0 or k == own:
                continue
            x = points[i, 0] - shift[k, 0]
            y = points[i, 1] - shift[k, 1]
            z = points[i, 2] - shift[k, 2]
            if abs(x) > halves[k, 0] or abs(y) > halves[k, 1] or abs(z) > halves[k, 2]:
                continue
            m = inverse[k]
            if is_inside(
                kinds[k],
                numbers[k],
                limit,
                m[0, 0] * x + m[0, 1] * y + m[0, 2] * z,
                m[1, 0] * x + m[1, 1] * y + m[1, 2] * z,
                m[2, 0] * x + m[2, 1] * y + m[2, 2] * z,
            ):
                hidden[i] = True
                break
    return points, directions, owner, hidden


@_compile
def facing(points, normals, two_sided, eyes, axes, pixels, slack):
    """Best viewpoint of each point.

    Args:
        points: (M, 3) in the unit sphere.
        normals: (M, 3), unit.
        two_sided: (M,) bool.
        eyes: (V, 3).
        axes: (V, 3, 3) right, up and back of the cameras.
        pixels: Rows and columns of the z-buffer.
        slack: Depth behind the nearest point of a pixel that is visible.

    Returns:
        cosine (M,) between normal and ray, 0 for hidden points, and view (M,).
    """
    count = len(points)
    best, view = np.zeros(count), np.zeros(count, np.int64)
    nearest, depth, own = (
        np.empty((pixels, pixels)),
        np.empty(count),
        np.empty((count, 2), np.int64),
    )
    for k in range(len(eyes)):
        nearest[:] = np.inf
        far = np.sqrt((eyes[k] ** 2).sum())
        zoom = np.sqrt(far * far - 1) * pixels / 2
        for i in range(count):
            x, y, z = points[i]
            a = axes[k]
            depth[i] = far - (a[2, 0] * x + a[2, 1] * y + a[2, 2] * z)
            scale = zoom / depth[i]
            column = (a[0, 0] * x + a[0, 1] * y + a[0, 2] * z) * scale + pixels / 2
            row = (a[1, 0] * x + a[1, 1] * y + a[1, 2] * z) * scale + pixels / 2
            own[i, 0] = int(min(max(row, 0), pixels - 1))
            own[i, 1] = int(min(max(column, 0), pixels - 1))
            # each point covers a square of one pixel
            low = int(min(max(row - 0.5, 0), pixels - 2))
            left = int(min(max(column - 0.5, 0), pixels - 2))
            for r in range(low, low + 2):
                for c in range(left, left + 2):
                    nearest[r, c] = min(nearest[r, c], depth[i])
        for i in range(count):
            if depth[i] >= nearest[own[i, 0], own[i, 1]] + slack:
                continue
            x, y, z = (
                eyes[k, 0] - points[i, 0],
                eyes[k, 1] - points[i, 1],
                eyes[k, 2] - points[i, 2],
            )
            cosine = (normals[i, 0] * x + normals[i, 1] * y + normals[i, 2] * z) / np.sqrt(
                x * x + y * y + z * z
            )
            if two_sided[i]:
                cosine = abs(cosine)
            if cosine > 0.05 and cosine > best[i]:
                best[i], view[i] = cosine, k
    return best, view


@_compile
def hide_in_tube(points, owner, own, inverse, shift, low, high, centre, frames, limit, hidden):
    """Mark points in a tube, see ``solids.InsideTube``, unless they belong to solid ``own``."""
    for i in range(len(points)):
        if hidden[i] or owner[i] == own:
            continue
        x, y, z = points[i, 0] - shift[0], points[i, 1] - shift[1], points[i, 2] - shift[2]
        u = inverse[0, 0] * x + inverse[0, 1] * y + inverse[0, 2] * z
        v = inverse[1, 0] * x + inverse[1, 1] * y + inverse[1, 2] * z
        w = inverse[2, 0] * x + inverse[2, 1] * y + inverse[2, 2] * z
        if not (low[0] < u < high[0] and low[1] < v < high[1] and low[2] < w < high[2]):
            continue
        near, least = 0, np.inf
        for k in range(len(centre)):
            x, y, z = u - centre[k, 0], v - centre[k, 1], w - centre[k, 2]
            square = x * x + y * y + z * z
            if square < least:
                near, least = k, square
        x, y, z = u - centre[near, 0], v - centre[near, 1], w - centre[near, 2]
        f = frames[near]
        a = f[0, 0] * x + f[0, 1] * y + f[0, 2] * z
        b = f[1, 0] * x + f[1, 1] * y + f[1, 2] * z
        c = max(f[2, 0] * x + f[2, 1] * y + f[2, 2] * z, 0.0)
        hidden[i] = a * a + b * b + c * c < limit
