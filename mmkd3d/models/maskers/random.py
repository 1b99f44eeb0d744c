"""Mask patches at random."""

import torch

from mmkd3d.registry import TASK_UTILS

from .base import BaseMasker


@TASK_UTILS.register_module()
class RandomMasker(BaseMasker):
    """Mask patches at random."""

    def order(self, centers, points, scores, generator):
        return torch.rand(centers.shape[:2], generator=generator, device=centers.device)
