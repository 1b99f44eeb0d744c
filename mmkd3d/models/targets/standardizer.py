"""Modules that are fitted to features of the training set, once, before training."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mmkd3d.registry import MODELS

# Names of the standardizers for each mode; the one for whole images is first.
STATISTICS = {'kind': ('pictures', 'regions'), 'all': ('all',), None: ()}


class FittedModule(nn.Module):
    """Base of modules whose buffers are fitted to features of the training set.

    The buffers are in checkpoints. Subclasses implement ``fit_buffers(feats)`` and call
    ``require_fit`` before they use the buffers.

    Args:
        dims: Width of the features, D.
        min_count: Smallest number of features that it can be fitted to.

    Attributes:
        count: Buffer, the number of features it was fitted to; 0: not fitted.
    """

    def __init__(self, dims: int, min_count: int):
        super().__init__()
        self.dims, self.min_count = dims, min_count
        self.register_buffer('count', torch.tensor(0))

    @property
    def is_fitted(self) -> bool:
        """Whether the buffers are fitted."""
        return bool(self.count)

    @torch.no_grad()
    def fit(self, feats: Tensor) -> None:
        """Fit the buffers to ``feats`` (n, D).

        Raises:
            ValueError: The features have another width, are too few, not finite, or all the same.
        """
        name, n = type(self).__name__, len(feats)
        if feats.ndim != 2 or feats.shape[1] != self.dims:
            raise ValueError(f'{name} needs features (n, {self.dims}), got {tuple(feats.shape)}.')
        if n < self.min_count:
            raise ValueError(f'{name} needs at least {self.min_count} features, got {n}.')
        bad = int((~feats.isfinite()).any(1).sum())
        if bad:
            raise ValueError(
                f'{bad} of {n} features are NaN or inf: check the images, and set '
                'precision="fp32" for the teacher.'
            )
        if (feats == feats[0]).all():
            raise ValueError(f'All {n} features are the same: check that the images differ.')
        self.fit_buffers(feats)
        self.count.fill_(n)

    def fit_buffers(self, feats: Tensor) -> None:
        """Fit the buffers to valid ``feats`` (n, D)."""
        raise NotImplementedError

    def require_fit(self) -> None:
        """Raise ``RuntimeError`` if the buffers are not fitted."""
        if not self.is_fitted:
            raise RuntimeError(
                f'{type(self).__name__} is not fitted to the targets of the training set: add '
                "dict(type='FitTargetsHook') to custom_hooks, or load a checkpoint with its "
                'buffers.'
            )


@MODELS.register_module()
class Standardizer(FittedModule):
    """Subtract the mean, divide by the standard deviation, normalise to length 1.

    The features of a teacher are often nearly alike. Predicting their mean would then almost
    solve a cosine loss (spec of concept distillation, DC-6).

    Args:
        dims: Width of the features, D.
        eps: A dimension whose standard deviation is at most this fraction of its root mean square
            is constant up to rounding. It is divided by 1.

    Attributes:
        mean, std: Buffers (D,), statistics of the training set per dimension.
    """

    def __init__(self, dims: int, eps: float = 1e-6):
        super().__init__(dims, min_count=2)
        self.eps = eps
        self.register_buffer('mean', torch.zeros(dims))
        self.register_buffer('std', torch.ones(dims))

    def fit_buffers(self, feats: Tensor) -> None:
        """See :class:`FittedModule`; computed in float64."""
        var, mean = torch.var_mean(feats.double(), 0, correction=0)
        std, size = var.sqrt(), (var + mean.square()).sqrt()
        self.mean.copy_(mean)
        self.std.copy_(std.where(std > self.eps * size, 1.0))

    def forward(self, feats: Tensor) -> Tensor:
        """Standardise ``feats`` (..., D) to unit vectors; the mean itself becomes 0.

        Raises:
            RuntimeError: It is not fitted.
        """
        return F.normalize(self.scale(feats), dim=-1)

    def scale(self, feats: Tensor) -> Tensor:
        """Standardise without normalising the length; float32 or better."""
        self.require_fit()
        return (feats - self.mean) / self.std

    def restore(self, feats: Tensor) -> Tensor:
        """Invert ``scale``."""
        self.require_fit()
        return feats * self.std + self.mean


class Standardizers(nn.ModuleDict):
    """Standardisation of the features of images and of regions in them (DC-6).

    Args:
        dims: Width of the features, D.
        mode: ``'kind'``: images and regions have statistics of their own, since with common
            ones the features of each kind stay nearly alike; ``'all'``: common statistics; None:
            features are only normalised to length 1.
        regions: Whether there are regions.
    """

    def __init__(self, dims: int, mode: str | None = 'kind', *, regions: bool = True):
        if mode not in STATISTICS:
            raise ValueError(f'standardize is one of {tuple(STATISTICS)}, got {mode!r}.')
        names = STATISTICS[mode][: 2 if regions else 1]
        super().__init__({name: Standardizer(dims) for name in names})

    def forward(self, feats: Tensor) -> Tensor:
        """Standardise features (..., 1 + K, D), an image and its K regions, to length 1."""
        if not len(self):
            return F.normalize(feats, dim=-1)
        parts = zip(self.values(), self._split(feats))
        return torch.cat([standardizer(part) for standardizer, part in parts], dim=-2)

    def restore(self, feats: Tensor) -> Tensor:
        """Undo the standardisation, except for the length, of image features (..., D)."""
        for standardizer in [*self.values()][:1]:
            feats = standardizer.restore(feats)
        return feats

    def fit(self, feats: Tensor) -> None:
        """Fit those that are not fitted to features (n, 1 + K, D)."""
        for standardizer, part in zip(self.values(), self._split(feats)):
            if not standardizer.is_fitted:
                standardizer.fit(part.flatten(0, 1))

    def _split(self, feats: Tensor) -> tuple[Tensor, ...]:
        """Split (..., 1 + K, D) into a part for each standardizer."""
        return feats.tensor_split((1,), dim=-2) if 'regions' in self else (feats,)


def unfitted(model: nn.Module) -> list[FittedModule]:
    """Modules of a model that must be fitted and are not."""
    return [m for m in model.modules() if isinstance(m, FittedModule) and not m.is_fitted]


def fit_targets(model: nn.Module, feats: Tensor) -> None:
    """Fit the modules of a model that are not fitted.

    Args:
        model: With ``standardizers``.
        feats: (n, 1 + K, D) features of images and regions, as computed by the teacher. Modules
            other than the standardizers are fitted to the standardised features.
    """
    model.standardizers.fit(feats)
    feats = model.standardizers(feats).flatten(0, 1)
    for module in unfitted(model):
        module.fit(feats)
