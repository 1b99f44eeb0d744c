"""Regression losses between tokens."""

import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mmkd3d.registry import MODELS


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
    """Squared difference near 0, absolute difference beyond ``beta``.

    Args:
        beta: Where the one becomes the other.
        loss_weight: Factor of the loss.
    """

    def __init__(self, *, beta: float = 1.0, loss_weight: float = 1.0):
        super().__init__()
        self.beta = beta
        self.loss_weight = loss_weight

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Compare ``pred`` (..., C) with ``target`` (..., C)."""
        return self.loss_weight * F.smooth_l1_loss(pred.float(), target.float(), beta=self.beta)
