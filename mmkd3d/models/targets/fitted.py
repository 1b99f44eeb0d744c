"""Parts that are fitted to features of the training set, once."""

import torch
import torch.nn as nn
from torch import Tensor


class Fitted(nn.Module):
    """A part whose buffers come from features of the training set.

    Checkpoints have the buffers. A part implements ``take(feats)``, which
    fills them, and calls ``require_fit`` before it uses them.

    Args:
        dims: Width of the features, D.
        min_count: With fewer features it can not be fitted.

    Attributes:
        count: Buffer, how many features it was fitted to; 0: not yet.
    """

    def __init__(self, dims: int, min_count: int):
        super().__init__()
        self.dims, self.min_count = dims, min_count
        self.register_buffer('count', torch.tensor(0))

    @property
    def is_fitted(self) -> bool:
        """Whether the buffers are filled."""
        return bool(self.count)

    @torch.no_grad()
    def fit(self, feats: Tensor) -> None:
        """Fill the buffers from ``feats`` (n, D), anew if called again.

        Raises:
            ValueError: Another shape, too few, not finite, or all the same.
        """
        name, n = type(self).__name__, len(feats)
        if feats.ndim != 2 or feats.shape[1] != self.dims:
            raise ValueError(f'{name} needs features (n, {self.dims}), got {tuple(feats.shape)}.')
        if n < self.min_count:
            raise ValueError(f'{name} needs at least {self.min_count} features, got {n}.')
        bad = int((~feats.isfinite()).any(1).sum())
        if bad:
            raise ValueError(
                f'{bad} of {n} features are NaN or inf: look at the pictures, '
                'and at the precision of the teacher (precision="fp32").'
            )
        if (feats == feats[0]).all():
            raise ValueError(
                f'All {n} features are the same: the teacher sees no '
                'difference between the pictures. Look at them.'
            )
        self.take(feats)
        self.count.fill_(n)

    def take(self, feats: Tensor) -> None:
        """Fill the buffers from ``feats`` (n, D), which are checked."""
        raise NotImplementedError

    def require_fit(self) -> None:
        """``RuntimeError`` if the buffers are not filled."""
        if not self.is_fitted:
            raise RuntimeError(
                f'{type(self).__name__} is not fitted to the targets of the '
                "training set yet: put dict(type='FitTargetsHook') in "
                'custom_hooks, which does it before training, or load a '
                'checkpoint that has its buffers.'
            )
