"""Loops over points and rows for the CPU, compiled by Numba when first used.

Imported only through :func:`mmkd3d.ops.compiled.kernels`. Distances round as in
:mod:`mmkd3d.ops.pairwise`: without ``fastmath``, LLVM neither reorders sums nor
fuses a product with a sum. Each kernel works on a range of clouds, queries or
rows, without the GIL, so that threads can share the work.

Arrays of points are float32 planes (B, 3, N), contiguous.
"""

import numba
import numpy as np

_compile = numba.njit(cache=True, nogil=True, boundscheck=False)


# Distances at a time. They are not negative, so that their bits sort as integers do, and
# minima of integers are computed for many values at once.
CHUNK = 128
LARGEST = np.int32(2**31 - 1)


@_compile
def chunk_distances(planes, first, x, y, z, dist):
    """Write squared distances of points from ``first`` on; returns how many, and the least's bits."""
    count = min(dist.shape[0], planes.shape[1] - first)
    xs, ys, zs = planes[0, first:], planes[1, first:], planes[2, first:]
    for j in range(count):
        dx, dy, dz = xs[j] - x, ys[j] - y, zs[j] - z
        dist[j] = (dx * dx + dy * dy) + dz * dz
    bits = dist.view(np.int32)
    least = LARGEST
    for j in range(count):
        least = min(least, bits[j])
    return count, least


@_compile
def nearest(start, stop, query, planes, dist, idx):
    """Nearest points of queries (B, M, 3), to dist and idx (B, M, k); ties to the lower index."""
    k = idx.shape[2]
    chunk = np.empty(CHUNK, np.float32)
    bits = chunk.view(np.int32)
    for item in range(start, stop):
        b, m = divmod(item, query.shape[1])
        x, y, z = query[b, m]
        best, ids = dist[b, m].view(np.int32), idx[b, m]
        best[:] = LARGEST
        for first in range(0, planes.shape[2], CHUNK):
            count, least = chunk_distances(planes[b], first, x, y, z, chunk)
            if least >= best[k - 1]:
                continue
            for j in range(count):
                value = bits[j]
                if value < best[k - 1]:
                    place = k - 1
                    while place > 0 and best[place - 1] > value:
                        best[place], ids[place] = best[place - 1], ids[place - 1]
                        place -= 1
                    best[place], ids[place] = value, first + j


@_compile
def first_in_ball(start, stop, query, planes, inner, outer, idx):
    """First points in the balls of queries (B, M, 3), to idx (B, M, S) of zeros."""
    chunk = np.empty(CHUNK, np.float32)
    bound = np.full(1, outer, np.float32).view(np.int32)[0]
    for item in range(start, stop):
        b, m = divmod(item, query.shape[1])
        x, y, z = query[b, m]
        found = 0
        for first in range(0, planes.shape[2], CHUNK):
            count, least = chunk_distances(planes[b], first, x, y, z, chunk)
            if least >= bound:
                continue
            for j in range(count):
                value = chunk[j]
                if value < outer and (value >= inner or value == 0):
                    idx[b, m, found] = first + j
                    found += 1
                    if found == idx.shape[2]:
                        break
            if found == idx.shape[2]:
                break
        for place in range(found, idx.shape[2]):
            idx[b, m, place] = idx[b, m, 0]


@_compile
def farthest(start, stop, planes, running, picked):
    """Sample points far from each other, to picked (B, M) of zeros; the first of ties wins.

    ``running`` (B, N) has the initial distances, those of points never to pick below 0.
    """
    num_points = planes.shape[2]
    chunk = np.empty(1024, np.float32)
    for b in range(start, stop):
        bits = running[b].view(np.int32)
        for i in range(1, picked.shape[1]):
            last = picked[b, i - 1]
            x, y, z = planes[b, 0, last], planes[b, 1, last], planes[b, 2, last]
            best, place = -LARGEST, 0
            for first in range(0, num_points, chunk.shape[0]):
                count, _ = chunk_distances(planes[b], first, x, y, z, chunk)
                top = lower(bits[first : first + count], chunk.view(np.int32))
                if top > best:
                    best, place = top, first
            while bits[place] < best:
                place += 1
            picked[b, i] = place


@_compile
def lower(running, dist):
    """Lower the bits of running distances to new ones; returns the largest."""
    top = -LARGEST
    for j in range(running.shape[0]):
        running[j] = min(running[j], dist[j])
        top = max(top, running[j])
    return top


@_compile
def inside_boxes(start, stop, points, boxes, sides, out):
    """Whether points (N, 3) lie in boxes (8, T), to out (N, T).

    The rows of ``boxes`` are the centre, half of the size, and cosine and sine of the yaw.
    """
    for n in range(start, stop):
        x, y, z = points[n]
        row = out[n]
        for t in range(boxes.shape[1]):
            dx, dy, dz = x - boxes[0, t], y - boxes[1, t], z - boxes[2, t]
            along = abs(dx * boxes[6, t] + dy * boxes[7, t])
            across = abs(dy * boxes[6, t] - dx * boxes[7, t])
            beside = (along < boxes[3, t]) & (across < boxes[4, t])
            on_side = (along <= boxes[3, t]) & (across <= boxes[4, t])
            row[t] = (beside | (on_side & sides)) & (abs(dz) <= boxes[5, t])


