"""Zero-shot classification by class names."""

from collections.abc import Sequence
from itertools import zip_longest

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import Tensor

from mmkd3d.registry import MODELS

from ..layers.concept_extractor import make_head
from ..targets.standardizer import Standardizers

TOKENS = dict(full=('img', 'text'), image=('img',), text=('text',))


class BaseZeroShot(BaseModel):
    """Classify clouds by cosine similarity to the text features of class names.

    The feature of a class is the sum of the text features of its name in all
    prompts. Subclasses compute the feature of a cloud in ``embed``.

    Loads checkpoints of the pretraining and skips its other parts. Add
    ``dict(type='mmkd3d.ClassNamesHook')`` to the hooks to take the class
    names from the data set.

    Args:
        backbone: Config of the backbone.
        text: Config of a ``TextTarget``. Its teacher must share the feature
            space of the teacher used in pretraining. Its ``precision`` is
            ``'fp32'`` here, unless given.
        class_names: Class names in the order of the labels; None takes those
            of the data set.
        aliases: Names to use instead of some class names. ReCon's published
            numbers on ScanObjectNN use ``dict(toilet='toile')``.
        reduction: ``'sum'`` of the features of all prompts, as published, or
            ``'mean'`` of the normalised features.
        data_preprocessor: Config, ``dict(type='PointDataPreprocessor')`` by
            default.
        init_cfg: See mmengine's ``BaseModel``.

    Raises:
        ValueError: ``reduction`` or a name in ``aliases`` is unknown.
    """

    def __init__(
        self,
        backbone: dict,
        *,
        text: dict,
        class_names: Sequence[str] | None = None,
        aliases: dict | None = None,
        reduction: str = 'sum',
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(
            MODELS.build(data_preprocessor or dict(type='mmkd3d.PointDataPreprocessor')), init_cfg
        )
        if reduction not in ('sum', 'mean'):
            raise ValueError(f"reduction must be 'sum' or 'mean', got {reduction!r}.")
        self.backbone = MODELS.build(backbone)
        # named as in ReCon, so that a teacher in a checkpoint is loaded
        self.targets = nn.ModuleDict(dict(text=MODELS.build(text)))
        if getattr(self.targets['text'], 'precision', None) == 'auto':
            self.targets['text'].precision = 'fp32'  # results are the same on every machine
        self.reduction = reduction
        self.class_names = class_names and tuple(class_names)
        self.aliases = aliases or {}
        self.register_buffer('class_features', None, persistent=False)
        if self.class_names:
            self._check_aliases(self.class_names)

    @torch.no_grad()
    def set_classes(self, names: Sequence[str]) -> None:
        """Set the class names and compute their features.

        Args:
            names: Class names in the order of the labels.

        Raises:
            ValueError: The constructor was given other class names, or a name
                in ``aliases`` is unknown.
        """
        names = tuple(names)
        if self.class_names and names != self.class_names:
            pairs = enumerate(zip_longest(self.class_names, names))
            label, (ours, found) = next((i, pair) for i, pair in pairs if pair[0] != pair[1])
            raise ValueError(
                f'class_names has {len(self.class_names)} names, the data set {len(names)}, and '
                f'label {label} is {ours!r} in class_names and {found!r} in the data set. Remove '
                'class_names to use the names of the data set; use aliases=dict(name=...) to '
                'change the text for a class.'
            )
        self._check_aliases(names)
        feats = self.targets['text'].class_features(
            [self.aliases.get(name, name) for name in names]
        )  # (C, P, D)
        if self.reduction == 'mean':
            self.class_features = F.normalize(feats, dim=-1).mean(dim=1)
        else:
            self.class_features = feats.sum(dim=1)

    def embed(self, points: Tensor) -> Tensor:
        """Compute features (B, D) of clouds (B, N, 3+F) in the space of the class features."""
        raise NotImplementedError

    def forward(
        self, inputs: dict, data_samples: list | None = None, mode: str = 'tensor'
    ) -> list | Tensor:
        """Compute predictions or cosine similarities.

        Args:
            inputs: ``points`` (B, N, 3+F).
            data_samples: B data samples, for ``'predict'``.
            mode: ``'predict'`` returns the data samples with ``pred_scores``
                (cosine similarities) and ``pred_label``, ``'tensor'`` the
                cosine similarities (B, num_classes).
        """
        if mode not in ('predict', 'tensor'):
            raise ValueError(
                f"mode must be 'predict' or 'tensor', got {mode!r}: there is nothing to train."
            )
        if self.class_features is None:
            if not self.class_names:
                raise ValueError(
                    'The class names are not set: add '
                    "dict(type='mmkd3d.ClassNamesHook') to custom_hooks to use those of the data "
                    'set, or set class_names.'
                )
            self.set_classes(self.class_names)
        cosines = F.cosine_similarity(
            self.embed(inputs['points'])[:, None], self.class_features[None], dim=-1
        )
        if mode == 'tensor':
            return cosines
        for sample, scores in zip(data_samples, cosines):
            sample.pred_scores = scores
            sample.pred_label = scores.argmax()
        return data_samples

    def _check_aliases(self, names: Sequence[str]) -> None:
        unknown = sorted(set(self.aliases) - set(names))
        if unknown:
            raise ValueError(f'aliases contains {unknown}, the classes are {tuple(names)}.')


@MODELS.register_module()
class ZeroShotClassifier(BaseZeroShot):
    """Zero-shot classification with a pretrained ReCon backbone (section 7).

    The feature of a cloud is the projected image token plus ``ratio`` times
    the projected text token.

    Args:
        backbone: Config of the backbone.
        proj: Width of the projection of each global token, e.g.
            ``dict(img=512, text=512)``.
        mode: ``'full'`` uses both tokens, ``'image'`` or ``'text'`` only one.
        ratio: Weight of the text token in mode ``'full'``.
        kwargs: See :class:`BaseZeroShot`.

    Raises:
        ValueError: ``mode`` is unknown, or a token in use is missing, is not
            projected, or is projected to another width than the text features.
    """

    skipped_keys = ('decoder.', 'to_points.', 'contrast.', 'targets.')

    def __init__(
        self, backbone: dict, *, proj: dict, mode: str = 'full', ratio: float = 1.0, **kwargs
    ):
        if mode not in TOKENS:
            raise ValueError(f'mode must be one of {tuple(TOKENS)}, got {mode!r}.')
        super().__init__(backbone, **kwargs)
        width = self.backbone.embed_dims
        self.proj = nn.ModuleDict({name: nn.Linear(width, dims) for name, dims in proj.items()})
        self.weights = {
            name: ratio if (mode, name) == ('full', 'text') else 1.0 for name in TOKENS[mode]
        }
        self._check_tokens(mode)

    def embed(self, points: Tensor) -> Tensor:
        """Compute features (B, D) of clouds (B, N, 3+F)."""
        tokens = self.backbone(points)['global_tokens']
        return sum(weight * self.proj[name](tokens[name]) for name, weight in self.weights.items())

    def _check_tokens(self, mode: str) -> None:
        tokens, dims = self.backbone.global_names, self.targets['text'].dims
        for name in self.weights:
            if name not in tokens or name not in self.proj:
                raise ValueError(
                    f'mode={mode!r} needs the global token {name!r} and its projection, got the '
                    f'global tokens {tokens} and proj for {tuple(self.proj)}.'
                )
            width = self.proj[name].out_features
            if width != dims:
                raise ValueError(
                    f'proj.{name} has width {width}, the text features {dims}: zero-shot '
                    'classification needs image and text teachers with a common feature space, '
                    'such as the two towers of one CLIP.'
                )


@MODELS.register_module()
class ConceptZeroShot(BaseZeroShot):
    """Zero-shot classification with a backbone from concept distillation.

    The feature of a cloud is its mean concept, mapped back to the feature
    space of the image teacher (DC-6).

    Args:
        backbone: Config of the backbone.
        extractor: Config of the ``ConceptExtractor``.
        head_dims: As in pretraining.
        standardize: As in pretraining.
        kwargs: See :class:`BaseZeroShot`.
    """

    skipped_keys = (
        'head_concept.',
        'loss_',
        'standardizers.regions.',
        'decoder.',
        'to_points.',
        'targets.',
    )

    def __init__(
        self,
        backbone: dict,
        *,
        extractor: dict,
        head_dims: int | None = None,
        standardize: str | None = 'kind',
        **kwargs,
    ):
        super().__init__(backbone, **kwargs)
        self.extractor = MODELS.build(extractor)
        dims = self.targets['text'].dims
        self.head_global = make_head(self.extractor.embed_dims, dims, head_dims)
        self.standardizers = Standardizers(dims, standardize, regions=False)

    def embed(self, points: Tensor) -> Tensor:
        """Compute features (B, D) of clouds (B, N, 3+F)."""
        feats = self.backbone(points)
        concepts = self.extractor(feats['tokens'], feats['centers'])
        return self.standardizers.restore(self.head_global(concepts.mean(dim=1)))
