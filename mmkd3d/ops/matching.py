"""One-to-one matching of two small sets, for a batch of them."""
import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor


def match(similarity: Tensor,
          how: str = 'exact') -> tuple[Tensor, Tensor]:
    """Match rows with columns so that their similarities are large.

    Args:
        similarity: (B, M, S); no gradient passes.
        how: ``'exact'``: the largest sum (Hungarian method, scipy, on the
            CPU). ``'greedy'``: the largest of all, then the largest of those
            that remain; for large sets, on the device.

    Returns:
        Rows and columns of the P = min(M, S) pairs, (B, P) long each; the
        rows of exact matches rise.

    Raises:
        ValueError: Another way, or similarities that are not finite.
    """
    if how not in MATCHERS:
        raise ValueError(
            f'how is one of {", ".join(MATCHERS)}, got {how!r}.')
    return MATCHERS[how](similarity.detach().float())


def _exact(similarity: Tensor) -> tuple[Tensor, Tensor]:
    values = similarity.cpu().numpy()
    pairs = np.array([
        linear_sum_assignment(rows, maximize=True) for rows in values
    ])  # (B, 2, P)
    return tuple(torch.from_numpy(pairs).to(similarity.device).unbind(1))


def _greedy(similarity: Tensor) -> tuple[Tensor, Tensor]:
    B, M, S = similarity.shape
    left = similarity.clone()
    chosen = []
    for _ in range(min(M, S)):
        best = left.flatten(1).argmax(1)  # (B,)
        row, column = best // S, best % S
        taken = torch.zeros_like(left, dtype=torch.bool)
        taken.scatter_(1, row[:, None, None].expand(-1, 1, S), True)
        taken.scatter_(2, column[:, None, None].expand(-1, M, 1), True)
        left = left.masked_fill(taken, -torch.inf)
        chosen.append((row, column))
    rows, columns = zip(*chosen)
    return torch.stack(rows, 1), torch.stack(columns, 1)


MATCHERS = dict(exact=_exact, greedy=_greedy)
