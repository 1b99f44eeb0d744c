"""Concept distillation: concepts of a cloud answer to those of its images."""

import math
from typing import NamedTuple, Optional

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mmkd3d.registry import MODELS, TASK_UTILS

from ..layers.concept_extractor import make_head
from ..layers.pyramid import PyramidGroup
from ..layers.transformer import split_by_mask
from ..losses.matched import MatchedConceptLoss
from ..targets.fitted import Fitted
from ..targets.standardizer import STATISTICS, Standardizer
from .base import BasePretrainer, draw_reconstruction

SLOTS = ('both', 'global', 'regions')


class Encoded(NamedTuple):
    """What the student makes of a batch.

    Attributes:
        tokens: (B, G, d); with a masker those of the visible patches.
        centers: (B, G, 3) of the tokens.
        patches: What the clouds were cut into, of the top level, and
        mask: (B, G) bool, True = masked; both None without a masker.
    """

    tokens: Tensor
    centers: Tensor
    patches: Optional[NamedTuple] = None
    mask: Tensor | None = None


class Concepts(NamedTuple):
    """Concepts (B, M, d), as the teacher would say them (B, M, D), and the
    embedding (B, D) of the whole cloud; None where no loss trains it."""

    feats: Tensor
    said: Tensor | None
    embedding: Tensor | None


