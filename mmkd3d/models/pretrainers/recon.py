"""ReCon: contrast with reconstruct."""

from typing import NamedTuple

import torch.nn as nn
from torch import Tensor

from mmkd3d.registry import MODELS, TASK_UTILS
from mmkd3d.utils.samples import metainfo

from ..backbones.two_tower import TwoTower
from ..layers.patches import Patches
from .base import BasePretrainer, draw_reconstruction


class Encoded(NamedTuple):
    """A student's view of a batch.

    Attributes:
        tokens: (B, V, C) of the visible patches.
        global_tokens: Name to (B, C).
        mask: (B, G) bool, True = masked.
        patches: What the clouds were cut into.
    """

    tokens: Tensor
    global_tokens: dict
    mask: Tensor
    patches: Patches


@MODELS.register_module()
class ReCon(BasePretrainer):
    """Contrast with reconstruct (ReCon, ICML 2023).

    Three things are learned at once, and none disturbs the others: local
    tokens rebuild the masked patches; each global token but the class token
    answers to a teacher, whose feature of the same shape it predicts; the
    class token, if wanted, tells categories apart. Every loss can be left
    out. The global tokens read the local ones; with ``stop_gradient`` in the
    student their losses end there.

    With a :class:`TwoTower` as the student this is the two-tower ablation.

    Differs from the published code: teachers are in no checkpoint; what they
    say can come from a cache.

    Args:
        backbone: Config of a student with ``global_tokens``.
        targets: For each global token with a teacher, by its name, the config
            of a target ``(points, data_samples) -> (B, D)``; None: this
            branch is off.
        masker: Config of a masker.
        cross_modal: Config of the loss between prediction and target.
        weights: Factor of the cross-modal loss, by name; default 1.
        decoder: Config of a decoder ``(visible, centers, mask) -> (B, M, C)``.
        reconstruct: Config of a loss between clouds; None: nothing is rebuilt
            and there is no decoder.
        contrast: Config of a loss ``(class token, categories)``, or None.
        data_preprocessor: See :class:`BasePretrainer`.
        init_cfg: As in mmengine.

    Raises:
        ValueError: A target or contrast without its global token, nothing to
            learn at all, or by one of two towers, or nothing masked that is
            to be rebuilt.
    """

    with_levels = False

    def __init__(
        self,
        backbone: dict,
        *,
        targets: dict,
        masker: dict,
        cross_modal: dict,
        weights: dict | None = None,
        decoder: dict | None = None,
        reconstruct: dict | None = None,
        contrast: dict | None = None,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(backbone, data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.masker = TASK_UTILS.build(masker)
        targets = {name: cfg for name, cfg in targets.items() if cfg}
        self.weights = {name: 1.0 for name in targets} | (weights or {})
        self._check(targets, reconstruct, contrast)
        self.targets = nn.ModuleDict({name: MODELS.build(cfg) for name, cfg in targets.items()})
        width = self.backbone.embed_dims
        self.proj = nn.ModuleDict(
            {name: nn.Linear(width, target.dims) for name, target in self.targets.items()}
        )
        self.cross_modal = MODELS.build(cross_modal)
        self.decoder = self.to_points = self.chamfer = None
        if reconstruct:
            self.decoder = MODELS.build(decoder)
            self.to_points = nn.Linear(width, 3 * self.backbone.group.group_size)
            self.chamfer = MODELS.build(reconstruct)
        self.contrast = MODELS.build(contrast) if contrast else None
        self.init_projections()

    def init_projections(self) -> None:
        """Normal with mean 0.02 and std 0.01, as published; biases 0."""
        heads = [self.proj] + ([self.contrast] if self.contrast else [])
        for module in (m for head in heads for m in head.modules()):
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, mean=0.02, std=0.01)
                nn.init.zeros_(module.bias)

    def encode(self, points: Tensor, mask: Tensor | None = None) -> Encoded:
        """Show the student the visible patches of points (B, N, 3+F).

        ``mask`` is (B, G) bool; None draws one.
        """
        points = points[..., :3].contiguous()
        patches = self.backbone.group(points)
        if mask is None:
            mask = self.masker(patches.centers, points=points)
        out = self.backbone.encode(patches, mask)
        return Encoded(out['tokens'], out['global_tokens'], mask, patches)

    def rebuild(self, out: Encoded) -> Tensor:
        """Points (B, M, K, 3) of the masked patches, around their centres."""
        masked = self.decoder(out.tokens, out.patches.centers, out.mask)
        return self.to_points(masked).unflatten(2, (-1, 3))

    def losses(self, out: Encoded, targets: dict, categories: list | None) -> dict:
        """All losses.

        Args:
            out: Of ``encode``.
            targets: Name to (B, D).
            categories: Of the B shapes; only for the contrast.
        """
        losses = {}
        if self.chamfer is not None:
            truth = out.patches.points[out.mask]  # (BM, K, 3)
            losses['loss_chamfer'] = self.chamfer(self.rebuild(out).flatten(0, 1), truth)
        for name, target in targets.items():
            pred = self.proj[name](out.global_tokens[name])
            losses[f'loss_{name}'] = self.weights[name] * self.cross_modal(pred, target)
        if self.contrast is not None:
            losses['loss_contrast'] = self.contrast(out.global_tokens['cls'], categories)
        return losses

    def loss(self, points: Tensor, data_samples: list | None) -> dict:
        """Chamfer distance, and a loss for each global token in use."""
        targets = {name: target(points, data_samples) for name, target in self.targets.items()}
        categories = None
        if self.contrast is not None:
            categories = metainfo(
                data_samples, 'category', 'Use a data set with named classes, or set contrast=None.'
            )
        return self.losses(self.encode(points), targets, categories)

    def predict(self, points: Tensor, data_samples: list | None) -> list:
        """For every cloud ``input``, ``visible`` and ``pred`` points."""
        if self.chamfer is None:
            raise ValueError(
                'Nothing is rebuilt with reconstruct=None, so there is no reconstruction to draw.'
            )
        out = self.encode(points)
        return draw_reconstruction(points, out.patches, out.mask, self.rebuild(out).flatten(0, 1))

    def _check(self, targets: dict, reconstruct: dict | None, contrast: dict | None) -> None:
        """``ValueError`` if the parts do not fit together."""
        tokens = self.backbone.global_names
        needed = [*targets, *(['cls'] if contrast else [])]
        lacking = [name for name in needed if name not in tokens]
        if lacking:
            raise ValueError(
                f'No global token for {lacking}: the student has {tokens}. '
                'Name them in backbone.global_tokens.'
            )
        unknown = [name for name in self.weights if name not in targets]
        if unknown:
            raise ValueError(f'Weights for {unknown}, but the targets are {tuple(targets)}.')
        if not (needed or reconstruct):
            raise ValueError('Nothing to learn: give targets, reconstruct or contrast.')
        if isinstance(self.backbone, TwoTower) and not (needed and reconstruct):
            raise ValueError(
                'Each of two towers needs a loss: reconstruct for one, targets'
                ' or contrast for the other. Take the other tower alone.'
            )
        if reconstruct and self.masker.ratio == 0:
            raise ValueError(
                'Nothing is masked, so there is nothing to '
                'rebuild: raise the ratio of the masker or set '
                'reconstruct=None.'
            )
