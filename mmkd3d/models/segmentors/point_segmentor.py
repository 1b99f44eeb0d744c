"""Part segmentation of objects."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModel
from torch import Tensor

from mmkd3d.registry import MODELS


@MODELS.register_module()
class PointSegmentor(BaseModel):
    """Backbone and segmentation head for clouds of a fixed size.

    For parts of objects, or other labels of points. To segment rooms block by
    block, use mmdetection3d's ``EncoderDecoder3D`` with the same backbone and
    head.

    Args:
        backbone: Config of the backbone, with ``out_indices``.
        head: Config of the head.
        category_parts: Part labels of each object category. Predictions are
            restricted to the labels of the category; None allows all labels.
        data_preprocessor: Config, ``dict(type='PointDataPreprocessor')`` by
            default.
        init_cfg: See mmengine's ``BaseModel``.

    Raises:
        ValueError: ``category_parts`` does not match the head.
    """

    def __init__(
        self,
        backbone: dict,
        head: dict,
        *,
        category_parts: Sequence[Sequence[int]] | None = None,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(
            MODELS.build(data_preprocessor or dict(type='mmkd3d.PointDataPreprocessor')), init_cfg
        )
        self.backbone = MODELS.build(backbone)
        self.head = MODELS.build(head)
        allowed = None if category_parts is None else self._allowed_parts(category_parts)
        self.register_buffer('allowed', allowed, persistent=False)

    def _allowed_parts(self, category_parts: Sequence[Sequence[int]]) -> Tensor:
        """Return a mask (num_categories, num_classes) of the parts of each category."""
        shape = self.head.num_categories, self.head.num_classes
        labels = {label for parts in category_parts for label in parts}
        if (
            len(category_parts) != shape[0]
            or not all(category_parts)
            or not labels <= set(range(shape[1]))
        ):
            raise ValueError(
                f'category_parts must list labels below num_classes={shape[1]} '
                f'for each of num_categories={shape[0]}, got {category_parts}.'
            )
        allowed = torch.zeros(shape, dtype=torch.bool)
        for category, parts in enumerate(category_parts):
            allowed[category, list(parts)] = True
        return allowed

    def check_classes(self, metainfo: dict) -> None:
        """Check that a data set has the categories and part labels of the model.

        Args:
            metainfo: ``metainfo`` of the data set, optionally with
                ``classes``, the categories, and ``parts``, the part labels of
                each category.

        Raises:
            ValueError: The head has another number of categories or labels,
                or ``category_parts`` lacks a part of a category.
        """
        classes, parts = metainfo.get('classes'), metainfo.get('parts')
        if classes and self.head.num_categories not in (0, len(classes)):
            raise ValueError(
                f'The data set has {len(classes)} categories, the head has '
                f'num_categories={self.head.num_categories}: set '
                f'model.head.num_categories={len(classes)}.'
            )
        if not parts:
            return
        num_labels = 1 + max(max(labels, default=-1) for labels in parts.values())
        if num_labels != self.head.num_classes:
            raise ValueError(
                f'The data set has the part labels 0 to {num_labels - 1}, the head has '
                f'num_classes={self.head.num_classes}: set model.head.num_classes={num_labels}. '
                'If some labels do not occur in the data set, set part_offset of NpzPoints, or '
                'metainfo=dict(parts=...).'
            )
        if self.allowed is None:
            return
        for category, name in enumerate(classes or ()):
            allowed = self.allowed[category].nonzero().flatten().tolist()
            if not set(parts[name]) <= set(allowed):
                raise ValueError(
                    f'{name} has the parts {tuple(parts[name])}, category_parts allows '
                    f'{allowed} for category {category}: list category_parts in the order of '
                    f'the classes, {tuple(classes)}.'
                )

    def forward(
        self, inputs: dict, data_samples: list | None = None, mode: str = 'tensor'
    ) -> dict | list | Tensor:
        """Compute losses, predictions or logits.

        Args:
            inputs: ``points`` (B, N, 3+F).
            data_samples: Data samples with ``gt_parts`` (N,) for ``'loss'``,
                and with ``gt_label`` in all modes if the head uses categories.
            mode: ``'loss'`` returns a dict of losses, ``'predict'`` the data
                samples with ``pred_parts`` (N,), ``'tensor'`` the logits
                (B, num_classes, N).
        """
        feats = self.backbone(inputs['points'])
        if mode == 'loss':
            return self.head.loss(feats, data_samples)
        category = self.head.categories(data_samples)
        if mode == 'tensor':
            return self.head(feats, category)
        if mode == 'predict':
            logits = self.head(feats, category)
            if self.allowed is not None:
                logits = logits.masked_fill(~self.allowed[category].unsqueeze(2), -torch.inf)
            for sample, parts in zip(data_samples, logits.argmax(dim=1)):
                sample.pred_parts = parts
            return data_samples
        raise ValueError(f"mode must be one of 'loss', 'predict', 'tensor', got {mode!r}.")
