"""Nearest neighbours and ball queries, exact and deterministic."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .compiled import can_search, in_threads, kernels
from .exporting import is_exporting
from .pairwise import Distances, check_pair

PAIRS_PER_THREAD = 2**18  # of a query and a point, compared in some 0.1 ms


class Neighbors(NamedTuple):
    """Distances and indices of neighbours, both (B, M, k).

    See the function that returns it for whether ``dist`` is squared. ``dist``
    has no gradient; indices are long.
    """

    dist: Tensor
    idx: Tensor


@torch.no_grad()
def knn(query: Tensor, points: Tensor, k: int) -> Neighbors:
    """Find the k nearest points of each query.

    Distances are float32, even under autocast and for float64 input. Memory
    is bounded for any M and N.

    Args:
        query: (B, M, 3) coordinates.
        points: (B, N, 3) coordinates; N >= k.
        k: Neighbours per query.

    Returns:
        dist: (B, M, k) squared distances, ascending.
        idx: (B, M, k) indices into N; ties go to the lower index.

    Raises:
        ValueError: Mismatched clouds, or ``k`` outside 1..N.
    """
    check_pair('query', query, 'points', points)
    return feature_knn(query, points, k)


@torch.no_grad()
def feature_knn(query: Tensor, points: Tensor, k: int) -> Neighbors:
    """:func:`knn` of features of any width, (B, M, C) and (B, N, C)."""
    N = points.shape[1]
    if not 1 <= k <= N:
        raise ValueError(
            f'knn needs 1 <= k <= N, got k={k} for clouds of '
            f'N={N} points; lower k (group_size) or give larger '
            'clouds'
        )
    if is_exporting():
        dist, idx = _all_distances(query, points).topk(k, largest=False)
        return Neighbors(dist, idx)
    if points.shape[2] == 3 and can_search(query, points):
        dist = query.new_empty(*query.shape[:2], k, dtype=torch.float32)
        idx = torch.zeros_like(dist, dtype=torch.long)
        _search('nearest', query, points, dist.numpy(), idx.numpy())
        return Neighbors(dist, idx)
    select = _nearest if k == 1 else _nearest_k
    dist = query.new_empty(*query.shape[:2], k, dtype=torch.float32)
    idx = torch.empty_like(dist, dtype=torch.long)
    for clouds, queries, block in Distances(query, points, _num_rows(N, k)):
        dist[clouds, queries], idx[clouds, queries] = select(block, k)
    # a NaN may select padding; stay in range, so that the NaN reaches the loss,
    # where it is reported
    return Neighbors(dist, idx.clamp_(max=N - 1))


def _search(kernel: str, query: Tensor, points: Tensor, *args: object) -> None:
    """Run a compiled search of all queries (B, M, 3) among points (B, N, 3)."""
    centers = query.float().contiguous().numpy()
    planes = points.float().mT.contiguous().numpy()
    run = getattr(kernels(), kernel)
    in_threads(
        lambda start, stop: run(start, stop, centers, planes, *args),
        query.shape[0] * query.shape[1],
        PAIRS_PER_THREAD // points.shape[1],
    )


def _all_distances(query: Tensor, points: Tensor) -> Tensor:
    """Squared distances (B, M, N), for models that are exported; rounded as in ``Distances``."""
    planes = (query.float()[:, :, None] - points.float()[:, None]).square().unbind(-1)
    return sum(planes[1:], planes[0])


def _num_rows(num_points: int, k: int) -> int:
    """Number of rows that balances the two selections, of N / rows and k * rows.

    A power of two keeps the rows aligned; the limits were measured.
    """
    rows = min(math.isqrt(num_points // k), num_points // 32, 16)
    return 2 ** max(0, rows.bit_length() - 1)


def _nearest(block: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The nearest of (b, m, A, C); ``argmin`` returns the first of ties."""
    rows = block.shape[2]
    if rows == 1:
        dist, idx = block.squeeze(2).min(-1, keepdim=True)
        return dist, idx
    col = block.amin(2).argmin(-1)[..., None]  # (b, m, 1)
    column = block.gather(3, col[:, :, None].expand(-1, -1, rows, -1))
    dist, row = column.squeeze(3).min(-1, keepdim=True)
    return dist, col * rows + row


