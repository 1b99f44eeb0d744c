"""Saliency maps of image networks.

The attention of the class token, as in I2P-MAE (arXiv 2212.06785), or the
energy of the activations, as in attention transfer (Zagoruyko and Komodakis,
ICLR 2017).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn as nn
from torch import Tensor

from .token_transformer import find_family

SALIENCIES = ('auto', 'attention', 'activation')


def choose_saliency(saliency: str, no_attention: str | None) -> str:
    """``'attention'`` or ``'activation'``.

    Args:
        saliency: One of ``SALIENCIES``; ``'auto'`` prefers attention.
        no_attention: Why attention is not available; None if it is.

    Raises:
        ValueError: An unknown saliency, or attention is not available.
    """
    if saliency not in SALIENCIES:
        raise ValueError(f'saliency is one of {", ".join(SALIENCIES)}, got {saliency!r}.')
    if saliency == 'attention' and no_attention:
        raise ValueError(
            "saliency='attention' needs the attention of a class token in the last "
            f"block, but {no_attention} Use saliency='activation' or another teacher."
        )
    if saliency == 'auto':
        return 'activation' if no_attention else 'attention'
    return saliency


def why_no_attention(blocks: Sequence[nn.Module], has_class_token: bool) -> str | None:
    """Why the attention of the class token is not available, or None."""
    if not has_class_token:
        return 'the network has no class token.'
    try:
        family = find_family(blocks[-1:])
    except ValueError as error:
        return str(error)
    if family.leaves_out:
        return f'{type(blocks[-1]).__name__} adds {family.leaves_out} to its attention.'
    return None


@contextmanager
def inputs_of(module: nn.Module) -> Iterator[list]:
    """List of the first arguments of all calls of ``module``."""
    inputs = []
    handle = module.register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0]))
    try:
        yield inputs
    finally:
        handle.remove()


def class_attention(block: nn.Module, x: Tensor) -> Tensor:
    """Attention of the first token in a block.

    Args:
        block: Of a known family, see :mod:`.token_transformer`.
        x: (B, L, W) inputs of the block, class token first.

    Returns:
        (B, L) float: attention to all tokens including itself, averaged over
        the heads; rows sum to 1.
    """
    family = find_family([block])
    x = family.attended(block, x)
    q, *_ = family.project(block, x[:, :1])
    k, _ = family.project(block, x, first=1)
    return query_attention(q, k)


def query_attention(q: Tensor, k: Tensor) -> Tensor:
    """Attention of one query, averaged over the heads.

    Args:
        q: (B, heads, 1, D).
        k: (B, heads, L, D).

    Returns:
        (B, L) float; rows sum to 1.
    """
    logits = (q * q.shape[-1] ** -0.5) @ k.transpose(2, 3)
    return logits.float().softmax(-1).mean(1)[:, 0]


def activation_energy(feature_map: Tensor) -> Tensor:
    """Mean square of the activations over the channels, normalised.

    Args:
        feature_map: (B, C, h, w).

    Returns:
        (B, h, w) float with a sum of 1 per map, also for maps of zeros.
    """
    energy = feature_map.float().square().mean(1)
    energy = energy + torch.finfo(energy.dtype).tiny
    return energy / energy.sum((1, 2), keepdim=True)


def to_map(tokens: Tensor, grid_size: Sequence[int]) -> Tensor:
    """Tokens (B, h * w, C) in raster order as (B, C, h, w)."""
    return tokens.transpose(1, 2).unflatten(2, tuple(grid_size))
