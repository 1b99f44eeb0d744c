"""Masked distillation from a frozen pretrained transformer."""

import math

import torch
import torch.nn as nn
from torch import Tensor

from mmkd3d.registry import MODELS

from ..layers.patches import Patches
from ..layers.transformer import split_by_mask
from .base import BasePretrainer, mean_cosine, show_cosine


class FourierDescriptor(nn.Module):
    """Random Fourier features of a patch and of its centre; nothing is trained.

    The mean of random Fourier features over the points of a patch is a kernel mean embedding: two
    descriptors are similar if and only if the points are distributed similarly (Rahimi and Recht
    2007; Smola et al. 2007). Features of the centre are added. Both are standardised over the
    batch (running statistics in eval mode), since those of the centre vary more.

    Args:
        embed_dims: Length of the descriptor.
        patch_scale: Length within a patch, in units of the cloud, over which the features of a
            point decorrelate.
        place_scale: The same for the centres.
        seed: Seed of the random frequencies, which are not in checkpoints.
    """

    def __init__(
        self, embed_dims: int, *, patch_scale: float = 0.1, place_scale: float = 0.5, seed: int = 0
    ):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        for name, scale in (('patch', patch_scale), ('place', place_scale)):
            frequency = torch.randn(3, embed_dims, generator=generator) / scale
            phase = 2 * math.pi * torch.rand(embed_dims, generator=generator)
            self.register_buffer(f'{name}_freq', frequency, persistent=False)
            self.register_buffer(f'{name}_phase', phase, persistent=False)
        self.patch_norm = nn.BatchNorm1d(embed_dims, affine=False)
        self.place_norm = nn.BatchNorm1d(embed_dims, affine=False)

    def forward(self, patches: Tensor, centers: Tensor) -> Tensor:
        """Describe ``patches`` (B, G, K, 3) at ``centers`` (B, G, 3).

        Returns:
            (B, G, embed_dims).
        """
        shape = torch.cos(patches.float() @ self.patch_freq + self.patch_phase)
        place = torch.cos(centers.float() @ self.place_freq + self.place_phase)
        shape, place = shape.mean(dim=2).flatten(0, 1), place.flatten(0, 1)
        return (self.patch_norm(shape) + self.place_norm(place)).unflatten(0, centers.shape[:2])


@MODELS.register_module()
class MaskedDistillation(BasePretrainer):
    """Predict the outputs of a frozen transformer at the masked patches.

    This is our baseline between Point-MAE and ACT. The teacher is a transformer pretrained on
    text or images. It reads *all* patches as a sequence of fixed descriptors
    (:class:`FourierDescriptor`); it has never seen points, and nothing is tuned for it. ACT
    replaces the descriptors by a learned autoencoder around a prompted teacher.

    Targets are standardised per channel over the batch (running statistics in eval mode): the
    outputs of a transformer have a large common part, and a constant prediction would almost
    solve the cosine loss.

    Args:
        backbone: Config of the student.
        decoder: Config of a decoder ``(visible, centers, mask) -> (B, M, C)``.
        masker: Config of a masker.
        teacher: Config of a teacher with ``forward_tokens``.
        loss: Config of a loss between tokens.
        descriptor: Arguments of :class:`FourierDescriptor`.
        kwargs: Of :class:`BasePretrainer`.
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
        **kwargs,
    ):
        super().__init__(backbone, masker=masker, **kwargs)
        self.check_masks()
        self.decoder = MODELS.build(decoder)
        self.teacher = MODELS.build(teacher)
        self.loss_fn = MODELS.build(loss)
        dims = self.teacher.embed_dims
        self.descriptor = FourierDescriptor(dims, **(descriptor or {}))
        self.standardize = nn.BatchNorm1d(dims, affine=False)
        self.to_teacher = nn.Linear(self.decoder.embed_dims, dims)

    @torch.no_grad()
    def forward_teacher(self, patches: Patches) -> Tensor:
        """Outputs (B, G, D) of the teacher for all patches."""
        tokens = self.descriptor(patches.points, patches.centers)
        return self.teacher.forward_tokens(tokens).float()

    @torch.no_grad()
    def forward_target(self, outputs: Tensor, mask: Tensor) -> Tensor:
        """Standardised outputs (B, M, D) of the teacher at the masked patches."""
        target = self.standardize(outputs.flatten(0, 1)).view_as(outputs)
        return split_by_mask(target, mask)[1]

    def loss(self, points: Tensor, data_samples: list | None) -> dict:
        """Distance between prediction and target; ``target_cone`` is the mean cosine of outputs."""
        patches = self.group(points)  # (B, G, K, 3)
        mask = self.draw_mask(points, patches)  # (B, G), True = masked
        outputs = self.forward_teacher(patches)  # (B, G, D)
        target = self.forward_target(outputs, mask)  # (B, M, D)
        feats = self.forward_encoder(patches, mask)  # tokens (B, V, C)
        tokens = self.forward_decoder(feats, patches, mask)  # (B, M, C)
        pred = self.to_teacher(tokens)  # (B, M, D)
        return dict(loss_distill=self.loss_fn(pred, target), target_cone=mean_cosine(outputs))

    def predict(self, points: Tensor, data_samples: list | None) -> list:
        """Return ``input`` and ``masked`` points with the ``cosine`` of their patches."""
        patches = self.group(points)
        mask = self.draw_mask(points, patches)
        target = self.forward_target(self.forward_teacher(patches), mask)
        feats = self.forward_encoder(patches, mask)
        pred = self.to_teacher(self.forward_decoder(feats, patches, mask))
        return show_cosine(points, patches, mask, pred, target)
