"""Concept distillation: concepts of a cloud match those of its images."""

import torch.nn.functional as F
from torch import Tensor

from mmkd3d.registry import MODELS

from ..layers.concept_extractor import make_head
from ..layers.transformer import split_by_mask
from ..losses.align import retrieval_accuracy
from ..losses.matched import MatchedConceptLoss, concept_usage
from ..targets.standardizer import Standardizers
from .base import Reconstruction

# Which of a view's features, image first, then regions, are matched with concepts.
SLOTS = {'both': slice(None), 'global': slice(1), 'regions': slice(1, None)}


@MODELS.register_module()
class ConceptDistillation(Reconstruction):
    """Learn the concepts that an image teacher sees in a shape (arXiv 2212.08974).

    Cross-attention extracts concept features from the cloud, which are compared with features of
    CLIP's image encoder. The paper's abstract leaves open the rest, which is our choice (spec 4):

    - the student is trained through the concepts;
    - targets are whole images and regions in them, standardised with the statistics of the
      training set, see :class:`FitTargetsHook`;
    - the mean of the concepts is contrasted with the mean of the images, and each concept is
      matched with an image or region.

    Args:
        backbone: Config of a student.
        extractor: Config of a :class:`ConceptExtractor`.
        target: Config of a :class:`ConceptTargets`.
        losses: Configs of ``embedding``, a loss ``(B, D), (B, D) -> scalar`` of the cloud's
            embedding such as :class:`ContrastiveAlignLoss`; ``concept``, a
            :class:`MatchedConceptLoss`; ``chamfer``, a loss between point clouds for the masked
            patches as in :class:`PointMAE`, not for hierarchical students. None switches a loss
            off; without ``embedding`` clouds have none.
        adapter: Config of a :class:`SeedsToTokens`, for a student that returns no ``tokens`` and
            ``centers``.
        standardize: See :class:`Standardizers`.
        slots: What concepts are matched with: ``'both'`` images and regions, ``'global'``
            images or ``'regions'``.
        head_dims: Width of the hidden layer of both heads; None: linear heads.
        masker: Config of a masker; the student then sees the visible patches only. It masks the
            top level of a hierarchical student.
        decoder: Config of a decoder ``(visible, centers, mask) -> (B, M, C)``.
        kwargs: Of :class:`BasePretrainer`.

    Raises:
        ValueError: The parts do not fit together, or no loss trains the student.
    """

    def __init__(
        self,
        backbone: dict,
        *,
        extractor: dict,
        target: dict,
        losses: dict,
        adapter: dict | None = None,
        standardize: str | None = 'kind',
        slots: str = 'both',
        head_dims: int | None = None,
        masker: dict | None = None,
        decoder: dict | None = None,
        **kwargs,
    ):
        super().__init__(backbone, masker=masker, **kwargs)
        self.target = MODELS.build(target)
        self.extractor = MODELS.build(extractor)
        self.adapter = MODELS.build(adapter) if adapter else None
        # The first is called loss_global in checkpoints.
        self.loss_global, self.loss_concept, self.loss_chamfer = (
            MODELS.build(losses[name]) if losses.get(name) else None
            for name in ('embedding', 'concept', 'chamfer')
        )
        self.slots = slots
        self._check()
        dims, width = self.target.dims, self.extractor.embed_dims
        self.standardizers = Standardizers(dims, standardize, regions=self.target.num_regions > 0)
        self.head_concept, self.head_global = (
            make_head(width, dims, head_dims) if loss else None
            for loss in (self.loss_concept, self.loss_global)
        )
        if self.loss_chamfer is not None:
            self.build_decoder(decoder)
        if self.adapter is not None:
            self.adapter.freeze_unread(self.backbone)
        if self.num_levels:
            self.backbone.freeze_norms(below=self.num_levels - 1)

    def forward(
        self, inputs: dict, data_samples: list | None = None, mode: str = 'tensor'
    ) -> dict | list:
        """Entry point for mmengine, see :class:`BasePretrainer`.

        ``mode='tensor'`` returns a dict: ``tokens`` (B, G, C), ``centers`` (B, G, 3),
        ``concepts`` (B, M, C) and ``embedding`` (B, D) or None.
        """
        if mode != 'tensor':
            return super().forward(inputs, data_samples, mode)
        feats = self.forward_whole(inputs['points'])
        concepts = self.extractor(feats['tokens'], feats['centers'])
        return dict(
            tokens=feats['tokens'],
            centers=feats['centers'],
            concepts=concepts,
            embedding=self.head_global(concepts.mean(1)) if self.head_global else None,
        )

    def forward_whole(self, points: Tensor) -> dict:
        """``tokens`` (B, G, C) and ``centers`` (B, G, 3) of whole clouds (B, N, 3+F)."""
        feats = self.backbone(points)
        if self.adapter is None:
            return feats
        tokens, centers = self.adapter(feats, points)
        return dict(tokens=tokens, centers=centers)

    def forward_encoder(self, patches, mask: Tensor | None = None) -> dict:
        """Run the student on the visible patches, see :class:`BasePretrainer`.

        Returns:
            The dict of the backbone's ``encode`` and the ``centers`` (B, V, 3) of the tokens.
        """
        top = patches[-1] if self.num_levels else patches
        centers = top.centers if mask is None else split_by_mask(top.centers, mask)[0]
        return dict(super().forward_encoder(patches, mask), centers=centers)

    def loss(self, points: Tensor, data_samples: list | None) -> dict:
        """Contrast, matching and, if configured, Chamfer distance.

        Monitors: ``scale`` of the contrast; ``retrieval_top1``, how often the images of a cloud
        are the nearest of the batch; ``matched_cos`` of matched pairs; ``concept_usage``;
        ``token_std``; ``regions_found`` per image.
        """
        features = self.target(points, data_samples)  # (B, V, 1 + K, D), images first
        target = self.standardizers(features)  # (B, V, 1 + K, D)
        slots = target[:, :, SLOTS[self.slots]].flatten(1, 2)  # (B, S, D)
        patches = mask = None
        if self.masker is None:
            feats = self.forward_whole(points)  # tokens (B, G, C)
        else:
            patches = self.group(points)  # (B, G, K, 3)
            mask = self.draw_mask(points, patches)  # (B, G), True = masked
            feats = self.forward_encoder(patches, mask)  # tokens (B, V, C)
        concepts = self.extractor(feats['tokens'], feats['centers'], slots)  # (B, M, C)
        losses = {}
        if self.loss_global is not None:
            pred = self.head_global(concepts.mean(1))  # (B, D)
            images = F.normalize(target[:, :, 0].mean(1), dim=-1)  # (B, D)
            losses['loss_embedding'] = self.loss_global(pred, images)
            if hasattr(self.loss_global, 'scale'):
                losses['scale'] = self.loss_global.scale.detach()
            losses['retrieval_top1'] = retrieval_accuracy(pred, images)
        if self.loss_concept is not None:
            matched = self.loss_concept(self.head_concept(concepts), slots)
            losses['loss_concept'] = matched.loss
            losses['matched_cos'] = matched.cosine
            losses['concept_usage'] = concept_usage(matched, concepts.shape[1], slots.shape[1])
        if self.loss_chamfer is not None:
            pred = self.to_points(self.forward_decoder(feats, patches, mask))  # (BM, K, 3)
            losses['loss_chamfer'] = self.loss_chamfer(pred, self.forward_target(patches, mask))
        losses['token_std'] = feats['tokens'].detach().float().std((0, 1)).mean()
        if self.target.num_regions:
            found = (features[:, :, 1:] != features[:, :, :1]).any(-1)  # (B, V, K)
            losses['regions_found'] = found.float().sum(2).mean()
        return losses

    def predict(self, points: Tensor, data_samples: list | None) -> list:
        """Return ``embedding`` (D,) of each cloud in the teacher's space, and ``input`` points.

        With reconstruction also ``visible`` and ``pred`` points; without ``losses.embedding`` there
        is no embedding.
        """
        if self.loss_chamfer is None:
            found = [dict(input=cloud[:, :3].cpu()) for cloud in points]
        else:
            found = super().predict(points, data_samples)
        embedding = self(dict(points=points))['embedding']
        if embedding is None:
            return found
        embedding = self.standardizers.restore(embedding)
        return [dict(sample, embedding=row) for sample, row in zip(found, embedding)]

    def _check(self) -> None:
        """Raise ``ValueError`` if the parts do not fit together."""
        if self.slots not in SLOTS:
            raise ValueError(f'slots is one of {tuple(SLOTS)}, got {self.slots!r}.')
        if self.slots == 'regions' and not self.target.num_regions:
            raise ValueError("slots='regions' needs target.num_regions > 0.")
        if self.loss_global is None and self.loss_concept is None:
            raise ValueError('Nothing to learn: give losses.embedding, losses.concept or both.')
        if not isinstance(self.loss_concept, (MatchedConceptLoss, type(None))):
            raise ValueError(
                'losses.concept compares two sets: use dict(type="MatchedConceptLoss", loss=...), '
                f'got {type(self.loss_concept).__name__}.'
            )
        if self.extractor.detach_tokens and self.loss_chamfer is None:
            raise ValueError(
                'With detach_tokens=True no loss trains the student: give losses.chamfer, or set '
                'detach_tokens=False.'
            )
        if self.adapter is not None and self.masker is not None:
            raise ValueError('A student with an adapter has no patches to mask: remove the masker.')
        width = getattr(self.adapter or self.backbone, 'embed_dims', None)
        if width != self.extractor.embed_dims:
            raise ValueError(
                f'The student returns tokens of width {width}, the extractor has '
                f'embed_dims={self.extractor.embed_dims}.'
                + ('' if width else ' Give an adapter, such as SeedsToTokens.')
            )
