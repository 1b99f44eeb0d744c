"""ReCon: contrast with reconstruct."""

import torch.nn as nn
from torch import Tensor

from mmkd3d.registry import MODELS
from mmkd3d.utils.samples import metainfo

from .base import Reconstruction


@MODELS.register_module()
class ReCon(Reconstruction):
    """Contrast with reconstruct (ReCon, ICML 2023).

    Three losses train the student: the local tokens reconstruct the masked patches, as in
    Point-MAE; global tokens predict the feature of a teacher each, for example of images and of
    text; the class token separates categories. The global tokens read the local ones; with
    ``stop_gradient`` in the student, their losses do not change the local tokens.

    With a :class:`TwoTower` as the student this is the two-tower ablation.

    Differs from the published code: teachers are in no checkpoint, and their features can come
    from a cache.

    Args:
        backbone: Config of a student with ``global_tokens``.
        targets: For each global token that predicts a teacher's feature, the config of a target
            ``(points, data_samples) -> (B, D)``.
        masker: Config of a masker.
        losses: Configs of ``chamfer``, a loss between point clouds; for each target a loss
            between features, under its name; ``contrast``, a loss of class token and categories.
            None switches a loss off, with its target or decoder.
        decoder: Config of a decoder ``(visible, centers, mask) -> (B, M, C)``.
        kwargs: Of :class:`BasePretrainer`.

    Raises:
        ValueError: A loss lacks its target or global token, the student or a tower of it has no
            loss, or nothing is masked that could be reconstructed.
    """

    with_levels = False

    def __init__(
        self,
        backbone: dict,
        *,
        targets: dict,
        masker: dict,
        losses: dict,
        decoder: dict | None = None,
        **kwargs,
    ):
        super().__init__(backbone, masker=masker, **kwargs)
        losses, targets = dict(losses), dict(targets)
        chamfer, contrast = losses.pop('chamfer', None), losses.pop('contrast', None)
        names = self._names(targets, losses)
        self._check(names, chamfer, contrast)
        self.targets = nn.ModuleDict({name: MODELS.build(targets[name]) for name in names})
        width = self.backbone.embed_dims
        self.proj = nn.ModuleDict(
            {name: nn.Linear(width, target.dims) for name, target in self.targets.items()}
        )
        self.loss_fns = nn.ModuleDict({name: MODELS.build(losses[name]) for name in names})
        self.loss_chamfer = None
        if chamfer:
            self.build_decoder(decoder)
            self.loss_chamfer = MODELS.build(chamfer)
        self.contrast = MODELS.build(contrast) if contrast else None
        self.init_projections()

    def init_projections(self) -> None:
        """Initialise as published: weights normal with mean 0.02 and std 0.01, biases 0."""
        heads = [self.proj] + ([self.contrast] if self.contrast else [])
        for module in (m for head in heads for m in head.modules()):
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, mean=0.02, std=0.01)
                nn.init.zeros_(module.bias)

    def forward_teachers(self, points: Tensor, data_samples: list) -> dict:
        """Feature (B, D) of each teacher, by the name of its global token."""
        return {name: target(points, data_samples) for name, target in self.targets.items()}

    def loss(self, points: Tensor, data_samples: list | None) -> dict:
        """Chamfer distance, and a loss for each global token that has one."""
        patches = self.group(points)  # (B, G, K, 3)
        features = self.forward_teachers(points, data_samples)  # (B, D) each
        mask = self.draw_mask(points, patches)  # (B, G), True = masked
        feats = self.forward_encoder(patches, mask)  # tokens (B, V, C), global_tokens (B, C)
        losses = {}
        if self.loss_chamfer is not None:
            tokens = self.forward_decoder(feats, patches, mask)  # (B, M, C)
            target = self.forward_target(patches, mask)  # (BM, K, 3)
            losses['loss_chamfer'] = self.loss_chamfer(self.to_points(tokens), target)
        for name, target in features.items():
            pred = self.proj[name](feats['global_tokens'][name])  # (B, D)
            losses[f'loss_{name}'] = self.loss_fns[name](pred, target)
        if self.contrast is not None:
            categories = metainfo(
                data_samples,
                'category',
                'Use a data set with named classes, or set losses.contrast=None.',
            )
            losses['loss_contrast'] = self.contrast(feats['global_tokens']['cls'], categories)
        return losses

    def _check(self, names: list[str], chamfer: dict | None, contrast: dict | None) -> None:
        """Raise ``ValueError`` if the parts do not fit together."""
        tokens = self.backbone.global_names
        needed = [*names, *(['cls'] if contrast else [])]
        lacking = [name for name in needed if name not in tokens]
        if lacking:
            raise ValueError(
                f'No global token for {lacking}: the student has {tokens}. '
                'Name them in backbone.global_tokens.'
            )
        if not (needed or chamfer):
            raise ValueError('Nothing to learn: give losses.')
        if self.backbone.num_towers > 1 and not (needed and chamfer):
            raise ValueError(
                'Each of two towers needs a loss: chamfer for one, a target or contrast for the '
                'other. Use the other tower alone.'
            )