@MODELS.register_module()
class ConceptDistillation(BasePretrainer):
    """Learn from what an image teacher says of a shape (arXiv 2212.08974).

    An implementation of the idea of the paper: cross-attention takes concept
    features out of the cloud, and they are compared with semantic information
    of CLIP's image encoder. What its abstract leaves open is ours (spec 4):

    - the student is trained through the concepts;
    - targets are whole pictures and regions in them, standardised with the
      statistics of the training set, see :class:`FitTargetsHook`;
    - the mean of the concepts is contrasted with the mean of the pictures, and
      each concept is matched with a picture or region.

    Args:
        backbone: Config of a student.
        extractor: Config of a :class:`ConceptExtractor`.
        targets: ``dict(concepts=...)``, the config of a
            :class:`ConceptTargets`.
        adapter: Config of a :class:`LevelTokens`, for a student that returns
            no ``tokens`` and ``centers``.
        standardize: How targets are standardised (DC-6). ``'kind'``: pictures
            and regions each with their own statistics, since a common mean
            leaves each of them in a cone; ``'all'``: with the same; None: not
            at all.
        slots: What concepts are matched with: ``'both'``, pictures and
            regions; ``'global'``, pictures; ``'regions'``.
        loss_global: Config of a :class:`ContrastiveAlignLoss` or of another
            loss ``(B, D), (B, D) -> scalar``; None: clouds have no embedding.
        loss_concept: Config of a :class:`MatchedConceptLoss`, or None.
        head_dims: Width of a hidden layer of both heads; None: linear.
        masker: Config of a masker; the student then sees the visible patches
            only. Alone it drops tokens; for ``reconstruct`` it is needed. Of
            a student with levels it masks the top one.
        decoder: Config of a decoder ``(visible, centers, mask) -> (B, M, d)``.
        reconstruct: Config of a loss between clouds for the masked patches,
            as in Point-MAE; None: nothing is rebuilt. Not for students with
            levels.
        data_preprocessor: See :class:`BasePretrainer`.
        init_cfg: As in mmengine.

    Raises:
        ValueError: Parts that do not fit together; or ``detach_tokens`` of
            the extractor where nothing else would train the student.
    """

    def __init__(
        self,
        backbone: dict,
        *,
        extractor: dict,
        targets: dict,
        adapter: dict | None = None,
        standardize: str | None = 'kind',
        slots: str = 'both',
        loss_global: dict | None = None,
        loss_concept: dict | None = None,
        head_dims: int | None = None,
        masker: dict | None = None,
        decoder: dict | None = None,
        reconstruct: dict | None = None,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(backbone, data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.targets = nn.ModuleDict({name: MODELS.build(cfg) for name, cfg in targets.items()})
        self.extractor = MODELS.build(extractor)
        self.adapter = MODELS.build(adapter) if adapter else None
        self.loss_global, self.loss_concept = (
            MODELS.build(cfg) if cfg else None for cfg in (loss_global, loss_concept)
        )
        self.slots, self.standardize = slots, standardize
        self.masker = TASK_UTILS.build(masker) if masker else None
        self.has_levels = isinstance(getattr(self.backbone, 'group', None), PyramidGroup)
        self._check_options()
        self._check_student()
        dims, width = self.target.dims, self.extractor.embed_dims
        names = STATISTICS[standardize][: 2 if self.target.num_regions else 1]
        self.standardizers = nn.ModuleDict({name: Standardizer(dims) for name in names})
        self.head_concept, self.head_global = (
            make_head(width, dims, head_dims) if loss else None
            for loss in (loss_concept, loss_global)
        )
        self.decoder = self.to_points = self.chamfer = None
        if reconstruct:
            self._check_reconstruction(decoder)
            self.decoder = MODELS.build(decoder)
            self.to_points = nn.Linear(self.decoder.embed_dims, 3 * self.backbone.group.group_size)
            self.chamfer = MODELS.build(reconstruct)
        elif self.extractor.detach_tokens:
            raise ValueError(
                'With detach_tokens=True no loss reaches the student, which '
                'would stay as random as it is: give reconstruct, or set '
                'detach_tokens=False.'
            )
        if self.adapter is not None:
            self.adapter.freeze_unread(self.backbone)
        if self.has_levels:
            self.backbone.freeze_norms(below=len(self.backbone.depths) - 1)

    @property
    def target(self) -> nn.Module:
        """What the teacher says."""
        return self.targets['concepts']

    def forward(
        self, inputs: dict, data_samples: list | None = None, mode: str = 'tensor'
    ) -> dict | list:
        """As :class:`BasePretrainer`, but for ``mode='tensor'``.

        It then returns a dict: ``tokens`` (B, G, d), ``centers`` (B, G, 3),
        ``concepts`` (B, M, d) and ``embedding`` (B, D) or None.
        """
        if mode != 'tensor':
            return super().forward(inputs, data_samples, mode)
        out = self.encode(inputs['points'], whole=True)
        concepts = self.conceive(out)
        return dict(
            tokens=out.tokens,
            centers=out.centers,
            concepts=concepts.feats,
            embedding=concepts.embedding,
        )

    def encode(self, points: Tensor, whole: bool = False) -> Encoded:
        """Show points (B, N, 3+F) to the student, all or the visible ones."""
        if self.adapter is not None:
            return Encoded(*self.adapter(self.backbone(points), points))
        if self.masker is None or whole:
            out = self.backbone(points)
            return Encoded(out['tokens'], out['centers'])
        points = points[..., :3].contiguous()
        patches = self.backbone.group(points)
        top = patches[-1] if self.has_levels else patches
        mask = self.masker(top.centers, points=points)
        tokens = self.backbone.encode(patches, mask)['tokens']
        centers, _ = split_by_mask(top.centers, mask)
        return Encoded(tokens, centers, top, mask)

    def conceive(self, out: Encoded, target: Tensor | None = None) -> Concepts:
        """Take the concepts out of a cloud; ``target`` (B, S, D) may ask."""
        feats = self.extractor(out.tokens, out.centers, target)
        said, embedding = (
            head(x) if head else None
            for head, x in ((self.head_concept, feats), (self.head_global, feats.mean(1)))
        )
        return Concepts(feats, said, embedding)

    def normalize(self, feats: Tensor) -> Tensor:
        """Targets (..., 1 + K, D), standardised if so wanted, at length 1."""
        if not self.standardizers:
            return F.normalize(feats, dim=-1)
        return torch.cat(
            [
                standardizer(part)
                for standardizer, part in zip(self.standardizers.values(), self.split(feats))
            ],
            -2,
        )

    def split(self, feats: Tensor) -> tuple:
        """What each standardizer is for, of targets (..., 1 + K, D)."""
        if 'regions' in self.standardizers:
            return feats.tensor_split((1,), dim=-2)
        return (feats,)

    def choose(self, seen: Tensor) -> Tensor:
        """Slots (B, S, D) that the concepts are matched with."""
        first = 1 if self.slots == 'regions' else 0
        last = 1 if self.slots == 'global' else None
        return seen[:, :, first:last].flatten(1, 2)

    def loss(self, points: Tensor, data_samples: list | None) -> dict:
        """Contrast, matching and, if wanted, Chamfer distance.

        The monitors are ``scale`` of a contrast, ``retrieval_top1``: how
        often the pictures of a cloud are those nearest to it in the batch,
        ``matched_cos``, ``concept_usage``, ``token_std``, and
        ``regions_found`` per picture.
        """
        feats = self.target(points, data_samples)  # (B, V, 1 + K, D)
        seen = self.normalize(feats)
        slots = self.choose(seen)
        out = self.encode(points)
        concepts = self.conceive(out, slots)
        losses = {}
        if self.loss_global is not None:
            pictures = F.normalize(seen[:, :, 0].mean(1), dim=-1)  # (B, D)
            losses['loss_global'] = self.loss_global(concepts.embedding, pictures)
            if hasattr(self.loss_global, 'scale'):
                losses['scale'] = self.loss_global.scale.detach()
            losses['retrieval_top1'] = retrieval(concepts.embedding, pictures)
        if self.loss_concept is not None:
            matched = self.loss_concept(concepts.said, slots)
            losses['loss_concept'] = matched.loss
            losses['matched_cos'] = matched.cosine
            losses['concept_usage'] = usage(
                matched.concept, matched.slot, concepts.said.shape[1], slots.shape[1]
            )
        if self.chamfer is not None:
            losses['loss_chamfer'] = self.chamfer(
                self.rebuild(out).flatten(0, 1), out.patches.points[out.mask]
            )
        losses['token_std'] = out.tokens.detach().float().std((0, 1)).mean()
        if self.target.num_regions:
            other = (feats[:, :, 1:] != feats[:, :, :1]).any(-1)  # (B, V, K)
            losses['regions_found'] = other.float().sum(2).mean()
        return losses

    def rebuild(self, out: Encoded) -> Tensor:
        """Points (B, M, K, 3) of the masked patches, around their centres."""
        masked = self.decoder(out.tokens, out.patches.centers, out.mask)
        return self.to_points(masked).unflatten(2, (-1, 3))

    def predict(self, points: Tensor, data_samples: list | None) -> list:
        """For every cloud ``embedding`` (D,) in the space of the teacher.

        With it ``input`` and, where something is rebuilt, ``visible`` and
        ``pred`` points. Without ``loss_global`` there is no embedding.
        """
        if self.chamfer is None:
            drawn = [dict(input=cloud[:, :3].cpu()) for cloud in points]
        else:
            out = self.encode(points)
            drawn = draw_reconstruction(
                points, out.patches, out.mask, self.rebuild(out).flatten(0, 1)
            )
        embedding = self.conceive(self.encode(points, whole=True)).embedding
        if embedding is None:
            return drawn
        for standardizer in [*self.standardizers.values()][:1]:
            embedding = standardizer.restore(embedding)
        return [dict(sample, embedding=row) for sample, row in zip(drawn, embedding)]

    def to_fit(self) -> list[Fitted]:
        """Parts that need statistics of the targets, and lack them."""
        return [m for m in self.modules() if isinstance(m, Fitted) and not m.is_fitted]

    def fit_targets(self, feats: Tensor) -> None:
        """Fit what needs statistics to targets (n, 1 + K, D), as they come.

        What a checkpoint brought stays as it is.
        """
        for standardizer, part in zip(self.standardizers.values(), self.split(feats)):
            if not standardizer.is_fitted:
                standardizer.fit(part.flatten(0, 1))
        feats = self.normalize(feats).flatten(0, 1)
        for part in self.to_fit():
            part.fit(feats)

    def _check_options(self) -> None:
        """``ValueError`` for options that are unknown or do not fit."""
        if list(self.targets) != ['concepts']:
            raise ValueError(f"targets has one entry, 'concepts', got {list(self.targets)}.")
        if self.slots not in SLOTS:
            raise ValueError(f'slots is one of {SLOTS}, got {self.slots!r}.')
        if self.standardize not in STATISTICS:
            raise ValueError(
                f'standardize is one of {tuple(STATISTICS)}, got {self.standardize!r}.'
            )
        if self.slots == 'regions' and not self.target.num_regions:
            raise ValueError("slots='regions' needs num_regions > 0.")
        if self.loss_global is None and self.loss_concept is None:
            raise ValueError('Nothing to learn: give loss_global, loss_concept or both.')
        if not isinstance(self.loss_concept, (MatchedConceptLoss, type(None))):
            raise ValueError(
                'Concepts and slots are two sets: give loss_concept=dict('
                "type='MatchedConceptLoss', loss=...), got "
                f'{type(self.loss_concept).__name__}.'
            )

    def _check_student(self) -> None:
        """``ValueError`` if the student does not fit what reads it."""
        if self.adapter is not None and self.masker is not None:
            raise ValueError(
                'A student with an adapter has no patches to mask: leave out the masker.'
            )
        width = getattr(self.adapter or self.backbone, 'embed_dims', None)
        if width != self.extractor.embed_dims:
            raise ValueError(
                f'The student gives tokens of width {width}, the extractor '
                f'reads embed_dims={self.extractor.embed_dims}. '
                + ('' if width else 'Give an adapter, such as LevelTokens.')
            )

    def _check_reconstruction(self, decoder: dict | None) -> None:
        """``ValueError`` if masked patches can not be rebuilt."""
        if self.has_levels:
            raise ValueError(
                'Patches of one size are rebuilt, and a '
                f'{type(self.backbone).__name__} has a pyramid of them: set '
                'reconstruct=None, or take another student.'
            )
        if self.masker is None or not decoder:
            raise ValueError(
                'Only masked patches are rebuilt, by a decoder: '
                'give a masker and a decoder, or set '
                'reconstruct=None.'
            )
        groups = self.backbone.group.num_groups
        if not self.masker.num_masked(groups):
            raise ValueError(
                f'A ratio of {self.masker.ratio} masks none of {groups} '
                'patches, so there is nothing to rebuild: raise the ratio of '
                'the masker, or set reconstruct=None.'
            )


@torch.no_grad()
def retrieval(embedding: Tensor, pictures: Tensor) -> Tensor:
    """Share of embeddings (B, D) nearest to their own pictures (B, D)."""
    a, b = (F.normalize(x.float(), dim=-1) for x in (embedding, pictures))
    own = torch.arange(len(a), device=a.device)
    return ((a @ b.T).argmax(1) == own).float().mean()


@torch.no_grad()
def usage(concept: Tensor, slot: Tensor, num_concepts: int, num_slots: int) -> Tensor:
    """How evenly concepts are matched with the slots over a batch.

    Args:
        concept, slot: (B, P) pairs of a matching.
        num_concepts, num_slots: M and S.

    Returns:
        Entropy of the slots of a concept over that of an even choice, in
        [0, 1], averaged over the concepts. One that is never matched has 0.
    """
    pairs = (concept * num_slots + slot).flatten()
    counts = torch.bincount(pairs, minlength=num_concepts * num_slots)
    counts = counts.view(num_concepts, num_slots).float()
    share = counts / counts.sum(1, keepdim=True).clamp(min=1)
    entropy = torch.special.entr(share).sum(1)
    return entropy.mean() / math.log(max(num_slots, 2))
