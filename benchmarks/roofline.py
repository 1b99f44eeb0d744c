"""What the matrix products of this machine allow, and how much of it a step reaches."""

import time
from collections.abc import Callable

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

SIZES = dict(cpu=1024, cuda=8192)
DTYPES = dict(fp32=torch.float32, bf16=torch.bfloat16)


class Roofline:
    """A job that measures square matrix products; its parts are FLOP/s by precision.

    Args:
        device: 'cpu', 'cuda', ...
        matmul_precision: Of float32 on a GPU, see ``torch.set_float32_matmul_precision``.
        seconds: For each precision in a round.
    """

    def __init__(self, device: str, matmul_precision: str = 'highest', seconds: float = 0.1):
        torch.set_float32_matmul_precision(matmul_precision)
        self.on_gpu, self.budget = device.startswith('cuda'), seconds
        size = SIZES['cuda' if self.on_gpu else 'cpu']
        a = torch.randn(size, size, device=device)
        self.matrices = {name: a.to(dtype) for name, dtype in DTYPES.items()}

    def run(self) -> dict:
        start = time.perf_counter()
        rates = {name: self._rate(a) for name, a in self.matrices.items()}
        return dict(rates, seconds=time.perf_counter() - start)

    def _rate(self, a: torch.Tensor) -> float:
        count, start, out = 0, time.perf_counter(), torch.empty_like(a)
        while (seconds := time.perf_counter() - start) < self.budget or not count:
            torch.mm(a, a, out=out)
            if self.on_gpu:
                torch.cuda.synchronize()
            count += 1
        return count * 2 * len(a) ** 3 / seconds

    def info(self) -> dict:
        return {}


def count_flops(step: Callable[[], object]) -> int:
    """FLOPs of the matrix products and convolutions of a call.

    The counter of torch does not know the fused attention of the CPU, so attention is written out
    while it counts.
    """
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops()
