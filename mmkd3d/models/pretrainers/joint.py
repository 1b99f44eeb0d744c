"""Joint pretraining: reconstruction, teachers and free labels train one student."""

from collections.abc import Mapping

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mmkd3d.registry import MODELS
from mmkd3d.utils.samples import metainfo

from ..layers.patches import Patches
from .base import Reconstruction

# Free labels: the field of the data samples that holds each.
LABELS = dict(category='gt_label', parts='gt_parts', symmetry='gt_symmetry')


@MODELS.register_module()
class JointPretraining(Reconstruction):
    """One student learns from reconstruction, teachers and free labels together (ours).

    The student reads each cloud twice: its visible patches, from which a decoder predicts the
    points of the masked ones, as in :class:`PointMAE`; and the whole cloud. From the whole cloud,
    linear layers predict

    - the feature of each teacher, standardised, from the pooled tokens (as in :class:`ReCon`, but
      without global tokens and without a stopped gradient);
    - ``category`` and ``symmetry`` from the pooled tokens;
    - the ``parts`` label of its centre, from each token.

    Pooled tokens are their mean and their maximum, which is what the probes read. The labels cost
    nothing where the shapes are made by a program (:class:`ToyShapes`).

    Args:
        backbone: Config of a student with patches of one size.
        decoder: Config of a decoder ``(visible, centers, mask) -> (B, M, C)``.
        masker: Config of a masker.
        losses: ``chamfer``, config of a loss between point clouds; under the name of each target
            the config of a loss between features. None switches a target off.
        targets: Configs of targets ``(points, data_samples) -> (B, D)``, by name, or None.
        labels: Number of classes of each free label to learn, of ``category``, ``parts`` and
            ``symmetry`` (the number of symmetries, 3). None switches a label off.
        label_weight: Factor of the loss of each label.
        kwargs: Of :class:`BasePretrainer`.

    Raises:
        ValueError: No Chamfer loss, a target without a loss of its name or the reverse, an
            unknown label, or the parts do not fit together.
    """

    with_levels = False

    def __init__(
        self,
        backbone: dict,
        *,
        decoder: dict,
        masker: dict,
        losses: dict,
        targets: dict | None = None,
        labels: Mapping[str, int | None] | None = None,
        label_weight: float = 0.1,
        **kwargs,
    ):
        super().__init__(backbone, masker=masker, **kwargs)
        losses, targets = dict(losses), dict(targets or {})
        numbers = {name: number for name, number in (labels or {}).items() if number}
        chamfer = losses.pop('chamfer', None)
        names = self._names(targets, losses)
        self._check(names, chamfer, numbers)
        self.build_decoder(decoder)
        self.loss_chamfer = MODELS.build(chamfer)
        self.targets = nn.ModuleDict({name: MODELS.build(targets[name]) for name in names})
        self.loss_fns = nn.ModuleDict({name: MODELS.build(losses[name]) for name in names})
        self.standardize = nn.ModuleDict(
            {name: nn.BatchNorm1d(t.dims, affine=False) for name, t in self.targets.items()}
        )
        width = self.backbone.embed_dims
        self.proj = nn.ModuleDict(
            {name: nn.Linear(2 * width, target.dims) for name, target in self.targets.items()}
        )
        self.classify = nn.ModuleDict(
            {
                name: nn.Linear(width if name == 'parts' else 2 * width, number)
                for name, number in numbers.items()
            }
        )
        self.label_weight = label_weight

    def loss(self, points: Tensor, data_samples: list | None) -> dict:
        """Chamfer distance, and a loss for each teacher and each label."""
        patches = self.group(points)  # (B, G, K, 3)
        mask = self.draw_mask(points, patches)  # (B, G), True = masked
        visible = self.forward_encoder(patches, mask)  # tokens (B, V, C)
        tokens = self.forward_decoder(visible, patches, mask)  # (B, M, C)
        losses = dict(
            loss_chamfer=self.loss_chamfer(
                self.to_points(tokens), self.forward_target(patches, mask)
            )
        )
        tokens = self.forward_encoder(patches)['tokens']  # (B, G, C) of the whole cloud
        pooled = torch.cat([tokens.mean(1), tokens.amax(1)], dim=1)  # (B, 2C)
        for name, feature in self.forward_teachers(points, data_samples).items():
            losses[f'loss_{name}'] = self.loss_fns[name](self.proj[name](pooled), feature)
        for name, layer in self.classify.items():
            labels = self.forward_labels(name, points, patches, data_samples)
            logits = layer(tokens if name == 'parts' else pooled).float()
            if name == 'symmetry':
                loss = F.binary_cross_entropy_with_logits(logits, labels.float())
            else:
                loss = F.cross_entropy(logits.flatten(0, -2), labels.flatten())
            losses[f'loss_{name}'] = self.label_weight * loss
        return losses

    @torch.no_grad()
    def forward_teachers(self, points: Tensor, data_samples: list) -> dict:
        """Standardised feature (B, D) of each teacher."""
        return {
            name: self.standardize[name](target(points, data_samples).float())
            for name, target in self.targets.items()
        }

    def forward_labels(
        self, name: str, points: Tensor, patches: Patches, data_samples: list
    ) -> Tensor:
        """A free label: ``category`` (B,), ``symmetry`` (B, 3), or ``parts`` (B, G) of the centres.

        Raises:
            ValueError: Some samples lack the label, or points lack theirs.
        """
        hint = f'Use ToyShapes, or leave {name} out of labels.'
        found = metainfo(data_samples, LABELS[name], hint)
        if name != 'parts':
            return torch.stack(found)
        numbers = {len(parts) for parts in found}
        if numbers != {points.shape[1]}:
            raise ValueError(
                f'Clouds of {points.shape[1]} points have gt_parts of {sorted(numbers)}: sample '
                'points in the pipeline, where labels are sampled with them, or leave parts out '
                'of labels.'
            )
        return torch.stack(found).gather(1, patches.center_idx)

    def check_classes(self, metainfo: Mapping) -> None:
        """Check the numbers of ``labels`` against the ``metainfo`` of a data set.

        Raises:
            ValueError: There are more classes or parts than outputs.
        """
        parts = [part for ids in (metainfo.get('parts') or {}).values() for part in ids]
        needed = dict(category=len(metainfo.get('classes') or ()), parts=max(parts, default=-1) + 1)
        for name, number in needed.items():
            layer = self.classify[name] if name in self.classify else None
            if layer is not None and layer.out_features < number:
                raise ValueError(
                    f'The data set has {number} labels of {name}, the model {layer.out_features}: '
                    f'set model.labels.{name}={number}.'
                )

    @staticmethod
    def _check(names: list[str], chamfer: dict | None, labels: Mapping) -> None:
        """Raise ``ValueError`` if the parts do not fit together."""
        if not chamfer:
            raise ValueError('losses.chamfer is missing, JointPretraining always reconstructs.')
        unknown = set(labels) - set(LABELS)
        if unknown:
            raise ValueError(f'labels are some of {tuple(LABELS)}, got {sorted(unknown)}.')
        if labels.get('symmetry', 3) != 3:
            raise ValueError(f'labels.symmetry is 3, got {labels["symmetry"]}.')
        if not (names or labels):
            raise ValueError(
                'Only reconstruction is left: give targets or labels, or use PointMAE.'
            )
