"""ACT, stage II: masked modelling with the features of the autoencoder as targets."""

import torch
import torch.nn as nn
from torch import Tensor

from mmkd3d.registry import MODELS

from ..layers.patches import Patches
from ..layers.transformer import split_by_mask
from .base import BasePretrainer, mean_cosine, show_cosine


@MODELS.register_module()
class ACT(BasePretrainer):
    """Autoencoders as cross-modal teachers (ACT, section 3.3).

    The student sees the visible patches; a decoder predicts, at the masked ones, the features of
    the autoencoder of stage I, which sees all patches.

    ``shallow_layer`` adds a global branch (``cls_loss`` in the published code): the same decoder,
    applied to the class token of the last layer and the patch tokens of the shallow layer.

    Differs from the published code: the teacher is in no checkpoint and, by default, in eval
    mode; the global branch uses the configured loss, where the published code skips it unless
    that is the cosine.

    Args:
        backbone: Config of the student.
        teacher: Config of a teacher with ``forward_patches``.
        masker: Config of a masker. With ratio 0 there is no decoder, and the student predicts
            the target of every patch.
        loss: Config of a loss between tokens.
        decoder: Config of a decoder ``(visible, centers, mask) -> (B, M, C)``.
        projection: Map the decoder's output to the width of the teacher with a linear layer.
            Without it both widths must be equal.
        shallow_layer: Block, from 0, whose raw output feeds the global branch; None: no branch.
        standardize: Standardise each channel of the target over the batch (running statistics in
            eval mode). Not published; use it if ``target_cone`` is near 1.
        untrained_heads: Build the two heads that are in the published files although no loss
            trains them, to exchange checkpoints with those files.
        kwargs: Of :class:`BasePretrainer`.
    """

    with_levels = False

    def __init__(
        self,
        backbone: dict,
        teacher: dict,
        *,
        masker: dict,
        loss: dict,
        decoder: dict | None = None,
        projection: bool = True,
        shallow_layer: int | None = None,
        standardize: bool = False,
        untrained_heads: bool = False,
        **kwargs,
    ):
        super().__init__(backbone, masker=masker, **kwargs)
        self.teacher = MODELS.build(teacher)
        self.loss_fn = MODELS.build(loss)
        if self.masker.ratio > 0:
            if decoder is None:
                raise ValueError(
                    'Masked patches need a decoder: give one, or set the ratio of the masker to 0.'
                )
            self.decoder = MODELS.build(decoder)
        width, dims = self.backbone.embed_dims, self.teacher.embed_dims
        if not projection and width != dims:
            raise ValueError(
                f'The student has width {width}, the target {dims}: set projection=True.'
            )
        self.proj = nn.Linear(width, dims) if projection else nn.Identity()
        self.standardize = nn.BatchNorm1d(dims, affine=False) if standardize else None
        self.shallow_layer = shallow_layer
        if shallow_layer is not None:
            self._check_global_branch()
            self.cls_pos = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, 1, width), std=0.02))
        if untrained_heads:
            self.lm_head = nn.Linear(width, self.teacher.num_codes)
            self.cls_head = nn.Sequential(nn.Linear(width, 512), nn.GELU(), nn.Linear(512, 512))

    def forward_target(self, patches: Patches, mask: Tensor, noise: Tensor | None = None) -> Tensor:
        """Features (B, M, D) of the teacher at the patches to predict.

        Args:
            patches: B x G patches.
            mask: (B, G) bool, True = masked.
            noise: (B, G, number of codes), Gumbel noise of the teacher; None draws it.
        """
        target = self.teacher.forward_patches(patches, noise)  # (B, G, D)
        if self.standardize is not None:
            target = self.standardize(target.flatten(0, 1)).view_as(target)
        return target if self.decoder is None else split_by_mask(target, mask)[1]

    def forward_encoder(self, patches: Patches, mask: Tensor | None = None) -> dict:
        """Run the student on the visible patches, see :class:`BasePretrainer`."""
        shallow = () if self.shallow_layer is None else (self.shallow_layer,)
        return self.backbone.encode(patches, mask, raw_indices=shallow)

    def forward_decoder(self, feats: dict, patches: Patches, mask: Tensor) -> Tensor:
        """Tokens (B, M, C) of the patches to predict: the masked ones, without decoder all."""
        if self.decoder is None:
            return feats['tokens']
        return super().forward_decoder(feats, patches, mask)

    def forward_global(self, feats: dict, patches: Patches, mask: Tensor) -> Tensor:
        """Tokens (B, M, C) of the masked patches from the class token and shallow tokens."""
        first = feats['cls_token'][:, None], self.cls_pos
        return self.decoder(feats['raw'][0], patches.centers, mask, first=first)

    def loss(self, points: Tensor, data_samples: list | None) -> dict:
        """Distance between prediction and target; ``target_cone`` is the mean cosine of targets."""
        patches = self.group(points)  # (B, G, K, 3)
        mask = self.draw_mask(points, patches)  # (B, G), True = masked
        target = self.forward_target(patches, mask)  # (B, M, D)
        feats = self.forward_encoder(patches, mask)  # tokens (B, V, C)
        tokens = self.forward_decoder(feats, patches, mask)  # (B, M, C)
        pred = self.proj(tokens)  # (B, M, D)
        losses = dict(loss_distill=self.loss_fn(pred, target))
        if self.shallow_layer is not None:
            tokens = self.forward_global(feats, patches, mask)  # (B, M, C)
            losses['loss_global'] = self.loss_fn(self.proj(tokens), target)
        return dict(losses, target_cone=mean_cosine(target))

    def predict(self, points: Tensor, data_samples: list | None) -> list:
        """Return ``input`` and ``masked`` points with the ``cosine`` of their patches."""
        patches = self.group(points)
        mask = self.draw_mask(points, patches)
        target = self.forward_target(patches, mask)
        feats = self.forward_encoder(patches, mask)
        pred = self.proj(self.forward_decoder(feats, patches, mask))
        predicted = mask if self.decoder is not None else torch.ones_like(mask)
        return show_cosine(points, patches, predicted, pred, target)

    def _check_global_branch(self) -> None:
        depth = len(self.backbone.blocks)
        if not 0 <= self.shallow_layer < depth:
            raise ValueError(f'shallow_layer is in [0, {depth}), got {self.shallow_layer}.')
        if self.decoder is None or self.backbone.cls_token is None:
            raise ValueError(
                'The global branch (shallow_layer) needs masked patches and a '
                'student with_cls_token=True.'
            )
