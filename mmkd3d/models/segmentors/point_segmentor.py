"""Segmentation of objects into parts: a student and a head."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModel
from torch import Tensor

from mmkd3d.registry import MODELS


@MODELS.register_module()
class PointSegmentor(BaseModel):
    """A student with a segmentation head, for clouds of one size.

    For parts of objects, or labels of any points. Whole rooms, cut into
    blocks, are the work of mmdetection3d's ``EncoderDecoder3D``, which takes
    the same student and head.

    Args:
        backbone: Config of the student, with ``out_indices``.
        head: Config of the head.
        category_parts: Labels that each category has, in the order of the
            categories; a prediction is one of those. None: any label.
        data_preprocessor: Default ``dict(type='PointDataPreprocessor')``.
        init_cfg: As in mmengine.

    Raises:
        ValueError: ``category_parts`` doesn't fit the head.
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
        allowed = None
        if category_parts is not None:
            allowed = self._allowed(category_parts)
        self.register_buffer('allowed', allowed, persistent=False)

    def _allowed(self, category_parts: Sequence[Sequence[int]]) -> Tensor:
        """Which labels (columns) a category (rows) has, bool."""
        rows, columns = self.head.num_categories, self.head.num_classes
        parts = {part for own in category_parts for part in own}
        if (
            len(category_parts) != rows
            or not all(category_parts)
            or (not parts <= set(range(columns)))
        ):
            raise ValueError(
                f'category_parts must name labels below num_classes={columns} '
                f'for each of num_categories={rows}, got {category_parts}.'
            )
        allowed = torch.zeros(rows, columns, dtype=torch.bool)
        for category, own in enumerate(category_parts):
            allowed[category, list(own)] = True
        return allowed

    def check_classes(self, metainfo: dict) -> None:
        """Refuse a data set with other categories or part labels.

        Args:
            metainfo: Of the data set: ``classes``, the categories, and
                ``parts`` (category -> part labels), where known.

        Raises:
            ValueError: The head has another number of either, or
                ``category_parts`` lacks a label.
        """
        classes, parts = metainfo.get('classes'), metainfo.get('parts')
        if classes and self.head.num_categories not in (0, len(classes)):
            raise ValueError(
                f'The data set has {len(classes)} categories, the head '
                f'num_categories={self.head.num_categories}: set '
                f'model.head.num_categories={len(classes)}.'
            )
        if not parts:
            return
        labels = 1 + max(max(own, default=-1) for own in parts.values())
        if labels != self.head.num_classes:
            raise ValueError(
                f'The part labels of the data set are 0 to {labels - 1}, the '
                f'head has num_classes={self.head.num_classes}: set '
                f'model.head.num_classes={labels}. Labels that no shape has '
                'are told by part_offset of NpzPoints, or by '
                'metainfo=dict(parts=...).'
            )
        for category, name in enumerate(classes or ()):
            own = torch.tensor(parts[name], dtype=torch.long)
            if self.allowed is not None and not (self.allowed[category, own].all()):
                raise ValueError(
                    f'{name} has the parts {tuple(parts[name])}, '
                    f'category_parts allows '
                    f'{self.allowed[category].nonzero().flatten().tolist()} '
                    f'for category {category}: give category_parts in the '
                    f'order of the classes, {tuple(classes)}.'
                )

    def forward(
        self, inputs: dict, data_samples: list | None = None, mode: str = 'tensor'
    ) -> dict | list | Tensor:
        """mmengine's entry.

        Args:
            inputs: ``points`` (B, N, 3+F).
            data_samples: With ``gt_parts`` (N,) each for ``'loss'``, and with
                ``gt_label`` always, if the head knows categories.
            mode: ``'loss'``; ``'predict'``: the samples with ``pred_parts``
                (N,); ``'tensor'``: logits (B, num_classes, N).
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
        raise ValueError(f"mode is one of 'loss', 'predict', 'tensor', got {mode!r}.")
