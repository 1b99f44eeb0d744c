"""Batched one-to-one matching of two small sets."""

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor


def match(similarity: Tensor, how: str = 'exact') -> tuple[Tensor, Tensor]:
    """Match rows with columns to maximize their similarity.

    Args:
        similarity: (B, M, S); no gradient passes.
        how: ``'exact'`` maximizes the sum (Hungarian method, scipy, on the
            CPU). ``'greedy'`` takes the largest entry, removes its row and
            column, and repeats, on the device of the input. Ties go to the
            first in raster order.

    Returns:
        Rows and columns of the P = min(M, S) pairs, (B, P) long each. Exact
        pairs are sorted by row, greedy pairs by descending similarity.

    Raises:
        ValueError: Unknown ``how``, or similarities that are not finite.
    """
    if how not in MATCHERS:
        raise ValueError(f'how must be one of {", ".join(MATCHERS)}, got {how!r}.')
    similarity = similarity.detach().float()
    finite = similarity.isfinite().flatten(1).all(1)
    if not finite.all():
        bad = (~finite).nonzero()[:, 0].tolist()
        raise ValueError(
            'Only finite similarities can be matched, got NaN or inf in '
            f'samples {bad[:5]} of a batch of {len(finite)}: check the '
            'predictions and the targets of these samples.'
        )
    return MATCHERS[how](similarity)


def _exact(similarity: Tensor) -> tuple[Tensor, Tensor]:
    pairs = np.array(
        [linear_sum_assignment(sample, maximize=True) for sample in similarity.cpu().numpy()]
    )  # (B, 2, P)
    return torch.from_numpy(pairs).to(similarity.device).unbind(1)


def _greedy(similarity: Tensor) -> tuple[Tensor, Tensor]:
    B, M, S = similarity.shape
    batch = torch.arange(B, device=similarity.device)
    left = similarity.clone()
    rows, columns = [], []
    for _ in range(min(M, S)):
        best = left.flatten(1).argmax(1)  # (B,)
        row, column = best // S, best % S
        left[batch, row] = -torch.inf
        left[batch, :, column] = -torch.inf
        rows.append(row)
        columns.append(column)
    return torch.stack(rows, 1), torch.stack(columns, 1)


MATCHERS = dict(exact=_exact, greedy=_greedy)
