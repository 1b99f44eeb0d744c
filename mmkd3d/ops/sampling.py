"""Farthest point sampling with the semantics of the published kernels."""

import functools
import logging
import math
from collections.abc import Callable

import torch
from torch import Tensor

from .compiled import can_search, in_threads, kernels
from .exporting import is_exporting
from .pairwise import check_cloud

# rule -> threads per block of the published CUDA kernel, which decide ties
MAX_THREADS = dict(mmcv=1024, pointnet2=512)
# pointnet2 treats points closer than this to the origin as padding
PADDING_SQUARED_NORM = 1e-3
PAIRS_PER_THREAD = 2**18  # distances that take some 0.1 ms


@torch.no_grad()
def farthest_point_sample(points: Tensor, num_samples: int, *, rule: str = 'mmcv') -> Tensor:
    """Sample points that are far from each other, starting at index 0.

    Both rules return the same indices as the CUDA kernels they are named
    after. Ties go to the thread with the smallest bit-reversed number, then to
    the lower index. When a cloud runs out of distinct points, the winner of the
    tie among all points repeats, so ``num_samples > N`` is allowed.

    Args:
        points: (B, N, 3) finite coordinates; computed in float32.
        num_samples: Points ``M`` to take.
        rule: 'mmcv', or 'pointnet2', the extension that ACT, I2P-MAE, ReCon,
            Point-MAE and 3DETR used: it never picks a point with
            ``x*x + y*y + z*z <= 1e-3`` except index 0.

    Returns:
        (B, M) long, indices into N.

    Raises:
        ValueError: Unknown rule, ``num_samples < 1`` or a malformed cloud.
    """
    check_cloud('points', points)
    order = _tie_order(int(points.shape[1]), num_samples, rule, points.device)
    if can_search(points):
        sample, layout = _compiled_sample, order
    elif points.is_cuda and not is_exporting() and _triton_sampler() is not None:
        sample, layout = _triton_sampler(), order
    else:
        rows = _num_rows(len(order))
        layout = _in_rows(order, rows)
        sample = functools.partial(_sample, rows=rows)
    points = points.detach().float().index_select(1, layout)
    planes = points.permute(2, 0, 1).contiguous()  # (3, B, P)
    running = torch.full_like(planes[0], 1e10)
    if rule == 'pointnet2':
        x, y, z = planes
        norm = (x * x + y * y) + z * z
        # below every distance: never picked, never raised by the minimum
        running[norm <= PADDING_SQUARED_NORM] = -1
    return layout[sample(planes, running, num_samples)]


@torch.no_grad()
def farthest_point_sample_with_dist(
    dist: Tensor, num_samples: int, *, rule: str = 'mmcv'
) -> Tensor:
    """Farthest point sampling from given distances.

    Args:
        dist: (B, N, N) distances; row i holds those from point i to all
            others. The matrix need not be symmetric.
        num_samples: Points ``M`` to take.
        rule: Tie rule, as in :func:`farthest_point_sample`. Points near the
            origin are not excluded.

    Returns:
        (B, M) long, indices into N.

    Raises:
        ValueError: Unknown rule, ``num_samples < 1`` or a malformed matrix.
    """
    if dist.ndim != 3 or dist.shape[1] != dist.shape[2] or not dist.shape[1]:
        raise ValueError(f'dist must have shape (B, N, N) with N > 0, got {tuple(dist.shape)}')
    B, N, _ = dist.shape
    order = _tie_order(N, num_samples, rule, dist.device)
    rows = _num_rows(N)
    layout = _in_rows(order, rows)
    table = dist.detach().float().flatten(0, 1)  # (B * N, N)
    cloud = torch.arange(B, device=dist.device)[:, None] * N
    running = table.new_full((B, len(layout)), 1e10)
    idx = layout.new_zeros(B, num_samples)
    for i in range(1, num_samples):
        last = table[(idx[:, i - 1 : i] + cloud).flatten()]  # (B, N)
        torch.minimum(running, last[:, layout], out=running)
        idx[:, i : i + 1] = layout[_farthest(running, rows)]
    return idx


