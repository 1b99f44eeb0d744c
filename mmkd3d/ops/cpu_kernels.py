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
