"""Classification head."""

from collections.abc import Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mmkd3d.registry import MODELS


@MODELS.register_module()
class ClsHead(nn.Module):
    """Pool the tokens of a backbone and classify them with an MLP (ACT, section 7).

    Args:
        in_channels: Width of the backbone, C.
        num_classes: Number of classes.
        pooling: Features to concatenate: ``'cls'``, the class token; ``'max'``
            and ``'mean'`` over the patch tokens; the name of any global token;
            or a sum of these, such as ``'max+mean'``. Published: ``('cls',
            'img', 'text', 'max')`` for ReCon; ``('max+mean',)`` on ModelNet40
            and ``('mean', 'max')`` on ScanObjectNN for I2P-MAE.
        hidden_dims: Widths of the hidden layers, each followed by BatchNorm,
            ReLU and dropout; ``()`` for a linear head.
        dropout: Dropout rate.
        label_smoothing: Label smoothing s as in torch, which assigns
            ``s / num_classes`` to every class. I2P-MAE assigns
            ``s / (num_classes - 1)`` to the wrong classes: use ``0.2 * 40 / 39``
            for its 0.2 with 40 classes.
        norm: Apply LayerNorm to the patch tokens before pooling, for backbones
            without a final norm (I2P-MAE, section 10).
        skip_tokens: Number of leading patch tokens that ``'max'`` and
            ``'mean'`` ignore. The published two-tower classifier ignores two
            by mistake (ReCon, section 3).

    Raises:
        ValueError: ``pooling`` is empty.
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
            raise ValueError("pooling must name at least one feature, e.g. ('cls', 'max').")
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
        """Return pooled features (B, C * len(pooling)) of the output of a backbone."""
        tokens = self.norm(feats['tokens'][:, self.skip_tokens :])
        available = dict(
            feats.get('global_tokens', {}), max=tokens.amax(dim=1), mean=tokens.mean(dim=1)
        )
        if feats['cls_token'] is not None:
            available['cls'] = feats['cls_token']
        terms = [name.split('+') for name in self.pooling]
        missing = [name for name in sum(terms, []) if name not in available]
        if missing:
            hint = ''
            if 'cls' in missing:
                hint = " Set with_cls_token=True, or add 'cls' to global_tokens."
            raise ValueError(
                f'pooling uses {missing}, the backbone returns {sorted(available)}.{hint}'
            )
        return torch.cat([sum(available[name] for name in names) for names in terms], dim=-1)

    def forward(self, feats: dict) -> Tensor:
        """Compute logits (B, num_classes)."""
        return self.mlp(self.pool(feats))

    def loss(self, feats: dict, labels: Tensor) -> dict:
        """Compute the cross-entropy loss and the accuracy for ``labels`` (B,)."""
        if labels.min() < 0 or labels.max() >= self.num_classes:
            raise ValueError(
                f'Labels lie in [{labels.min()}, {labels.max()}], the head has '
                f'num_classes={self.num_classes}: set num_classes to the number of classes of '
                'the data set.'
            )
        logits = self(feats)
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=self.label_smoothing)
        accuracy = (logits.argmax(dim=1) == labels).float().mean()
        return dict(loss_cls=loss, accuracy=accuracy)
