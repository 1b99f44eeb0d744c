"""Exact squared distances between clouds, in blocks of bounded size.

All searches in this package use this module, so they round the same way:
float32, coordinate differences, ``(dx*dx + dy*dy) + dz*dz``. The
expanded form ``|a|^2 - 2ab + |b|^2`` would be faster but breaks zero
distances, strict comparisons and ties.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

# Distances per block. On a CPU, two buffers of this size should fit in the
# cache, but smaller ones synchronize threads more often. On a GPU, larger
# blocks save launches (64 MiB each).
MAX_ENTRIES_CPU = 2**20
MAX_ENTRIES_GPU = 2**24


def check_cloud(name: str, points: Tensor) -> None:
    """Raise ``ValueError`` unless ``points`` is a non-empty (B, N, 3)."""
    if points.ndim != 3 or points.shape[-1] != 3:
        raise ValueError(
            f'{name} must have shape (B, N, 3), got '
            f'{tuple(points.shape)}; pass coordinates only, '
            'points[..., :3]'
        )
    if points.shape[1] == 0:
        raise ValueError(
            f'{name} is an empty cloud, shape {tuple(points.shape)}; drop such samples'
        )
    if not points.is_floating_point():
        raise ValueError(f'{name} must be floating point, got {points.dtype}')


def check_pair(first: str, a: Tensor, second: str, b: Tensor) -> None:
    """Raise ``ValueError`` unless both clouds share batch size and device."""
    check_cloud(first, a)
    check_cloud(second, b)
    if a.shape[0] != b.shape[0] or a.device != b.device:
        raise ValueError(
            f'{first} and {second} must share batch size and device, got '
            f'{tuple(a.shape)} on {a.device} and {tuple(b.shape)} on '
            f'{b.device}'
        )


class Distances:
    """Iterate over blocks of the squared distances query x points.

    Point ``i`` is stored at row ``i % num_rows`` and column
    ``i // num_rows``. A column holds consecutive indices, so reducing over the
    rows (which is fast) keeps columns in index order. Padding is at infinity.

    Args:
        query: (B, M, C) coordinates, or features of any width.
        points: (B, N, C).
        num_rows: Rows ``A`` of the layout; the ``N`` points fill ``C``
            columns.
    """

    def __init__(self, query: Tensor, points: Tensor, num_rows: int = 1):
        self.query = query.detach().float()
        B, N, C = points.shape
        self.shape = num_rows, -(-N // num_rows)
        size = num_rows * self.shape[1]
        planes = points.new_full((C, B, size), torch.inf, dtype=torch.float32)
        planes[:, :, :N] = points.detach().permute(2, 0, 1)
        # rows last to rows first
        self.planes = planes.view(C, B, -1, num_rows).transpose(2, 3).reshape(C, B, 1, size)
        self.size = size

    def __iter__(self) -> Iterator[tuple[slice, slice, Tensor]]:
        """Yield clouds, queries and their distances (b, m, A, C).

        The next block overwrites these distances.
        """
        B, M, _ = self.query.shape
        limit = MAX_ENTRIES_GPU if self.query.is_cuda else MAX_ENTRIES_CPU
        m = max(1, min(M, limit // self.size))
        b = max(1, limit // (m * self.size)) if m == M else 1
        buffers = self.query.new_empty(2, min(b, B) * m * self.size)
        for cloud in range(0, B, b):
            clouds = slice(cloud, min(cloud + b, B))
            for start in range(0, M, m):
                queries = slice(start, min(start + m, M))
                yield clouds, queries, self._block(clouds, queries, buffers)

    def _block(self, clouds: slice, queries: slice, buffers: Tensor) -> Tensor:
        query = self.query[clouds, queries].permute(2, 0, 1).unsqueeze(-1)
        planes = self.planes[:, clouds]
        shape = *query.shape[1:3], self.size
        total = shape[0] * shape[1] * shape[2]
        dist, square = (buffer[:total].view(shape) for buffer in buffers)
        torch.sub(query[0], planes[0], out=dist).mul_(dist)
        for axis in range(1, len(planes)):
            # not addcmul, which rounds once instead of twice
            torch.sub(query[axis], planes[axis], out=square).mul_(square)
            dist.add_(square)
        return dist.view(*shape[:2], *self.shape)
