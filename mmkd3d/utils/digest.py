"""Checksums that tell whether data is still what it was."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

# Of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), as signed numbers.
GOLDEN = -7046029254386353131
MIXERS = (-4658895280553007687, -7723592293110705685)


def row_digests(x: Tensor) -> Tensor:
    """Exact checksum of the bits of every sample of a batch, in parallel.

    Pairs of values are scrambled, one to one, with their place, and summed
    modulo 2^64: the same on every device, whatever the order of the sum. One
    changed pair always shows; more go unnoticed with a chance of 2^-64.

    Args:
        x: (B, ...), taken as float32.

    Returns:
        (B,) int64.
    """
    bits = x.float().contiguous().flatten(1).view(torch.int32)  # (B, n)
    length = bits.shape[1]
    bits = F.pad(bits, (0, length % 2)).view(torch.int64)  # (B, n / 2)
    places = torch.arange(1, bits.shape[1] + 1, device=bits.device)
    return _scramble(bits ^ _scramble(places * GOLDEN)).sum(1) ^ length


def _scramble(z: Tensor) -> Tensor:
    """Map int64 to int64, one to one, so that every bit turns on all."""
    for shift, mixer in zip((30, 27), MIXERS):
        z = (z ^ _shift(z, shift)) * mixer
    return z ^ _shift(z, 31)


def _shift(z: Tensor, by: int) -> Tensor:
    """To the right, as if without a sign."""
    return (z >> by) & ((1 << 64 - by) - 1)


def text_digest(lines: Iterable[str]) -> str:
    """Checksum of strings in their order, 16 hexadecimal digits."""
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
