"""Masked distillation from a frozen pretrained transformer."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mmkd3d.registry import MODELS, TASK_UTILS

from ..layers.patch_descriptor import FourierDescriptor
from ..layers.transformer import split_by_mask
from .base import BasePretrainer, draw_cosine


@MODELS.register_module()
class MaskedDistillation(BasePretrainer):
    """Predict what a transformer of another modality makes of hidden patches.

    Our own baseline between Point-MAE and ACT, and the simplest honest form of
    a cross-modal teacher. The teacher, pretrained on text or images and
    frozen, reads *all* patches as a sequence of fixed descriptors
    (:class:`FourierDescriptor`; it has never seen points, and nothing is
    tuned for it). The student sees the visible patches and regresses the
    teacher's outputs at the masked ones. ACT replaces the descriptors by a
    learned autoencoder around a prompted teacher.

    Targets are standardised per channel over the batch (running statistics
    in eval mode): outputs of a transformer share a large common part, and
    without this a constant prediction almost solves the cosine loss.

    Args:
        backbone: Config of the student.
        decoder: Config of a decoder ``(visible, centers, mask) -> (B, M, C)``.
        masker: Config of a masker.
        teacher: Config of a teacher with ``forward_tokens``.
        loss: Config of a loss between tokens.
        descriptor: Arguments of :class:`FourierDescriptor`.
        data_preprocessor: See :class:`BasePretrainer`.
        init_cfg: As in mmengine.
    """

    with_levels = False

    def __init__(
        self,
        backbone: dict,
        *,
        decoder: dict,
        masker: dict,
        teacher: dict,
        loss: dict,
        descriptor: dict | None = None,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(backbone, data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.decoder = MODELS.build(decoder)
        self.masker = TASK_UTILS.build(masker)
        self.teacher = MODELS.build(teacher)
        self.distill = MODELS.build(loss)
        dims = self.teacher.embed_dims
        self.descriptor = FourierDescriptor(dims, **(descriptor or {}))
        self.standardize = nn.BatchNorm1d(dims, affine=False)
        self.to_teacher = nn.Linear(self.decoder.embed_dims, dims)

    @torch.no_grad()
    def target(self, patches) -> tuple[Tensor, Tensor]:
        """What the teacher makes of all patches.

        Returns:
            target: (B, G, D) standardised.
            cone: Mean cosine between raw outputs; near 1, all are alike.
        """
        words = self.descriptor(patches.points, patches.centers)
        raw = self.teacher.forward_tokens(words).float()  # (B, G, D)
        cone = F.normalize(raw, dim=-1).mean(dim=(0, 1)).square().sum()
        target = self.standardize(raw.flatten(0, 1)).view_as(raw)
        return target, cone

    def regress(self, points: Tensor) -> tuple[Tensor, Tensor, dict]:
        """Predict the teacher's outputs at the masked patches.

        Returns:
            pred and target, (B, M, D), and what else was computed.
        """
        points = points[..., :3].contiguous()
        patches = self.backbone.group(points)
        target, cone = self.target(patches)
        mask = self.masker(patches.centers, points=points)  # (B, G)
        visible = self.backbone.encode(patches, mask)['tokens']  # (B, V, C)
        masked = self.decoder(visible, patches.centers, mask)  # (B, M, C)
        pred = self.to_teacher(masked)  # (B, M, D)
        return pred, target[mask].view_as(pred), dict(patches=patches, mask=mask, cone=cone)

    def loss(self, points: Tensor, data_samples: list | None) -> dict:
        """Distance of prediction and target, and the cone of the targets."""
        pred, target, more = self.regress(points)
        return dict(loss_distill=self.distill(pred, target), target_cone=more['cone'])

    def predict(self, points: Tensor, data_samples: list | None) -> list:
        """``input`` and ``masked`` points, with the cosine of their patch."""
        pred, target, more = self.regress(points)
        patches = more['patches']
        _, masked = split_by_mask(patches.points + patches.centers[:, :, None], more['mask'])
        return draw_cosine(points, masked, pred, target)
