"""Cosine distance as a loss."""

import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mmkd3d.registry import MODELS


@MODELS.register_module(name=['CosineLoss', 'CosineDistillLoss'])
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
