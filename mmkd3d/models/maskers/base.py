"""Which patches a student must not see."""
from typing import Optional

import torch
from torch import Tensor


class BaseMasker:
    """Choose exactly ``int(ratio * G)`` patches of every cloud.

    Args:
        ratio: Share of patches that is masked, 0 <= ratio < 1.
    """

    def __init__(self, ratio: float):
        if not 0 <= ratio < 1:
            raise ValueError(
                f'A mask ratio lies in [0, 1), got {ratio}: at least one '
                'patch must stay visible.')
        self.ratio = ratio

    def order(self, centers: Tensor, scores: Optional[Tensor],
              generator: Optional[torch.Generator]) -> Tensor:
        """(B, G) numbers; the patches with the smallest are masked."""
        raise NotImplementedError

    def __call__(self,
                 centers: Tensor,
                 scores: Optional[Tensor] = None,
                 generator: Optional[torch.Generator] = None) -> Tensor:
        """Draw a mask.

        Args:
            centers: (B, G, 3) of the patches.
            scores: (B, G), for maskers that are guided.
            generator: Of the random numbers, on the device of ``centers``.

        Returns:
            (B, G) bool, True = masked.
        """
        B, G, _ = centers.shape
        mask = torch.zeros(B, G, dtype=torch.bool, device=centers.device)
        first = self.order(centers, scores, generator).argsort(dim=1)
        return mask.scatter_(1, first[:, :int(self.ratio * G)], True)
