"""What precision a device computes in."""

import torch


def has_bf16(device: torch.device) -> bool:
    """Whether a device multiplies matrices in bf16 itself, which is faster than float32.

    True for GPUs of compute capability 8.0 or higher, and CPUs with AVX512-BF16 or AMX.
    """
    if device.type == 'cuda':
        return torch.cuda.get_device_capability(device) >= (8, 0)
    names = ('_is_avx512_bf16_supported', '_is_amx_tile_supported')  # not in old versions
    return device.type == 'cpu' and any(getattr(torch.cpu, name, bool)() for name in names)
