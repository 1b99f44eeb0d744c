"""Features of a teacher, brought out of their narrow cone."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmkd3d.registry import MODELS

from .fitted import Fitted

# Statistics by how targets of concepts are standardised (DC-6); those that
# stand for whole pictures first.
STATISTICS = {'kind': ('pictures', 'regions'), 'all': ('all',), None: ()}


@MODELS.register_module()
class Standardizer(Fitted):
    """Subtract a mean, divide by a standard deviation, make it length 1.

    Where the features of a teacher are nearly alike, predicting their mean
    would else solve a cosine loss (spec of concept distillation, DC-6).

    Args:
        dims: Width of the features, D.
        eps: A dimension that spreads less than this share of its size (its
            root mean square) is constant and only rounded. It is divided by
            1, so that a later value does not outweigh all other dimensions.

    Attributes:
        mean, std: Buffers (D,) of the training set, per dimension.
    """

    def __init__(self, dims: int, eps: float = 1e-6):
        super().__init__(dims, min_count=2)
        self.eps = eps
        self.register_buffer('mean', torch.zeros(dims))
        self.register_buffer('std', torch.ones(dims))

    def take(self, feats: Tensor) -> None:
        """See :class:`Fitted`; computed in float64."""
        var, mean = torch.var_mean(feats.double(), 0, correction=0)
        std, size = var.sqrt(), (var + mean.square()).sqrt()
        self.mean.copy_(mean)
        self.std.copy_(std.where(std > self.eps * size, 1.0))

    def forward(self, feats: Tensor) -> Tensor:
        """Standardise ``feats`` (..., D) to vectors of length 1.

        The mean itself, which has no direction, becomes 0.

        Raises:
            RuntimeError: Not fitted yet.
        """
        return F.normalize(self.scale(feats), dim=-1)

    def scale(self, feats: Tensor) -> Tensor:
        """``forward`` without the length; float32 or better."""
        self.require_fit()
        return (feats - self.mean) / self.std

    def restore(self, feats: Tensor) -> Tensor:
        """The inverse of ``scale``."""
        self.require_fit()
        return feats * self.std + self.mean
