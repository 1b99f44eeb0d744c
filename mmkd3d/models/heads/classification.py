"""Classification head on the tokens of a student."""
from typing import Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mmkd3d.registry import MODELS

POOLING = ('cls', 'max', 'mean')


@MODELS.register_module()
class ClsHead(nn.Module):
    """Pool the tokens, then an MLP (ACT, section 7).

    Args:
        in_channels: Width of the student, C.
        num_classes: Number of classes.
        pooling: What is concatenated, of ``'cls'``, ``'max'``, ``'mean'``.
        hidden_dims: Widths of the hidden layers, each Linear, BatchNorm, ReLU
            and dropout; empty for a linear head.
        dropout: Rate of the dropout.
        label_smoothing: Of the cross entropy.
    """

    def __init__(self,
                 in_channels: int,
                 num_classes: int,
                 *,
                 pooling: Sequence[str] = ('cls', 'max'),
                 hidden_dims: Sequence[int] = (256, 256),
                 dropout: float = 0.5,
                 label_smoothing: float = 0.):
        super().__init__()
        if not pooling or set(pooling) - set(POOLING):
            raise ValueError(
                f'pooling names some of {POOLING}, got {tuple(pooling)}.')
        self.pooling = tuple(pooling)
        self.num_classes = num_classes
        self.label_smoothing = label_smoothing
        layers, width = [], in_channels * len(self.pooling)
        for hidden in hidden_dims:
            layers += [
                nn.Linear(width, hidden), nn.BatchNorm1d(hidden),
                nn.ReLU(inplace=True), nn.Dropout(dropout)
            ]
            width = hidden
        self.mlp = nn.Sequential(*layers, nn.Linear(width, num_classes))

    def pool(self, feats: dict) -> Tensor:
        """(B, C * number of poolings) from the output of a student."""
        tokens = feats['tokens']
        parts = dict(
            cls=feats['cls_token'],
            max=tokens.max(dim=1).values,
            mean=tokens.mean(dim=1))
        if 'cls' in self.pooling and parts['cls'] is None:
            raise ValueError(
                "pooling 'cls' needs a student with a class token: set "
                "with_cls_token=True or pooling=('max', 'mean').")
        return torch.cat([parts[name] for name in self.pooling], dim=-1)

    def forward(self, feats: dict) -> Tensor:
        """Logits (B, num_classes)."""
        return self.mlp(self.pool(feats))

    def loss(self, feats: dict, labels: Tensor) -> dict:
        """Cross entropy against ``labels`` (B,), and the accuracy."""
        if labels.min() < 0 or labels.max() >= self.num_classes:
            raise ValueError(
                f'Labels lie in [{labels.min()}, {labels.max()}], the head '
                f'has num_classes={self.num_classes}.')
        logits = self(feats)
        loss = F.cross_entropy(
            logits.float(), labels, label_smoothing=self.label_smoothing)
        accuracy = (logits.argmax(dim=1) == labels).float().mean()
        return dict(loss_cls=loss, accuracy=accuracy)
