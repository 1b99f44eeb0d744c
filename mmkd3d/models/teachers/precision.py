"""The precision in which a teacher runs."""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from mmengine.logging import print_log

from mmkd3d.utils.precision import has_bf16

if TYPE_CHECKING:
    from .base import BaseTeacher

PRECISIONS = dict(fp32=None, bf16=torch.bfloat16, fp16=torch.float16)
MIN_COSINE = 0.999  # of the same feature in bf16 and in fp32
MIN_WEIGHTS = 1_000_000  # smaller networks gain nothing


def check_precision(precision: str) -> None:
    """Raise ``ValueError`` for an unknown precision."""
    known = ('auto', *PRECISIONS)
    if precision not in known:
        raise ValueError(f'precision is one of {", ".join(known)}, got {precision!r}.')


def autocast(device: torch.device, precision: str) -> AbstractContextManager:
    """Autocast to a precision; ``'fp32'`` disables a surrounding autocast."""
    dtype = PRECISIONS[precision]
    return torch.autocast(device.type, dtype, enabled=dtype is not None)


@torch.no_grad()
def choose_precision(teacher: 'BaseTeacher', device: torch.device) -> str:
    """What ``precision='auto'`` means for a teacher on a device.

    Depends only on the weights and the kind of the device, and draws no random
    numbers.

    Returns:
        ``'bf16'`` if the device has it, the network has at least ``MIN_WEIGHTS``
        weights, and the reference feature has a cosine of at least
        ``MIN_COSINE`` with that in fp32. Else ``'fp32'``.
    """
    if not has_bf16(device) or sum(p.numel() for p in teacher.net.parameters()) < MIN_WEIGHTS:
        return 'fp32'
    kind = f'{type(teacher).__name__} ({type(teacher.net).__name__})'
    feats = []
    for precision in ('fp32', 'bf16'):
        with autocast(device, precision):
            try:
                feats.append(teacher.reference_feature().double())
            except NotImplementedError:
                text = f'{kind} runs in fp32: it has no reference feature to compare bf16 with'
                print_log(text, 'current')
                return 'fp32'
    cosine = float(F.cosine_similarity(*feats, dim=0))
    chosen = 'bf16' if cosine >= MIN_COSINE else 'fp32'
    text = f'{kind} runs in {chosen}: a fixed feature in bf16 has cosine {cosine:.6f} with fp32'
    print_log(text, 'current')
    return chosen
