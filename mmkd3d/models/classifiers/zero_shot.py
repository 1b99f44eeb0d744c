"""Classification by the names of the classes alone."""

from collections.abc import Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import Tensor

from mmkd3d.registry import MODELS

from ..layers.concept_extractor import make_head
from ..targets.standardizer import Standardizers

USED = dict(full=('img', 'text'), image=('img',), text=('text',))


class BaseZeroShot(BaseModel):
    """A pretrained student that is asked by class names.

    The feature of a class is what the text teacher says of its name in all
    prompts, added up and not normalised before; that of a cloud is ``embed``.
    The class with the largest cosine is predicted.

    A checkpoint of the pretraining fits; what is there for pretraining only
    is left out. Class names come from the data set: add
    ``dict(type='mmkd3d.ClassNamesHook')`` to the hooks.

    Args:
        backbone: Config of the student.
        text: Config of a :class:`TextTarget`, whose teacher the student was
            trained towards, or towards whose image encoder.
        class_names: In the order of the labels; None: those of the data set.
        aliases: What the teacher reads in place of some names. ReCon's
            numbers on ScanObjectNN are with ``dict(toilet='toile')``.
        reduction: ``'sum'`` of the prompts' features as published, or
            ``'mean'`` of them at unit length, where each prompt counts alike.
        data_preprocessor: Default ``dict(type='PointDataPreprocessor')``.
        init_cfg: As in mmengine.

    Raises:
        ValueError: An unknown reduction, or aliases of no class.
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
            raise ValueError(f"reduction is 'sum' or 'mean', got {reduction!r}.")
        self.backbone = MODELS.build(backbone)
        # As in ReCon, so that a teacher in a file finds its place.
        self.targets = nn.ModuleDict(dict(text=MODELS.build(text)))
        self.reduction = reduction
        self.class_names = class_names and tuple(class_names)
        self.aliases = aliases or {}
        self.register_buffer('class_features', None, persistent=False)
        if self.class_names:
            self._check_aliases(self.class_names)

    @torch.no_grad()
    def set_classes(self, names: Sequence[str]) -> None:
        """Fix what labels mean, and read the names, once.

        Args:
            names: Of the data set, in the order of its labels.

        Raises:
            ValueError: Other names were given to the constructor, or an alias
                is for none of these.
        """
        names = tuple(names)
        if self.class_names and names != self.class_names:
            raise ValueError(
                'The class names do not match those of the data set: '
                f'{first_difference(self.class_names, names)} Labels would '
                'mean other things. Leave out class_names to take those of '
                "the data set; aliases=dict(name='other') change what the "
                'teacher reads.'
            )
        self._check_aliases(names)
        spoken = [self.aliases.get(name, name) for name in names]
        feats = self.targets['text'].class_features(spoken)  # (C, P, D)
        if self.reduction == 'mean':
            self.class_features = F.normalize(feats, dim=-1).mean(dim=1)
        else:
            self.class_features = feats.sum(dim=1)

    def embed(self, points: Tensor) -> Tensor:
        """Features (B, D) of clouds (B, N, 3+F), next to those of names."""
        raise NotImplementedError

    def forward(
        self, inputs: dict, data_samples: list | None = None, mode: str = 'tensor'
    ) -> list | Tensor:
        """mmengine's entry.

        Args:
            inputs: ``points`` (B, N, 3+F).
            data_samples: B elements, for ``'predict'``.
            mode: ``'predict'``: the samples with ``pred_scores`` (cosines)
                and ``pred_label``; ``'tensor'``: cosines (B, classes).
        """
        if mode not in ('predict', 'tensor'):
            raise ValueError(
                f"mode is 'predict' or 'tensor', got {mode!r}: there is nothing to train."
            )
        if self.class_features is None:
            if not self.class_names:
                raise ValueError(
                    'There are no class names. Add dict(type='
                    "'mmkd3d.ClassNamesHook') to custom_hooks to take those "
                    'of the data set, or give class_names.'
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
            raise ValueError(f'aliases are for {unknown}, the classes are {tuple(names)}.')


@MODELS.register_module()
class ZeroShotClassifier(BaseZeroShot):
    """A pretrained ReCon student that is asked by class names (section 7).

    The feature of a cloud is the projected image token plus ``ratio`` times
    the projected text token.

    Args:
        backbone: Config of the student.
        proj: Width of each projection, by the name of its global token:
            ``dict(img=512, text=512)``.
        mode: ``'full'``; ``'image'`` or ``'text'``: only one of the tokens.
        ratio: Weight of the text token in mode ``'full'``.
        kwargs: Of :class:`BaseZeroShot`.

    Raises:
        ValueError: An unknown mode, a token without projection, a width that
            is not the teacher's.
    """

    skipped_keys = ('decoder.', 'to_points.', 'contrast.', 'targets.')

    def __init__(
        self, backbone: dict, *, proj: dict, mode: str = 'full', ratio: float = 1.0, **kwargs
    ):
        if mode not in USED:
            raise ValueError(f'mode is one of {tuple(USED)}, got {mode!r}.')
        super().__init__(backbone, **kwargs)
        width = self.backbone.embed_dims
        self.proj = nn.ModuleDict({name: nn.Linear(width, dims) for name, dims in proj.items()})
        self.weights = {
            name: ratio if (mode, name) == ('full', 'text') else 1.0 for name in USED[mode]
        }
        self._check_tokens(mode)

    def embed(self, points: Tensor) -> Tensor:
        """Features (B, D) of clouds (B, N, 3+F), next to those of names."""
        tokens = self.backbone(points)['global_tokens']
        return sum(weight * self.proj[name](tokens[name]) for name, weight in self.weights.items())

    def _check_tokens(self, mode: str) -> None:
        """``ValueError`` if a token in use does not lead to the names."""
        tokens, dims = self.backbone.global_names, self.targets['text'].dims
        for name in self.weights:
            if name not in tokens or name not in self.proj:
                raise ValueError(
                    f'mode={mode!r} needs the global token {name!r} and its '
                    f'projection, got the tokens {tokens} and proj for '
                    f'{tuple(self.proj)}.'
                )
            got = self.proj[name].out_features
            if got != dims:
                raise ValueError(
                    f'proj.{name} has width {got}, the text teacher {dims}: '
                    'zero-shot needs a student whose teachers share one '
                    'space, such as both towers of one CLIP.'
                )


@MODELS.register_module()
class ConceptZeroShot(BaseZeroShot):
    """A student of concept distillation that is asked by class names.

    The feature of a cloud is the mean of its concepts, as the image teacher
    would say them: standardisation is undone (spec, DC-6).

    Args:
        backbone: Config of the student.
        extractor: Config of its :class:`ConceptExtractor`.
        head_dims: As in the pretraining.
        standardize: As in the pretraining.
        kwargs: Of :class:`BaseZeroShot`.
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
        """Features (B, D) of clouds (B, N, 3+F), next to those of names."""
        out = self.backbone(points)
        concepts = self.extractor(out['tokens'], out['centers'])
        return self.standardizers.restore(self.head_global(concepts.mean(1)))


def first_difference(given: Sequence[str], found: Sequence[str]) -> str:
    """Where two lists of names part, in words."""
    if len(given) != len(found):
        return f'class_names has {len(given)}, the data set {len(found)}: {", ".join(found)}.'
    label = next(i for i, pair in enumerate(zip(given, found)) if pair[0] != pair[1])
    return f'label {label} is {given[label]!r} in class_names and {found[label]!r} in the data set.'
