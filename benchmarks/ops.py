"""Compare operators with naive PyTorch and with compiled mmcv."""

import functools
import os
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from typing import NamedTuple

import torch
from torch import Tensor

from mmkd3d import ops

from .inputs import object_clouds, room_clouds
from .measure import Measurement, isolate, measure
from .tables import format_bytes, format_seconds

HEADER = (
    'operator',
    'input',
    'ours',
    'naive',
    'naive / ours',
    'mmcv',
    'mmcv / ours',
    'peak ours',
    'peak naive',
    'note',
)


class Size(NamedTuple):
    """Input size of an operator; the radius is in the unit of the points."""

    batch: int
    num_points: int
    num_centers: int
    num_neighbors: int
    radius: float
    naive_batch: int
    is_scene: bool = False


SIZES = dict(
    objects=Size(32, 2048, 128, 32, 0.2, naive_batch=32),
    # the (8, 2048, 40000) tables of the naive versions take up to 20 GiB
    scenes=Size(8, 40000, 2048, 64, 0.2, naive_batch=1, is_scene=True),
)
QUICK_SIZES = dict(
    objects=Size(2, 128, 16, 8, 0.2, naive_batch=2),
    scenes=Size(2, 600, 32, 8, 0.2, naive_batch=1, is_scene=True),
)


class Inputs:
    """Clouds, centres and features of one size.

    Objects fill a unit sphere. Scenes are the walls, floor and ceiling of a room.
    """

    def __init__(self, size: Size, batch: int, device: str):
        clouds = room_clouds if size.is_scene else object_clouds
        points = clouds(batch, size.num_points)
        generator = torch.Generator().manual_seed(2)
        self.size = size
        self.points = points.to(device)
        self.centers = self.points[:, : size.num_centers].contiguous()
        self.idx = torch.randint(
            size.num_points, (*self.centers.shape[:2], size.num_neighbors), generator=generator
        ).to(device)
        self.feats = torch.randn(*self.centers.shape[:2], 64, generator=generator).to(device)


def squared_distance(a: Tensor, b: Tensor) -> Tensor:
    dist = -2 * torch.matmul(a, b.transpose(1, 2))
    return dist + (a**2).sum(-1)[..., None] + (b**2).sum(-1)[:, None]


def naive_fps(points: Tensor, num_samples: int) -> Tensor:
    """Farthest point sampling as in most PyTorch ports of PointNet++."""
    B, N, _ = points.shape
    clouds = torch.arange(B, device=points.device)
    picked = clouds.new_zeros(B, num_samples)
    dist = points.new_full((B, N), 1e10)
    last = clouds.new_zeros(B)
    for i in range(num_samples):
        picked[:, i] = last
        center = points[clouds, last][:, None]
        dist = torch.minimum(dist, ((points - center) ** 2).sum(-1))
        last = dist.max(-1)[1]
    return picked


def naive_ball_query(query: Tensor, points: Tensor, radius: float, num_samples: int) -> Tensor:
    """Sort all point indices, as PyTorch ports of PointNet++ do."""
    B, M, _ = query.shape
    N = points.shape[1]
    idx = torch.arange(N, device=points.device).repeat(B, M, 1)
    idx[squared_distance(query, points) >= radius**2] = N
    idx = idx.sort(dim=-1)[0][..., :num_samples]
    return torch.where(idx == N, idx[..., :1], idx)


def naive_interpolate(target: Tensor, source: Tensor, feats: Tensor) -> Tensor:
    """Sort whole rows and expand the features of the neighbours."""
    dist, idx = squared_distance(target, source).sort(dim=-1)
    weight = 1 / (dist[..., :3].clamp(min=0) + 1e-8)
    weight = weight / weight.sum(-1, keepdim=True)
    clouds = torch.arange(len(feats), device=feats.device)[:, None, None]
    return (feats[clouds, idx[..., :3]] * weight[..., None]).sum(2)


def naive_chamfer(pred: Tensor, target: Tensor) -> Tensor:
    """Take both minima of the full distance table."""
    table = (pred[:, :, None] - target[:, None]).square().sum(-1)
    return table.amin(2).mean() + table.amin(1).mean()


def _chamfer_step(function: Callable[[Tensor, Tensor], Tensor], x: Inputs) -> None:
    """Forward and backward pass on the patches of a batch, or on the centres."""
    if x.size.is_scene:
        pred, target = x.centers.clone(), x.points
    else:
        target = ops.gather(x.points, x.idx).flatten(0, 1)
        pred = target.flip(1) * 1.01
    function(pred.requires_grad_(), target).backward()