def _nearest_k(block: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k nearest of (b, m, A, C).

    They lie in the k columns with the smallest minima: any element of another
    column comes after k column minima. This also holds for ties, since columns
    are in index order. So only these columns are searched.
    """
    rows, num_cols = block.shape[2:]
    ids = torch.arange(num_cols, device=block.device)
    if rows == 1:
        return _smallest(block.squeeze(2), ids, k)
    _, col = _smallest(block.amin(2), ids, k, in_order=False)
    block = block.gather(3, col[:, :, None].expand(-1, -1, rows, -1))
    row = torch.arange(rows, device=block.device)[:, None]
    return _smallest(block.flatten(2), (col[:, :, None] * rows + row).flatten(2), k)


def _smallest(dist: Tensor, ids: Tensor, k: int, in_order: bool = True) -> tuple[Tensor, Tensor]:
    """k smallest pairs (dist, id) on the last axis; dist >= 0, ids < 2**31.

    ``topk`` breaks ties arbitrarily, so use unique integer keys: the bits of
    non-negative floats sort in the same order as the floats.
    """
    keys = dist.contiguous().view(torch.int32).long().bitwise_left_shift_(32)
    keys = keys.bitwise_or_(ids)
    keys = keys.topk(k, largest=False, sorted=in_order).values
    idx = keys & (2**31 - 1)
    return (keys >> 32).int().view(torch.float32), idx


@torch.no_grad()
def ball_query(
    query: Tensor, points: Tensor, radius: float, num_samples: int, *, min_radius: float = 0.0
) -> Tensor:
    """Find the first points, in index order, within a ball of each query.

    Same semantics as mmcv's ``ball_query``: a point counts if its squared
    distance is 0, or if ``min_radius**2 <= dist < radius**2`` in float32.
    Missing slots repeat the first hit; without hits all slots are 0.

    Args:
        query: (B, M, 3) ball centres.
        points: (B, N, 3) coordinates.
        radius: Radius, in the unit of the coordinates.
        num_samples: Slots ``S`` per query.
        min_radius: Inner radius, inclusive.

    Returns:
        (B, M, S) long, indices into N.

    Raises:
        ValueError: Mismatched clouds, ``num_samples < 1``, or radii that
            violate ``0 <= min_radius < radius``.
    """
    check_pair('query', query, 'points', points)
    if num_samples < 1 or not 0 <= min_radius < radius:
        raise ValueError(
            'ball_query needs num_samples >= 1 and 0 <= min_radius < radius, '
            f'got {num_samples}, {min_radius} and {radius}'
        )
    inner, outer = (float(np.float32(r) * np.float32(r)) for r in (min_radius, radius))
    if is_exporting():
        return _ball_query_of_all(_all_distances(query, points), inner, outer, num_samples)
    idx = query.new_zeros(*query.shape[:2], num_samples, dtype=torch.long)
    if can_search(query, points):
        _search('first_in_ball', query, points, *np.float32((inner, outer)), idx.numpy())
        return idx
    rows = _num_rows(points.shape[1], 32)
    for clouds, queries, block in Distances(query, points, rows):
        if inner > 0:
            block.masked_fill_((block < inner) & (block > 0), torch.inf)
        idx[clouds, queries] = _first_hits(block, outer, num_samples)
    return idx


def _ball_query_of_all(dist: Tensor, inner: float, outer: float, num_samples: int) -> Tensor:
    """First ids in the ball, (B, M, S), from all distances (B, M, N)."""
    N = dist.shape[2]
    hit = (dist < outer) & ((dist >= inner) | (dist == 0))
    ids = torch.where(hit, torch.arange(N, device=dist.device), N)
    ids = ids.topk(min(num_samples, N), largest=False).values
    ids = torch.nn.functional.pad(ids, (0, num_samples - ids.shape[2]), value=N)
    ids = torch.where(ids == N, ids[..., :1], ids)
    return ids.masked_fill(ids == N, 0)


def _first_hits(block: Tensor, outer: float, num_samples: int) -> Tensor:
    """First ids with dist < outer among (b, m, A, C), as (b, m, S)."""
    b, m, rows, _ = block.shape
    block = block.flatten(0, 1)  # (q, A, C)
    # columns are in index order: the first S hits lie in the first S columns
    # with a hit
    query, col = (block.amin(1) < outer).nonzero(as_tuple=True)
    few = _rank(query, b * m) < num_samples
    query, col = query[few], col[few]
    column, row = (block[query, :, col] < outer).nonzero(as_tuple=True)
    query, ids = query[column], col[column] * rows + row
    rank = _rank(query, b * m)
    idx = ids.new_zeros(b * m, num_samples)
    first, taken = rank == 0, rank < num_samples
    idx[query[first]] = ids[first, None]
    idx[query[taken], rank[taken]] = ids[taken]
    return idx.view(b, m, num_samples)


def _rank(group: Tensor, num_groups: int) -> Tensor:
    """Rank of each entry in its group; ``group`` (P,) is ascending."""
    groups = torch.arange(num_groups, device=group.device)
    start = torch.searchsorted(group, groups)
    return torch.arange(len(group), device=group.device) - start[group]