def _tie_order(num_points: int, num_samples: int, rule: str, device: torch.device) -> Tensor:
    """Indices (N,), sorted so that the first of ties wins."""
    if rule not in MAX_THREADS:
        raise ValueError(f'rule must be one of {sorted(MAX_THREADS)}, got {rule!r}')
    if num_samples < 1:
        raise ValueError(f'num_samples must be positive, got {num_samples}')
    bits = min(num_points, MAX_THREADS[rule]).bit_length() - 1
    index = torch.arange(num_points, device=device)
    thread = index % 2**bits
    rank = torch.zeros_like(thread)
    for bit in range(bits):
        rank = rank * 2 + (thread >> bit) % 2
    return (rank * num_points + index).argsort()  # no ties: ONNX has no stable sort


def _num_rows(num_points: int) -> int:
    """A power of two keeps the rows aligned; more than 32 bring no speed-up."""
    return 2 ** min(5, math.isqrt(num_points).bit_length() - 1)


def _in_rows(order: Tensor, rows: int) -> Tensor:
    """Layout (A * C,) that puts item i at row ``i % A``, column ``i // A``.

    Pads by repeating the last item; a copy never wins a tie against it.
    """
    item = torch.arange(rows * -(-len(order) // rows), device=order.device)
    item = item.view(-1, rows).t().flatten()
    return order[item.clamp(max=len(order) - 1)]


def _farthest(running: Tensor, rows: int) -> Tensor:
    """First arg-max (B, 1) of (B, A * C), columns first.

    ``argmax`` returns the first of ties but is ten times slower than ``amax``
    on a CPU, so it is applied to only C and then A values.
    """
    grid = running.unflatten(1, (rows, -1))  # (B, A, C)
    col = grid.amax(1).argmax(1)[:, None, None]
    row = grid.gather(2, col.expand(-1, rows, 1)).argmax(1)  # (B, 1)
    return row * grid.shape[2] + col[:, 0]


def _compiled_sample(planes: Tensor, running: Tensor, num_samples: int) -> Tensor:
    """:func:`_sample` in a loop over clouds, each of which stays in the cache of one core."""
    picked = running.new_zeros(running.shape[0], num_samples, dtype=torch.long)
    arrays = planes.transpose(0, 1).contiguous().numpy(), running.numpy(), picked.numpy()
    in_threads(
        lambda start, stop: kernels().farthest(start, stop, *arrays),
        len(running),
        PAIRS_PER_THREAD // (running.shape[1] * num_samples),
    )
    return picked


def _sample(planes: Tensor, running: Tensor, num_samples: int, rows: int) -> Tensor:
    """Sampled indices (B, M) into planes (3, B, P); overwrites ``running`` (B, P).

    A loop over clouds would keep one cloud in the cache but measured slower,
    even for 40,000 points. The loop never synchronizes with a GPU.
    """
    picked = torch.zeros(running.shape[0], num_samples, dtype=torch.long, device=planes.device)
    x, y, z = planes
    dist, square = torch.empty_like(running), torch.empty_like(running)
    last = planes[..., :1]  # (3, B, 1)
    for i in range(1, num_samples):
        torch.sub(x, last[0], out=dist).mul_(dist)
        dist.add_(torch.sub(y, last[1], out=square).mul_(square))
        dist.add_(torch.sub(z, last[2], out=square).mul_(square))
        torch.minimum(running, dist, out=running)
        position = _farthest(running, rows)
        picked[:, i : i + 1] = position
        last = planes.gather(2, position.expand(3, -1, 1))
    return picked


@functools.lru_cache
def _triton_sampler() -> Callable[[Tensor, Tensor, int], Tensor] | None:
    """The kernel, or None if it can't be compiled and run."""
    try:
        from .fps_triton import sample

        planes = torch.zeros(3, 1, 2, device='cuda')
        sample(planes, planes[0].clone(), 2)
    except (
        Exception
    ) as error:  # on any Triton error, fall back to PyTorch, which gives the same result
        logging.getLogger(__name__).warning(
            'farthest_point_sample runs in PyTorch, slower than its Triton '
            'kernel, which needs triton and a C compiler: %s',
            error,
        )
        return None
    return sample
