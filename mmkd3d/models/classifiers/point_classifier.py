"""Classification of clouds: a student and a head."""

import torch
from mmengine.model import BaseModel
from torch import Tensor

from mmkd3d.registry import MODELS

from ..layers.side_tuning import SideBranch
from .transfer import eval_frozen, freeze


@MODELS.register_module()
class PointClassifier(BaseModel):
    """A student with a classification head.

    Args:
        backbone: Config of the student.
        head: Config of the head.
        transfer_type: What is trained (ACT, section 7): ``'full'``: all;
            ``'mlp-3'`` and ``'linear'``: the head and the class token, the
            latter with a linear head; ``'side'``: also a side branch that is
            added; ``'bit-fit'``: also all biases; ``'probe'``: the head
            alone, on features that do not change.
        extractor: Config of a :class:`ConceptExtractor`; the mean of its
            concepts is then the global token ``'concept'``, for the pooling
            of the head (concept distillation, DC-10).
        frozen_eval: Keep what is frozen in eval mode while training; a probe
            always does. As published, its BatchNorm uses and updates batch
            statistics and its stochastic depth is on.
        data_preprocessor: Default ``dict(type='PointDataPreprocessor')``.
        init_cfg: As in mmengine.

    Raises:
        ValueError: An unknown transfer type, or one that needs another head.
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
                "transfer_type='linear' trains a linear head, this one has "
                'hidden layers: set hidden_dims=() in the head, or '
                "transfer_type='mlp-3'."
            )
        self.side = None
        if transfer_type == 'side' and extractor:
            raise ValueError(
                "transfer_type='side' blends the tokens of the "
                'student, and concepts are made of them as they '
                "are: leave out the extractor, or take 'full'."
            )
        if transfer_type == 'side':
            if self.backbone.num_levels:
                raise ValueError(
                    "transfer_type='side' blends the tokens of a student with "
                    'patches of one size, and a '
                    f'{type(self.backbone).__name__} has a pyramid of them: '
                    "take 'full', 'bit-fit' or another student."
                )
            self.side = SideBranch(self.backbone.embed_dims)
        self.frozen_eval = frozen_eval or transfer_type == 'probe'
        freeze(self, transfer_type)

    def train(self, mode: bool = True) -> 'PointClassifier':
        """Switch the mode; what is frozen follows only if it should."""
        super().train(mode)
        if self.frozen_eval:
            eval_frozen(self)
        return self

    def check_classes(self, metainfo: dict) -> None:
        """Refuse a data set with other than ``head.num_classes`` classes.

        Args:
            metainfo: Of the data set: ``classes``, without which nothing is
                known, and for an episode ``drawn_from``, the classes of the
                whole set, whose outputs the head may keep.

        Raises:
            ValueError: The numbers are not the same.
        """
        classes = metainfo.get('classes')
        if not classes:
            return
        fitting = {len(classes), len(metainfo.get('drawn_from', classes))}
        if self.head.num_classes not in fitting:
            shown = ', '.join(map(str, classes[:9]))
            raise ValueError(
                f'The data set has {len(classes)} classes ({shown}), the head '
                f'num_classes={self.head.num_classes}: set '
                f'model.head.num_classes={len(classes)}, or choose the data '
                'that the model is for.'
            )

    def extract(self, points: Tensor) -> dict:
        """What the head reads, for points (B, N, 3+F)."""
        if self.extractor is not None:
            return self.add_concept(self.backbone(points))
        if self.side is None:
            return self.backbone(points)
        patches = self.backbone.group(self.backbone.read(points))
        feats = self.backbone.encode(patches)
        return dict(feats, tokens=self.side(feats['tokens'], patches.points))

    def add_concept(self, feats: dict) -> dict:
        """The output of the student with the mean of its concepts."""
        concepts = self.extractor(feats['tokens'], feats['centers'])
        tokens = dict(feats.get('global_tokens', {}), concept=concepts.mean(1))
        return dict(feats, global_tokens=tokens)

    def forward(
        self, inputs: dict, data_samples: list | None = None, mode: str = 'tensor'
    ) -> dict | list | Tensor:
        """mmengine's entry.

        Args:
            inputs: ``points`` (B, N, 3+F).
            data_samples: With ``gt_label`` each, for ``'loss'``.
            mode: ``'loss'``; ``'predict'``: the samples with ``pred_scores``
                and ``pred_label``; ``'tensor'``: logits.
        """
        feats = self.extract(inputs['points'])
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
        raise ValueError(f"mode is one of 'loss', 'predict', 'tensor', got {mode!r}.")