@_compile
def add_rows(start, stop, rows, idx, out):
    """Add rows (B, M, C) to those of out (B, N, C) at idx (B, M)."""
    for b in range(start, stop):
        for m in range(idx.shape[1]):
            place = idx[b, m]
            for c in range(out.shape[2]):
                out[b, place, c] += rows[b, m, c]


@_compile
def maxima(start, stop, x, out, place):
    """Maxima of x (N, K, C) over K and their first places, to out and place (N, C); keeps NaN."""
    for n in range(start, stop):
        out[n] = x[n, 0]
        place[n] = 0
        for k in range(1, x.shape[1]):
            for c in range(x.shape[2]):
                value, best = x[n, k, c], out[n, c]
                better = value > best or (value != value and best == best)
                out[n, c] = value if better else best
                place[n, c] = k if better else place[n, c]


@_compile
def maxima_gradient(start, stop, grad, place, out):
    """Write grad (N, C) to out (N, K, C) at the places of the maxima, and 0 elsewhere."""
    for n in range(start, stop):
        for k in range(out.shape[1]):
            for c in range(out.shape[2]):
                out[n, k, c] = grad[n, c] if place[n, c] == k else np.float32(0)


@_compile
def add_at_places(start, stop, grad, place, weight, x, x_grad, weight_grad):
    """Backward of a linear layer (D, C) whose gradient (N, D) is that of a few points of groups.

    Adds to the gradients of these points of x (N, K, C), at their places (N, D), and of the layer.
    """
    for n in range(start, stop):
        for d in range(grad.shape[1]):
            value = grad[n, d]
            if value == 0:
                continue
            k = place[n, d]
            for c in range(x.shape[2]):
                x_grad[n, k, c] += value * weight[d, c]
                weight_grad[d, c] += value * x[n, k, c]


@_compile
def moments(start, stop, x, total, square):
    """Add rows of x (N, C) and their squares to total and square (C,), float64."""
    for row in range(start, stop):
        for c in range(x.shape[1]):
            value = np.float64(x[row, c])
            total[c] += value
            square[c] += value * value


@_compile
def scale_rows(start, stop, x, scale, shift, relu, out):
    """Write ``x * scale + shift``, or the maximum of it and 0."""
    if relu:
        for row in range(start, stop):
            for c in range(x.shape[1]):
                value = x[row, c] * scale[c] + shift[c]
                out[row, c] = np.float32(0) if value < 0 else value  # keeps NaN
    else:
        for row in range(start, stop):
            for c in range(x.shape[1]):
                out[row, c] = x[row, c] * scale[c] + shift[c]


@_compile
def norm_gradient_sums(start, stop, grad, x, scale, shift, mean, relu, total, dot):
    """Add rows of the gradient, and of its product with ``x - mean``."""
    for row in range(start, stop):
        for c in range(x.shape[1]):
            value = grad[row, c]
            if relu and not x[row, c] * scale[c] + shift[c] > 0:
                value = np.float32(0)
            total[c] += value
            dot[c] += np.float64(value * (x[row, c] - mean[c]))


@_compile
def norm_gradient(start, stop, grad, x, scale, shift, mean, slope, offset, relu, out):
    """Gradient of a norm (N, C): ``grad * scale - (x - mean) * slope - offset``."""
    for row in range(start, stop):
        for c in range(x.shape[1]):
            value = grad[row, c]
            if relu and not x[row, c] * scale[c] + shift[c] > 0:
                value = np.float32(0)
            out[row, c] = value * scale[c] - (x[row, c] - mean[c]) * slope[c] - offset[c]


@_compile
def hashed(x):
    """Mix the bits of an unsigned number; lowbias32 of C. Wellons, 2018."""
    x = np.uint32(x ^ (x >> np.uint32(16)))
    x = np.uint32(x * np.uint32(0x7FEB352D))
    x = np.uint32(x ^ (x >> np.uint32(15)))
    x = np.uint32(x * np.uint32(0x846CA68B))
    return np.uint32(x ^ (x >> np.uint32(16)))


@_compile
def row_seed(seed, row):
    return hashed(np.uint32(hashed(np.uint32(row)) + np.uint32(seed)))


@_compile
def drop(start, stop, number, seed, limit, scale, weights):
    """Set weights (n, T) to 0 where their 32 random bits are below the limit."""
    limit = np.uint32(limit)
    for row in range(start, stop):
        own = row_seed(seed, number + row)
        for i in range(weights.shape[1]):
            bits = hashed(np.uint32(own + np.uint32(i) * np.uint32(0x9E3779B9)))
            weights[row, i] = np.float32(0) if bits < limit else weights[row, i]


@_compile
def drop_gradient(start, stop, number, seed, limit, scale, weights, slope, mean):
    """Drop the same weights as ``drop``, and turn their gradient into that of the logits."""
    limit, scale = np.uint32(limit), np.float32(scale)
    for row in range(start, stop):
        own = row_seed(seed, number + row)
        for i in range(weights.shape[1]):
            bits = hashed(np.uint32(own + np.uint32(i) * np.uint32(0x9E3779B9)))
            kept = np.float32(0) if bits < limit else scale
            weight = weights[row, i]
            slope[row, i] = weight * (slope[row, i] * kept - mean[row])
            weights[row, i] = weight * kept
