"""A number that tells one set of frozen weights from another."""

import zlib

import torch
from torch import Tensor

FROZEN = 'transformer.frozen.net.'
FINGERPRINT = 'transformer.fingerprint'


def frozen_fingerprint(state: dict[str, Tensor]) -> Tensor:
    """Checksum of frozen weights.

    What was made with a frozen network and written without it, such as an
    autoencoder around a transformer or a cache of features, is worth nothing
    with other weights; this number shows it.

    Args:
        state: Weights by their names in the frozen network, in any order, on
            any device.

    Returns:
        CRC-32 over the sorted names, each followed by the float32 values of
        its tensor; an int64 scalar on the CPU.
    """
    checksum = 0
    for name in sorted(state):
        values = state[name].detach().cpu().float().contiguous()
        checksum = zlib.crc32(name.encode(), checksum)
        checksum = zlib.crc32(values.numpy(), checksum)
    return torch.tensor(checksum, dtype=torch.int64)


def add_fingerprints(state: dict) -> dict:
    """``state`` with the fingerprint of each frozen transformer in it.

    That of an autoencoder, or that of the teacher of a student.
    """
    fingerprints = {}
    for owner in ('', 'teacher.net.'):
        start = owner + FROZEN
        frozen = {
            key.removeprefix(start): value for key, value in state.items() if key.startswith(start)
        }
        if frozen:
            fingerprints[owner + FINGERPRINT] = frozen_fingerprint(frozen)
    return {**state, **fingerprints}
