"""Attention with dropout on a CPU, without matrices of queries and keys in memory."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from .compiled import in_threads, kernels, use_kernels

# Weights per block and thread: a few blocks fit in the cache.
BLOCK = 2**19


def dropout_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    allowed: Tensor | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """Scaled dot-product attention; with dropout on a CPU, faster than torch's.

    Torch draws and stores a number for every weight. This draws bits by hashing one random
    number of torch's generator with the place of the weight, again in the backward pass. Each
    weight is still dropped with probability ``dropout``, independently of others.

    Args:
        query: (B, H, Q, D).
        key: (B, H, T, D).
        value: (B, H, T, D).
        allowed: (B, 1, Q, T) bool, True where a query may attend to a key, at least one for each
            query; None: all.
        dropout: Probability of dropping a weight, below 1.

    Returns:
        (B, H, Q, D).
    """
    if dropout == 0 or not use_kernels(query) or query.dtype == torch.float64:
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask=allowed, dropout_p=dropout
        )
    seed = int(torch.randint(2**31, ()))
    with torch.autocast('cpu', enabled=False):
        return _DropoutAttention.apply(query, key, value, allowed, dropout, seed)


class _Blocks:
    """Iterate over the blocks of rows of a matrix of weights (B, H, Q, T)."""

    def __init__(self, query: Tensor, key: Tensor, allowed: Tensor | None):
        self.query, self.key, self.allowed = query, key, allowed
        B, H, Q, self.width = query.shape
        self.shape, self.keys = (B, H, Q), key.shape[2]
        self.step = max(1, BLOCK * torch.get_num_threads() // self.keys)

    def __iter__(self):
        """Yield cloud, head, rows, number of the first row, and logits (n, T) in float32."""
        B, H, Q = self.shape
        for b, h in torch.cartesian_prod(torch.arange(B), torch.arange(H)).tolist():
            for start in range(0, Q, self.step):
                rows = slice(start, min(start + self.step, Q))
                logits = (self.query[b, h, rows] @ self.key[b, h].mT).float()
                logits *= 1 / math.sqrt(self.width)
                if self.allowed is not None:
                    logits.masked_fill_(~self.allowed[b, 0, rows], -torch.inf)
                yield b, h, rows, (b * H + h) * Q + start, logits


class _DropoutAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, query, key, value, allowed, dropout, seed):
        query, key, value = (x.contiguous() for x in (query, key, value))
        out = value.new_empty(*query.shape[:3], value.shape[3])
        norm = query.new_empty(query.shape[:3], dtype=torch.float32)  # log of the sum of weights
        for b, h, rows, number, weights in _Blocks(query, key, allowed):
            top = weights.amax(1, keepdim=True)
            total = weights.sub_(top).exp_().sum(1, keepdim=True)
            norm[b, h, rows] = total.log().add_(top).squeeze(1)
            _run('drop', weights, number, seed, dropout)
            weights /= total * (1 - dropout)
            out[b, h, rows] = weights.to(value.dtype) @ value[b, h]
        ctx.save_for_backward(query, key, value, allowed, out, norm)
        ctx.drop = seed, dropout
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        query, key, value, allowed, out, norm = ctx.saved_tensors
        d_query, d_key, d_value = (torch.zeros_like(x) for x in (query, key, value))
        mean = (grad.float() * out.float()).sum(-1)  # of the gradient, over the weights
        scale = 1 / math.sqrt(query.shape[3])
        for b, h, rows, number, weights in _Blocks(query, key, allowed):
            weights.sub_(norm[b, h, rows, None]).exp_()
            slope = (grad[b, h, rows] @ value[b, h].mT).float()
            _run('drop_gradient', weights, number, *ctx.drop, slope, mean[b, h, rows])
            weights, slope = weights.to(value.dtype), slope.mul_(scale).to(query.dtype)
            d_value[b, h].addmm_(weights.mT, grad[b, h, rows])
            d_query[b, h, rows] = slope @ key[b, h]
            d_key[b, h].addmm_(slope.mT, query[b, h, rows])
        return d_query, d_key, d_value, None, None, None


def _run(
    kernel: str, weights: Tensor, number: int, seed: int, dropout: float, *others: Tensor
) -> None:
    """Run a kernel on rows of weights (n, T), whose first has the given number."""
    run, limit = getattr(kernels(), kernel), min(int(dropout * 2**32), 2**32 - 1)
    arrays = [x.numpy() for x in (weights, *others)]
    in_threads(
        lambda start, stop: run(start, stop, number, seed, limit, 1 / (1 - dropout), *arrays),
        len(weights),
        BLOCK // weights.shape[1],
    )
