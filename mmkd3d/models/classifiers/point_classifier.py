"""Classification of point clouds."""

import difflib
import re

import torch
import torch.nn as nn
from mmengine.model import BaseModel
from torch import Tensor

from mmkd3d.registry import MODELS
from mmkd3d.utils.samples import metainfo

from ..layers.side_tuning import SideTuning

NO_LABEL = 'Use a labelled data set: a folder has labels if its shapes lie in folders of classes.'
_HEAD = r'head\.|backbone\.(.*\.)?(cls_(token|pos)|global_(token|pos)\.cls)$'
TRANSFER_TYPES = {
    'full': r'',
    'mlp-3': _HEAD,
    'linear': _HEAD,
    'probe': r'head\.',
    'side': _HEAD + r'|side\.',
    'bit-fit': _HEAD + r'|.*bias$',
}
"""Transfer types of ACT (section 7) and ReCon (section 5), and 'probe': patterns
that match the beginning of the names of the trained parameters. The published
code trains all parameters with 'cls' in their name, hence the class token."""


@MODELS.register_module()
class PointClassifier(BaseModel):
    """Backbone and classification head.

    Args:
        backbone: Config of the backbone.
        head: Config of the head.
        transfer_type: Which parameters are trained (ACT, section 7).
            ``'full'``: all; ``'mlp-3'``: head and class token; ``'linear'``:
            the same with a linear head; ``'side'``: additionally a
            :class:`~mmkd3d.models.layers.side_tuning.SideTuning`;
            ``'bit-fit'``: additionally all biases; ``'probe'``: only the
            head, on fixed features.
        extractor: Config of a ``ConceptExtractor``, whose mean concept is
            passed to the head as the global token ``'concept'`` (concept
            distillation, DC-10).
        frozen_eval: Keep frozen modules in eval mode during training. A probe
            always does. In the published code, BatchNorm and stochastic depth
            of frozen modules stay in training mode.
        data_preprocessor: Config, ``dict(type='PointDataPreprocessor')`` by
            default.
        init_cfg: See mmengine's ``BaseModel``.

    Raises:
        ValueError: ``transfer_type`` is unknown, or does not support the
            backbone, the head or the extractor.
    """

    def __init__(
        self,
        backbone: dict,
        head: dict,
        *,
        transfer_type: str = 'full',
        extractor: dict | None = None,
        frozen_eval: bool = False,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(
            MODELS.build(data_preprocessor or dict(type='mmkd3d.PointDataPreprocessor')), init_cfg
        )
        self.backbone = MODELS.build(backbone)
        self.head = MODELS.build(head)
        self.extractor = MODELS.build(extractor) if extractor else None
        if transfer_type == 'linear' and len(self.head.mlp) > 1:
            raise ValueError(
                "transfer_type='linear' requires a linear head: set hidden_dims=() in the head, "
                "or transfer_type='mlp-3'."
            )
        self.side = None
        if transfer_type == 'side':
            if extractor:
                raise ValueError(
                    "transfer_type='side' does not support an extractor: remove the extractor, "
                    "or use transfer_type='full'."
                )
            if self.backbone.num_levels:
                raise ValueError(
                    "transfer_type='side' requires a backbone with patches of one resolution, "
                    f"got a {type(self.backbone).__name__}: use 'full', 'bit-fit' or another "
                    'backbone.'
                )
            self.side = SideTuning(self.backbone.embed_dims)
        self.frozen_eval = frozen_eval or transfer_type == 'probe'
        freeze(self, transfer_type)

    def train(self, mode: bool = True) -> 'PointClassifier':
        """Set the training mode; with ``frozen_eval`` keep frozen modules in eval mode.

        Then BatchNorm of frozen modules uses its running statistics without
        updating them, and stochastic depth is off.
        """
        super().train(mode)
        if self.frozen_eval:
            for module in self.modules():
                parameters = list(module.parameters())
                if parameters and not any(p.requires_grad for p in parameters):
                    module.eval()
        return self

    def check_classes(self, metainfo: dict) -> None:
        """Check that a data set has ``head.num_classes`` classes.

        Args:
            metainfo: ``metainfo`` of the data set, optionally with
                ``classes`` and, for a few-shot episode, with ``drawn_from``,
                all classes of the original data set. The head may have the
                number of either.

        Raises:
            ValueError: The numbers of classes differ.
        """
        classes = metainfo.get('classes')
        if not classes:
            return
        if self.head.num_classes not in (len(classes), len(metainfo.get('drawn_from', classes))):
            shown = ', '.join(map(str, classes[:9]))
            raise ValueError(
                f'The data set has {len(classes)} classes ({shown}), the head has '
                f'num_classes={self.head.num_classes}. If these are the classes, set '
                f'model.head.num_classes={len(classes)}; else correct the data set, e.g. remove '
                'folders that are no classes.'
            )

    def extract(self, points: Tensor) -> dict:
        """Compute the input of the head from points (B, N, 3+F)."""
        if self.side is not None:
            patches = self.backbone.group(self.backbone.read(points))
            feats = self.backbone.encode(patches)
            return dict(feats, tokens=self.side(feats['tokens'], patches.points))
        feats = self.backbone(points)
        if self.extractor is not None:
            concepts = self.extractor(feats['tokens'], feats['centers'])
            feats = dict(
                feats,
                global_tokens=dict(feats.get('global_tokens', {}), concept=concepts.mean(dim=1)),
            )
        return feats

    def forward(
        self, inputs: dict, data_samples: list | None = None, mode: str = 'tensor'
    ) -> dict | list | Tensor:
        """Compute losses, predictions or logits.

        Args:
            inputs: ``points`` (B, N, 3+F).
            data_samples: Data samples, with ``gt_label`` for ``'loss'``.
            mode: ``'loss'`` returns a dict of losses, ``'predict'`` the data
                samples with ``pred_scores`` and ``pred_label``, ``'tensor'``
                the logits (B, num_classes).
        """
        feats = self.extract(inputs['points'])
        if mode == 'tensor':
            return self.head(feats)
        if mode == 'loss':
            labels = metainfo(data_samples, 'gt_label', NO_LABEL)
            return self.head.loss(feats, torch.stack(labels).view(-1))
        if mode == 'predict':
            scores = self.head(feats).softmax(dim=1)
            for sample, score in zip(data_samples, scores):
                sample.pred_scores = score
                sample.pred_label = score.argmax()
            return data_samples
        raise ValueError(f"mode must be one of 'loss', 'predict', 'tensor', got {mode!r}.")


def freeze(model: nn.Module, transfer_type: str) -> None:
    """Set ``requires_grad`` of all parameters, in place.

    Args:
        model: Classifier with ``backbone`` and ``head``.
        transfer_type: One of ``TRANSFER_TYPES``.

    Raises:
        ValueError: ``transfer_type`` is unknown.
    """
    if transfer_type not in TRANSFER_TYPES:
        close = difflib.get_close_matches(transfer_type, TRANSFER_TYPES, n=1)
        hint = f' Did you mean {close[0]!r}?' if close else ''
        raise ValueError(
            f'transfer_type must be one of {tuple(TRANSFER_TYPES)}, got {transfer_type!r}.{hint}'
        )
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(re.match(TRANSFER_TYPES[transfer_type], name) is not None)
