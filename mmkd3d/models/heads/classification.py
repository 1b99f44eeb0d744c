"""Classification head on the tokens of a student."""

from collections.abc import Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mmkd3d.registry import MODELS


@MODELS.register_module()
class ClsHead(nn.Module):
    """Pool the tokens, then an MLP (ACT, section 7).

    Args:
        in_channels: Width of the student, C.
        num_classes: Number of classes.
        pooling: What is concatenated: ``'cls'``; ``'max'`` and ``'mean'``,
            over the tokens of the patches; any global token of the student;
            sums of these, ``'max+mean'``. Published for ReCon: ``('cls',
            'img', 'text', 'max')``; I2P-MAE: ``('max+mean', )`` on
            ModelNet40, ``('mean', 'max')`` on ScanObjectNN.
        hidden_dims: Widths of the hidden layers, each Linear, BatchNorm, ReLU
            and dropout; empty for a linear head.
        dropout: Rate of the dropout.
        label_smoothing: Of the cross entropy, ``s / num_classes`` for every
            class. I2P-MAE gives ``s / (num_classes - 1)`` to all but the
            right one: ``0.2 * 40 / 39`` here for its 0.2 of 40 classes.
        norm: Norm the tokens of the patches first, where the student does
            not (I2P-MAE, section 10).
        skip_tokens: First patches that maximum and mean leave out. The
            published two-tower classifier (ReCon, section 3) leaves out two,
            by a slip: it counts three global tokens where there is one.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        pooling: Sequence[str] = ('cls', 'max'),
        hidden_dims: Sequence[int] = (256, 256),
        dropout: float = 0.5,
        label_smoothing: float = 0.0,
        norm: bool = False,
        skip_tokens: int = 0,
    ):
        super().__init__()
        if not pooling:
            raise ValueError("pooling is empty: name at least one, e.g. ('cls', 'max').")
        self.pooling = tuple(pooling)
        self.skip_tokens = skip_tokens
        self.num_classes = num_classes
        self.label_smoothing = label_smoothing
        self.norm = nn.LayerNorm(in_channels) if norm else nn.Identity()
        layers, width = [], in_channels * len(self.pooling)
        for hidden in hidden_dims:
            layers += [
                nn.Linear(width, hidden),
                nn.BatchNorm1d(hidden),
                nn.ReLU(inplace=True),
                nn.Dropout(dropout),
            ]
            width = hidden
        self.mlp = nn.Sequential(*layers, nn.Linear(width, num_classes))

    def pool(self, feats: dict) -> Tensor:
        """(B, C * number of poolings) from the output of a student."""
        tokens = self.norm(feats['tokens'][:, self.skip_tokens :])
        parts = dict(
            feats.get('global_tokens', {}), max=tokens.amax(dim=1), mean=tokens.mean(dim=1)
        )
        if feats['cls_token'] is not None:
            parts['cls'] = feats['cls_token']
        names = [name.split('+') for name in self.pooling]
        lacking = [name for name in sum(names, []) if name not in parts]
        if lacking:
            hint = ''
            if 'cls' in lacking:
                hint = (
                    ' A class token is there with with_cls_token=True, or '
                    "'cls' among the global_tokens."
                )
            raise ValueError(f'pooling names {lacking}, the student has {sorted(parts)}.{hint}')
        return torch.cat([sum(parts[name] for name in summed) for summed in names], dim=-1)

    def forward(self, feats: dict) -> Tensor:
        """Logits (B, num_classes)."""
        return self.mlp(self.pool(feats))

    def loss(self, feats: dict, labels: Tensor) -> dict:
        """Cross entropy against ``labels`` (B,), and the accuracy."""
        if labels.min() < 0 or labels.max() >= self.num_classes:
            raise ValueError(
                f'Labels lie in [{labels.min()}, {labels.max()}], the head '
                f'has num_classes={self.num_classes}: set num_classes to the '
                'number of classes of the data set.'
            )
        logits = self(feats)
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=self.label_smoothing)
        accuracy = (logits.argmax(dim=1) == labels).float().mean()
        return dict(loss_cls=loss, accuracy=accuracy)
