"""Hashes of batches, texts, files and weights, used to detect changes.

Caches, teacher references, autoencoder checkpoints and result records store
these numbers: a change here makes all of them stale.
"""

from __future__ import annotations  # the tools hash texts before torch is imported

import hashlib
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

# Of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), as signed numbers.
GOLDEN = -7046029254386353131
MIXERS = (-4658895280553007687, -7723592293110705685)


def row_digests(x: Tensor) -> Tensor:
    """Hash the bits of every sample of a batch, in parallel and on any device.

    Each pair of float32 values is mixed with its position, and the results
    are summed modulo 2^64. The order of the sum does not matter. One changed
    pair is always detected, several are missed with probability 2^-64.

    Args:
        x: (B, ...), converted to float32.

    Returns:
        (B,) int64.
    """
    import torch
    import torch.nn.functional as F

    bits = x.float().contiguous().flatten(1).view(torch.int32)  # (B, n)
    length = bits.shape[1]
    bits = F.pad(bits, (0, length % 2)).view(torch.int64)  # (B, n / 2)
    position = torch.arange(1, bits.shape[1] + 1, device=bits.device)
    return _mix(bits ^ _mix(position * GOLDEN)).sum(1) ^ length


def _mix(z: Tensor) -> Tensor:
    """Map int64 to int64, one to one, so that every bit affects all bits."""
    for shift, mixer in zip((30, 27), MIXERS):
        z = (z ^ _shift(z, shift)) * mixer
    return z ^ _shift(z, 31)


def _shift(z: Tensor, by: int) -> Tensor:
    """Logical shift to the right."""
    return (z >> by) & ((1 << 64 - by) - 1)


def text_digest(lines: Iterable[str]) -> str:
    """Hash strings in their order as 16 hexadecimal digits."""
    checksum = hashlib.sha256()
    for line in lines:
        data = line.encode()
        checksum.update(len(data).to_bytes(8, 'big') + data)
    return checksum.hexdigest()[:16]


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file, 64 hexadecimal digits."""
    checksum = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            checksum.update(block)
    return checksum.hexdigest()


def frozen_fingerprint(state: Mapping[str, Tensor]) -> Tensor:
    """Hash a state dict, used to detect mismatched weights.

    Args:
        state: Tensors by name, in any order, on any device.

    Returns:
        CRC-32 over the sorted names, each followed by the float32 values of
        its tensor; an int64 scalar on the CPU.
    """
    import torch

    checksum = 0
    for name in sorted(state):
        values = state[name].detach().cpu().float().contiguous()
        checksum = zlib.crc32(name.encode(), checksum)
        checksum = zlib.crc32(values.numpy(), checksum)
    return torch.tensor(checksum, dtype=torch.int64)
