"""Classification of clouds: a student and a head."""
from typing import Optional, Union

import torch
from mmengine.model import BaseModel
from torch import Tensor

from mmkd3d.registry import MODELS


@MODELS.register_module()
class PointClassifier(BaseModel):
    """A student with a classification head.

    Args:
        backbone: Config of the student.
        head: Config of the head.
        data_preprocessor: Default ``dict(type='PointDataPreprocessor')``.
        init_cfg: As in mmengine.
    """

    def __init__(self,
                 backbone: dict,
                 head: dict,
                 *,
                 data_preprocessor: Optional[dict] = None,
                 init_cfg: Optional[dict] = None):
        super().__init__(
            MODELS.build(data_preprocessor
                         or dict(type='mmkd3d.PointDataPreprocessor')),
            init_cfg)
        self.backbone = MODELS.build(backbone)
        self.head = MODELS.build(head)

    def forward(self,
                inputs: dict,
                data_samples: Optional[list] = None,
                mode: str = 'tensor') -> Union[dict, list, Tensor]:
        """mmengine's entry.

        Args:
            inputs: ``points`` (B, N, 3+F).
            data_samples: With ``gt_label`` each, for ``'loss'``.
            mode: ``'loss'``; ``'predict'``: the samples with ``pred_scores``
                and ``pred_label``; ``'tensor'``: logits.
        """
        feats = self.backbone(inputs['points'])
        if mode == 'tensor':
            return self.head(feats)
        if mode == 'loss':
            labels = torch.stack([s.gt_label for s in data_samples]).view(-1)
            return self.head.loss(feats, labels)
        if mode == 'predict':
            scores = self.head(feats).softmax(dim=1)
            for sample, score in zip(data_samples, scores):
                sample.pred_scores = score
                sample.pred_label = score.argmax()
            return data_samples
        raise ValueError(
            f"mode is one of 'loss', 'predict', 'tensor', got {mode!r}.")
