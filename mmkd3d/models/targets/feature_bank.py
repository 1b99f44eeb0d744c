"""Features by name in one growing tensor."""

from collections.abc import Sequence

import torch
from torch import Tensor


class FeatureBank:
    """Features of things with names, kept on one device.

    Not a module and no buffer: the banks of several processes may hold
    different things, and no state dict should have them.

    Args:
        shape: Of the feature of one name.

    Attributes:
        feats: (capacity, *shape) float32; rows beyond ``len(bank)`` are
            empty.
    """

    def __init__(self, shape: Sequence[int]):
        self.feats = torch.empty(0, *shape)
        self._row = {}

    def __len__(self) -> int:
        return len(self._row)

    def __contains__(self, name: str) -> bool:
        return name in self._row

    def add(self, names: Sequence[str], feats: Tensor) -> None:
        """Take in new names with features (len(names), *shape)."""
        begin, end = len(self), len(self) + len(names)
        # A bank that was first filled while testing is used in training.
        with torch.inference_mode(False), torch.no_grad():
            if end > len(self.feats):
                grown = self.feats.new_empty(max(end, 2 * len(self.feats)), *self.feats.shape[1:])
                grown[:begin] = self.feats[:begin]
                self.feats = grown
            self.feats[begin:end] = feats
        self._row.update(zip(names, range(begin, end)))

    def rows(self, names: Sequence[str]) -> Tensor:
        """Rows of the names in ``feats``, (len(names),) long, on its device.

        ``KeyError`` for a name that is not there.
        """
        return torch.tensor([self._row[name] for name in names], device=self.feats.device)

    def clear(self) -> None:
        """Forget everything, but stay on the device."""
        self.feats = self.feats[:0].clone()
        self._row = {}

    def to(self, device: torch.device) -> None:
        """Move to another device."""
        self.feats = self.feats.to(device)
