"""Losses between a prediction and its target."""

import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mmkd3d.ops import chamfer_distance
from mmkd3d.registry import MODELS


@MODELS.register_module()
class ChamferLoss(nn.Module):
    """Chamfer distance between point clouds, in float32 also under autocast.

    Args:
        norm: ``'l2'``: mean squared distance to the nearest point, sum of both directions.
            ``'l1'``: mean distance, mean of both directions.
        loss_weight: Factor of the loss.
    """

    def __init__(self, norm: str = 'l2', *, loss_weight: float = 1.0):
        super().__init__()
        self.norm = norm
        self.loss_weight = loss_weight

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Distance between ``pred`` (B, N, 3) and ``target`` (B, M, 3); 0 if B is 0."""
        if not len(pred):
            return pred.sum()
        return self.loss_weight * chamfer_distance(pred, target, norm=self.norm)


@MODELS.register_module()
class L2Loss(nn.Module):
    """Mean squared difference.

    Args:
        loss_weight: Factor of the loss.
    """

    def __init__(self, *, loss_weight: float = 1.0):
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Compare ``pred`` (..., C) with ``target`` (..., C)."""
        return self.loss_weight * F.mse_loss(pred.float(), target.float())


@MODELS.register_module()
class SmoothL1Loss(nn.Module):
    """Squared difference below ``beta``, absolute difference above.

    Args:
        beta: Threshold.
        loss_weight: Factor of the loss.
    """

    def __init__(self, *, beta: float = 1.0, loss_weight: float = 1.0):
        super().__init__()
        self.beta = beta
        self.loss_weight = loss_weight

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Compare ``pred`` (..., C) with ``target`` (..., C)."""
        return self.loss_weight * F.smooth_l1_loss(pred.float(), target.float(), beta=self.beta)


@MODELS.register_module()
class CosineLoss(nn.Module):
    """``1 - cos(pred, target)``, averaged over all tokens (ACT, eq. 5).

    Args:
        loss_weight: Factor of the loss.
    """

    def __init__(self, *, loss_weight: float = 1.0):
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Compare ``pred`` (..., C) with ``target`` (..., C)."""
        cos = F.cosine_similarity(pred.float(), target.float(), dim=-1)
        return self.loss_weight * (1 - cos).mean()
