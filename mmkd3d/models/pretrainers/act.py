"""ACT, stage II: masked modelling with the features of the autoencoder."""

from typing import NamedTuple

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mmkd3d.registry import MODELS, TASK_UTILS

from ..layers.patches import Patches
from ..layers.transformer import split_by_mask
from .base import BasePretrainer, draw_cosine


class Distilled(NamedTuple):
    """A student's predictions beside what its teacher says.

    Attributes:
        pred: (B, M, D) of the masked patches, in their order.
        pred_global: The same from the class token and shallow features, or
            None without the global branch.
        target: (B, M, D).
        mask: (B, G) bool, True = masked.
        patches: What the clouds were cut into.
    """

    pred: Tensor
    pred_global: Tensor | None
    target: Tensor
    mask: Tensor
    patches: Patches


@MODELS.register_module()
class ACT(BasePretrainer):
    """Autoencoders as cross-modal teachers (ACT, section 3.3).

    The student sees the visible patches; a decoder predicts, at the masked
    ones, the features that the autoencoder of stage I gives to all patches.

    With ``shallow_layer`` a global branch is added (``cls_loss`` of the
    published code): the same decoder once more, from the class token of the
    last layer and the patch tokens of that shallow one.

    Differs from the published code: the teacher is in no checkpoint and, by
    default, in eval mode; the global branch uses the configured loss, there
    it is left out unless that is the cosine.

    Args:
        backbone: Config of the student.
        teacher: Config of a teacher with ``forward_patches``.
        masker: Config of a masker; with ratio 0 there is no decoder, and the
            student predicts the target of every patch it sees.
        loss: Config of a loss between tokens.
        decoder: Config of a decoder ``(visible, centers, mask) -> (B, M, C)``.
        projection: Whether a Linear maps the decoder's output to the width of
            the teacher; without, the two widths must agree.
        shallow_layer: Block, from 0, whose raw output feeds the global branch;
            None: no such branch.
        standardize: Bring each channel of the target to mean 0 and variance 1
            over the batch (running statistics in eval mode). Not published: a
            target whose features are all alike (``target_cone`` near 1) is
            almost met by a constant, and this takes the constant away.
        untrained_heads: Build the two heads that the published files carry
            and no loss trains. Only for exchange with those files.
        data_preprocessor: See :class:`BasePretrainer`.
        init_cfg: As in mmengine.
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
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(backbone, data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.teacher = MODELS.build(teacher)
        self.masker = TASK_UTILS.build(masker)
        self.distill = MODELS.build(loss)
        self.decoder = None
        if self.masker.ratio > 0:
            if decoder is None:
                raise ValueError(
                    'Masked patches need a decoder: give one, or set the ratio of the masker to 0.'
                )
            self.decoder = MODELS.build(decoder)
        width, target = self.backbone.embed_dims, self.teacher.embed_dims
        if not projection and width != target:
            raise ValueError(
                f'The student has width {width}, the target {target}: set projection=True.'
            )
        self.proj = nn.Linear(width, target) if projection else nn.Identity()
        self.standardize = None
        if standardize:
            self.standardize = nn.BatchNorm1d(target, affine=False)
        self.shallow_layer = shallow_layer
        if shallow_layer is not None:
            self._check_global_branch()
            self.cls_pos = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, 1, width), std=0.02))
        if untrained_heads:
            codes = self.teacher.num_codes
            self.lm_head = nn.Linear(width, codes)
            self.cls_head = nn.Sequential(nn.Linear(width, 512), nn.GELU(), nn.Linear(512, 512))

    def distil(
        self, points: Tensor, mask: Tensor | None = None, noise: Tensor | None = None
    ) -> Distilled:
        """Predict the target at the masked patches.

        Args:
            points: (B, N, 3+F).
            mask: (B, G) bool; None draws one.
            noise: Of the teacher's codes; None draws it.
        """
        points = points[..., :3].contiguous()
        patches = self.backbone.group(points)
        centers = patches.centers
        if mask is None:
            mask = self.masker(centers, points=points)  # (B, G)
        target = self.teacher.forward_patches(patches, noise)  # (B, G, D)
        if self.standardize is not None:
            target = self.standardize(target.flatten(0, 1)).view_as(target)
        shallow = () if self.shallow_layer is None else (self.shallow_layer,)
        out = self.backbone.encode(patches, mask, raw_indices=shallow)
        visible = out['tokens']  # (B, V, C)
        if self.decoder is None:
            return Distilled(self.proj(visible), None, target, mask, patches)
        pred = self.proj(self.decoder(visible, centers, mask))  # (B, M, D)
        pred_global = None
        if self.shallow_layer is not None:
            first = (out['cls_token'][:, None], self.cls_pos)
            pred_global = self.proj(self.decoder(out['raw'][0], centers, mask, first=first))
        _, target = split_by_mask(target, mask)  # (B, M, D)
        return Distilled(pred, pred_global, target, mask, patches)

    def loss(self, points: Tensor, data_samples: list | None) -> dict:
        """Distance of prediction and target, and how alike targets are."""
        out = self.distil(points)
        losses = dict(loss_distill=self.distill(out.pred, out.target))
        if out.pred_global is not None:
            losses['loss_global'] = self.distill(out.pred_global, out.target)
        mean = F.normalize(out.target, dim=-1).mean(dim=(0, 1))
        return dict(losses, target_cone=mean.square().sum())

    def predict(self, points: Tensor, data_samples: list | None) -> list:
        """``input`` and ``masked`` points, with the cosine of their patch."""
        out = self.distil(points)
        patches = out.patches.points + out.patches.centers[:, :, None]
        if self.decoder is not None:
            _, patches = split_by_mask(patches, out.mask)
        return draw_cosine(points, patches, out.pred, out.target)

    def _check_global_branch(self) -> None:
        depth = len(self.backbone.blocks)
        if not 0 <= self.shallow_layer < depth:
            raise ValueError(f'shallow_layer lies in [0, {depth}), got {self.shallow_layer}.')
        if self.decoder is None or self.backbone.cls_token is None:
            raise ValueError(
                'The global branch (shallow_layer) needs masked patches and a '
                'student with_cls_token=True.'
            )
