"""Farthest point sampling on a GPU, compiled by Triton when first used.

Imported only by ``sampling``, which falls back to PyTorch without Triton.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor


@triton.jit(do_not_specialize=['num_samples'])
def fps_kernel(planes, running, picked, num_points, plane_stride, num_samples, BLOCK: tl.constexpr):
    """One program per cloud: sampled indices (B, M) from planes (3, B, N).

    Each lane keeps its maximum and the first index of it, so ties go to the
    lowest index as in PyTorch.
    """
    cloud = tl.program_id(0).to(tl.int64)
    x_ptr = planes + cloud * num_points
    y_ptr = x_ptr + plane_stride
    z_ptr = y_ptr + plane_stride
    running += cloud * num_points
    picked += cloud * num_samples
    lane = tl.arange(0, BLOCK)
    last = 0
    for i in range(1, num_samples):
        last_x = tl.load(x_ptr + last)
        last_y = tl.load(y_ptr + last)
        last_z = tl.load(z_ptr + last)
        best = tl.full([BLOCK], -2.0, tl.float32)
        best_at = tl.zeros([BLOCK], tl.int32)
        for start in range(0, num_points, BLOCK):
            at = start + lane
            inside = at < num_points
            dx = tl.load(x_ptr + at, mask=inside, other=0.0) - last_x
            dy = tl.load(y_ptr + at, mask=inside, other=0.0) - last_y
            dz = tl.load(z_ptr + at, mask=inside, other=0.0) - last_z
            dist = (dx * dx + dy * dy) + dz * dz
            # other < start of best: a lane beyond the cloud never wins
            value = tl.load(running + at, mask=inside, other=-3.0)
            value = tl.minimum(value, dist)
            tl.store(running + at, value, mask=inside)
            better = value > best
            best_at = tl.where(better, at, best_at)
            best = tl.where(better, value, best)
        top = tl.max(best, 0)
        last = tl.min(tl.where(best == top, best_at, num_points), 0)
        tl.store(picked + i, last)
        # the next round reads what other threads may have stored
        tl.debug_barrier()


def sample(planes: Tensor, running: Tensor, num_samples: int) -> Tensor:
    """Indices of the farthest points.

    Args:
        planes: (3, B, N) float32 coordinates, contiguous.
        running: (B, N) float32 initial minimum distances, contiguous;
            overwritten.
        num_samples: Points ``M`` to take.

    Returns:
        (B, M) long; the first is 0, ties go to the lowest index.
    """
    B, N = running.shape
    picked = torch.zeros(B, num_samples, dtype=torch.int32, device=planes.device)
    block = min(4096, max(128, triton.next_power_of_2(N)))
    with torch.cuda.device_of(planes):
        # without fused multiply-add, rounding is the same as in PyTorch
        fps_kernel[(B,)](
            planes,
            running,
            picked,
            N,
            planes.stride(0),
            num_samples,
            BLOCK=block,
            num_warps=block // 128,
            enable_fp_fusion=False,
        )
    return picked.long()
