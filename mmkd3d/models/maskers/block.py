"""Mask one region of a cloud."""

import torch

from mmkd3d.registry import TASK_UTILS

from .base import BaseMasker


@TASK_UTILS.register_module()
class BlockMasker(BaseMasker):
    """Mask a random patch and those nearest to it (Point-BERT)."""

    def order(self, centers, points, scores, generator):
        B, G, _ = centers.shape
        seed = torch.randint(G, (B,), generator=generator, device=centers.device)
        return self.distances(centers, seed)

    @staticmethod
    def distances(centers, seed):
        """(B, G) squared distances to the patch ``seed`` (B,)."""
        start = centers[torch.arange(len(centers)), seed]
        return (centers - start[:, None]).float().square().sum(dim=2)
