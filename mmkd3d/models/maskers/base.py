"""Maskers choose the patches that are hidden from the student."""

import torch
import torch.nn as nn
from torch import Tensor

from mmkd3d.registry import TASK_UTILS


class BaseMasker(nn.Module):
    """Base of the maskers, which mask :meth:`num_masked` patches of every cloud.

    A masker has no parameters and nothing in the state dict. It is a module since it may move a
    teacher from device to device.

    Args:
        ratio: Share of masked patches, 0 <= ratio < 1.
    """

    def __init__(self, ratio: float):
        super().__init__()
        if not 0 <= ratio < 1:
            raise ValueError(
                f'ratio must be in [0, 1), got {ratio}: at least one patch must stay visible.'
            )
        self.ratio = ratio

    def num_masked(self, num_groups: int) -> int:
        """Number of masked patches out of ``num_groups``."""
        return int(self.ratio * num_groups)

    def order(
        self,
        centers: Tensor,
        points: Tensor | None,
        scores: Tensor | None,
        generator: torch.Generator | None,
    ) -> Tensor:
        """Return numbers (B, G); the patches with the smallest are masked."""
        raise NotImplementedError

    def forward(
        self,
        centers: Tensor,
        *,
        points: Tensor | None = None,
        scores: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draw a mask.

        Args:
            centers: (B, G, 3) of the patches.
            points: (B, N, 3), the clouds, for maskers with a teacher.
            scores: (B, G), for guided maskers; replaces the teacher's.
            generator: Random number generator on the device of ``centers``.

        Returns:
            (B, G) bool, True = masked.
        """
        B, G, _ = centers.shape
        mask = torch.zeros(B, G, dtype=torch.bool, device=centers.device)
        order = self.order(centers, points, scores, generator)
        first = order.argsort(dim=1)[:, : self.num_masked(G)]
        mask.scatter_(1, first, True).num_visible = G - first.shape[1]  # see layers/masking.py
        return mask

    def extra_repr(self) -> str:
        return f'ratio={self.ratio}'


@TASK_UTILS.register_module()
class RandomMasker(BaseMasker):
    """Mask patches at random."""

    def order(self, centers, points, scores, generator):
        return torch.rand(centers.shape[:2], generator=generator, device=centers.device)


@TASK_UTILS.register_module()
class BlockMasker(BaseMasker):
    """Mask a random patch and its nearest patches (Point-BERT)."""

    def order(self, centers, points, scores, generator):
        B, G, _ = centers.shape
        seed = torch.randint(G, (B,), generator=generator, device=centers.device)
        return self.distances(centers, seed)

    @staticmethod
    def distances(centers, seed):
        """(B, G) squared distances to the patch ``seed`` (B,)."""
        start = centers[torch.arange(len(centers)), seed]
        return (centers - start[:, None]).float().square().sum(dim=2)
