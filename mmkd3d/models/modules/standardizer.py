"""Features of a teacher, brought out of their narrow cone."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor


class Standardizer(nn.Module):
    """Subtract a mean, divide by a standard deviation, make it length 1.

    Both are those of the training set, per dimension; they are buffers, so
    that checkpoints have them. Where the features of a teacher are nearly
    alike, predicting their mean would else solve a cosine loss.

    Args:
        dims: Width of the features, D.
        eps: The least standard deviation.
    """

    def __init__(self, dims: int, eps: float = 1e-6):
        super().__init__()
        self.eps = eps
        self.register_buffer('mean', torch.zeros(dims))
        self.register_buffer('std', torch.ones(dims))
        self.register_buffer('count', torch.tensor(0))

    @property
    def is_fitted(self) -> bool:
        """Whether the statistics are known."""
        return bool(self.count)

    @torch.no_grad()
    def fit(self, feats: Tensor) -> None:
        """Take the statistics of ``feats`` (n, D); ``ValueError`` if n < 2."""
        if len(feats) < 2:
            raise ValueError('Statistics need at least 2 features, got '
                             f'{len(feats)}.')
        feats = feats.double()
        self.mean.copy_(feats.mean(0))
        self.std.copy_(feats.std(0, correction=0).clamp(min=self.eps))
        self.count.fill_(len(feats))

    def forward(self, feats: Tensor) -> Tensor:
        """Standardise ``feats`` (..., D); they get length 1.

        ``RuntimeError`` if the statistics are not known.
        """
        return F.normalize(self.scale(feats), dim=-1)

    def scale(self, feats: Tensor) -> Tensor:
        """``forward`` without the length."""
        if not self.is_fitted:
            raise RuntimeError(
                'The statistics of the targets are not known: put '
                "dict(type='FitTargetsHook') in custom_hooks, which takes "
                'them from the training set, or load a checkpoint that has '
                'them.')
        return (feats.float() - self.mean) / self.std

    def restore(self, feats: Tensor) -> Tensor:
        """The inverse of ``scale``."""
        return feats * self.std + self.mean
