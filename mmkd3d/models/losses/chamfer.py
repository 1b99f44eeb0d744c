"""Chamfer distance as a loss."""

import torch.nn as nn
from torch import Tensor

from mmkd3d.ops import chamfer_distance
from mmkd3d.registry import MODELS


@MODELS.register_module()
class ChamferLoss(nn.Module):
    """Chamfer distance between clouds, in float32 also under autocast.

    Args:
        norm: ``'l2'``: mean of squared nearest distances, both directions
            added. ``'l1'``: mean of distances, both directions averaged.
        loss_weight: Factor of the loss.
    """

    def __init__(self, norm: str = 'l2', *, loss_weight: float = 1.0):
        super().__init__()
        self.norm = norm
        self.loss_weight = loss_weight

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Distance of ``pred`` (B, N, 3) and ``target`` (B, M, 3)."""
        return self.loss_weight * chamfer_distance(pred, target, norm=self.norm)
