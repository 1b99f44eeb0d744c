"""Discrete codes of patches, chosen with Gumbel noise."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor


def gumbel_noise(like: Tensor) -> Tensor:
    """Standard Gumbel noise, float32, shaped ``like``.

    Computed from uniform numbers, which is 5 times as fast on a CPU as ``-log(Exp(1))``.
    """
    noise = torch.rand_like(like, dtype=torch.float32)
    noise.clamp_(min=torch.finfo(noise.dtype).tiny)  # log 0
    return noise.log_().neg_().log_().neg_()


class GumbelQuantizer(nn.Module):
    """Codebook with a Gumbel softmax (Jang et al. 2017).

    ``temperature`` is a plain attribute, which :class:`AnnealHook` sets. ``usage`` counts the
    codes for :class:`CodebookUsageHook`, which resets it.

    Args:
        num_codes: Size of the codebook.
        embed_dims: Width of a code, C.
        temperature: Of the softmax, until a hook sets it.
        code_std: Standard deviation of the initial codes.
    """

    def __init__(
        self, num_codes: int, embed_dims: int, *, temperature: float = 1.0, code_std: float = 1.0
    ):
        super().__init__()
        self.codebook = nn.Parameter(code_std * torch.randn(num_codes, embed_dims))
        self.temperature = temperature
        self.register_buffer('usage', torch.zeros(num_codes, dtype=torch.long), persistent=False)

    def forward(self, logits: Tensor, *, hard: bool = False, noise: Tensor | None = None) -> Tensor:
        """Choose codes.

        Args:
            logits: (B, G, num_codes).
            hard: True: one code for each patch, at temperature 1, with the straight-through
                gradient. False: a mixture, at ``self.temperature``.
            noise: Gumbel noise of the shape of ``logits``; None draws it, as published in eval
                mode, too. Zeros make the choice deterministic.

        Returns:
            (B, G, C), float32 also under autocast.
        """
        logits = logits.float()
        noise = gumbel_noise(logits) if noise is None else noise
        noisy = logits + noise.to(logits)
        if hard:
            chosen = noisy.argmax(dim=-1)  # (B, G)
            if not torch.is_grad_enabled():
                return F.embedding(chosen, self.codebook)
            soft = noisy.softmax(dim=-1)
            one_hot = F.one_hot(chosen, len(self.codebook)).to(soft)
            share = one_hot + soft - soft.detach()
        else:
            share = (noisy / self.temperature).softmax(dim=-1)
        with torch.autocast(share.device.type, enabled=False):
            return share.to(self.codebook.dtype) @ self.codebook

    @torch.no_grad()
    def count(self, logits: Tensor) -> Tensor:
        """Count the most likely code of each patch, here and in ``usage``.

        Returns:
            (num_codes,) how often each is the most likely of ``logits``.
        """
        counts = torch.bincount(logits.argmax(dim=-1).flatten(), minlength=len(self.usage))
        self.usage += counts
        return counts


def perplexity(counts: Tensor) -> Tensor:
    """``exp`` of the entropy of ``counts`` (n,), the effective number of codes used."""
    share = counts / counts.sum().clamp(min=1)
    return torch.special.entr(share).sum().exp()


def uniform_kl(logits: Tensor) -> Tensor:
    """KL from the mean code distribution of a cloud to the uniform one.

    ``mean_b sum_n 1/N (log 1/N - log q_bn)`` with q the mean over patches of the softmax (ACT,
    section 3.2), computed in log space.

    Args:
        logits: (B, G, N).
    """
    _, G, N = logits.shape
    log_q = logits.float().log_softmax(-1).logsumexp(dim=1) - math.log(G)
    return -math.log(N) - log_q.mean()