# operator -> implementation -> function of Inputs
OPERATORS = {
    'farthest_point_sample': dict(
        ours=lambda x: ops.farthest_point_sample(x.points, x.size.num_centers),
        naive=lambda x: naive_fps(x.points, x.size.num_centers),
        mmcv=lambda x: _mmcv('furthest_point_sample', x.points, x.size.num_centers),
    ),
    'knn': dict(
        ours=lambda x: ops.knn(x.centers, x.points, x.size.num_neighbors),
        naive=lambda x: torch.cdist(x.centers, x.points).topk(x.size.num_neighbors, largest=False),
        mmcv=lambda x: _mmcv('knn', x.size.num_neighbors, x.points, x.centers),
    ),
    'ball_query': dict(
        ours=lambda x: ops.ball_query(x.centers, x.points, x.size.radius, x.size.num_neighbors),
        naive=lambda x: naive_ball_query(x.centers, x.points, x.size.radius, x.size.num_neighbors),
        mmcv=lambda x: _mmcv(
            'ball_query', 0, x.size.radius, x.size.num_neighbors, x.points, x.centers
        ),
    ),
    'group': dict(
        ours=lambda x: ops.group(x.points, x.centers, x.idx),
        naive=lambda x: (
            x.points[torch.arange(len(x.points))[:, None, None], x.idx] - x.centers[:, :, None]
        ),
        mmcv=lambda x: (
            _mmcv('grouping_operation', x.points.mT.contiguous(), x.idx.int())
            - x.centers.mT[..., None]
        ),
    ),
    'three_interpolate': dict(
        ours=lambda x: ops.three_interpolate(x.points, x.centers, x.feats, squared=True),
        naive=lambda x: naive_interpolate(x.points, x.centers, x.feats),
    ),
    'chamfer_distance, with backward': dict(
        ours=lambda x: _chamfer_step(lambda a, b: ops.chamfer_distance(a, b, norm='l2'), x),
        naive=lambda x: _chamfer_step(naive_chamfer, x),
    ),
}


@functools.lru_cache
def has_compiled_mmcv() -> bool:
    """Whether mmcv's compiled operators can be imported."""
    return isolate(_can_import_compiled_mmcv)


def _can_import_compiled_mmcv() -> bool:
    os.environ['MMKD3D_OPS'] = 'mmcv'
    try:
        import mmcv.ops  # noqa: F401
    except ImportError:
        return False
    return True


def _mmcv(name: str, *args):
    import mmcv.ops

    return getattr(mmcv.ops, name)(*args)


def run_case(
    operator: str, kind: str, implementation: str, device: str, quick: bool, num_threads: int
) -> Measurement | str:
    """Measure one implementation; returns the reason as text if it cannot run."""
    torch.set_num_threads(num_threads)
    if implementation == 'mmcv':
        os.environ['MMKD3D_OPS'] = 'mmcv'  # raise an error instead of falling back to ours
    call = OPERATORS[operator].get(implementation)
    if call is None:
        return 'none'
    size = (QUICK_SIZES if quick else SIZES)[kind]
    batch = size.naive_batch if implementation == 'naive' else size.batch
    try:
        # warm up: the first call also loads libraries, whose memory must not count
        call(Inputs(QUICK_SIZES[kind], 1, device))
        inputs = Inputs(size, batch, device)
        return measure(lambda: call(inputs), device=device, budget=0.0 if quick else 2.0)
    except torch.cuda.OutOfMemoryError:
        return 'out of memory'
    except RuntimeError as error:
        # the compiled operator has no kernel for this device
        if 'implementation for device' in str(error):
            return 'not available'
        raise


def run(device: str, *, quick: bool = False) -> Iterator[tuple[str, ...]]:
    """Measure all operators; yields the cells of one row at a time.

    Args:
        device: 'cpu', 'cuda', ...
        quick: Use tiny inputs and one run each, as a smoke test.
    """
    num_threads = torch.get_num_threads()
    for kind, size in (QUICK_SIZES if quick else SIZES).items():
        for operator in OPERATORS:
            found = {
                implementation: _run_case(
                    operator, kind, implementation, device, quick, num_threads
                )
                for implementation in ('ours', 'naive', 'mmcv')
            }
            yield _row(operator, kind, size, found)


def _run_case(
    operator: str, kind: str, implementation: str, device: str, quick: bool, num_threads: int
) -> Measurement | str:
    case = operator, kind, implementation, device, quick, num_threads
    if implementation == 'mmcv' and not has_compiled_mmcv():
        return 'not available'
    if quick and implementation != 'mmcv':
        return run_case(*case)
    try:
        return isolate(run_case, *case)
    except BrokenProcessPool:
        return 'killed (memory?)'


def _row(
    operator: str, kind: str, size: Size, found: dict[str, Measurement | str]
) -> tuple[str, ...]:
    ours, naive, mmcv = (found[name] for name in ('ours', 'naive', 'mmcv'))
    note = ''
    if size.naive_batch != size.batch and isinstance(naive, Measurement):
        note = f'naive at batch {size.naive_batch}: time scaled, peak not'
        naive = naive._replace(seconds=naive.seconds * size.batch / size.naive_batch)
    return (
        operator,
        f'{size.batch} {kind} x {size.num_points:,}',
        _time(ours),
        _time(naive),
        _ratio(naive, ours),
        _time(mmcv),
        _ratio(mmcv, ours),
        _memory(ours),
        _memory(naive),
        note,
    )


def _time(found: Measurement | str) -> str:
    return found if isinstance(found, str) else format_seconds(found.seconds)


def _memory(found: Measurement | str) -> str:
    return '' if isinstance(found, str) else format_bytes(found.peak)


def _ratio(found: Measurement | str, ours: Measurement | str) -> str:
    if isinstance(found, str) or isinstance(ours, str):
        return ''
    return f'{found.seconds / ours.seconds:.1f}x'
