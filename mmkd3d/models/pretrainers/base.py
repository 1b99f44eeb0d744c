"""Base class of the pretraining methods."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import Tensor

from mmkd3d.registry import MODELS, TASK_UTILS

from ..layers.patches import Patches, PointHead
from ..layers.transformer import split_by_mask


@MODELS.register_module()
class BasePretrainer(BaseModel):
    """A student and the losses that train it.

    The student is ``self.backbone``, the only part that is kept afterwards. Every method is
    written with the same steps::

        patches = self.group(points)                         # (B, G, K, 3)
        mask = self.draw_mask(points, patches)               # (B, G), True = masked
        target = self.forward_target(patches, mask)          # (B, M, D)
        feats = self.forward_encoder(patches, mask)          # tokens (B, V, C)
        tokens = self.forward_decoder(feats, patches, mask)  # (B, M, C)
        pred = self.proj(tokens)                             # (B, M, D)
        loss = self.loss_fn(pred, target)

    Each of B clouds of N points has G patches of K points, V visible and M masked. C is the
    width of the student, D that of the target. A method overrides the steps that differ, and
    writes ``forward_target``, ``loss`` and ``predict``. Its ``forward_target`` takes what the
    target is made from, in this order: points, patches, mask, data samples.

    The losses are ``self.loss_fn``, or ``self.loss_<name>`` if there are several, each logged as
    ``loss_<name>``. See ``docs/new_method.md`` for a complete method.

    Args:
        backbone: Config of the student; None if the method trains a teacher and overrides
            ``group``, ``forward_encoder`` and ``extract_feat``.
        masker: Config of a masker, or None.
        data_preprocessor: Default ``dict(type='PointDataPreprocessor')``.
        init_cfg: See mmengine.

    Attributes:
        with_levels: True for methods for hierarchical students, False for those for students
            with patches of one size, None for both.

    Raises:
        ValueError: The method is not for this kind of student, or the ratio of the masker masks
            no patch.
    """

    with_levels: bool | None = None

    def __init__(
        self,
        backbone: dict | None = None,
        *,
        masker: dict | None = None,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(
            MODELS.build(data_preprocessor or dict(type='mmkd3d.PointDataPreprocessor')), init_cfg
        )
        if backbone is not None:
            self.backbone = MODELS.build(backbone)
            self._check_levels()
        self.masker = TASK_UTILS.build(masker) if masker else None
        if self.masker is not None and self.masker.ratio > 0:
            self.check_masks()
        self.decoder = None

    def forward(
        self, inputs: dict, data_samples: list | None = None, mode: str = 'tensor'
    ) -> dict | list | Tensor:
        """Entry point for mmengine.

        Args:
            inputs: ``points`` (B, N, 3+F), stacked by the data preprocessor.
            data_samples: Metadata and labels of the clouds, or None.
            mode: ``'loss'``, ``'predict'`` or ``'tensor'``.

        Returns:
            The result of :meth:`loss` or :meth:`predict`, or the global feature (B, 2C).
        """
        points = inputs['points']
        if mode == 'loss':
            return self.loss(points, data_samples)
        if mode == 'predict':
            with torch.no_grad():
                return self.predict(points, data_samples)
        if mode == 'tensor':
            return self.extract_feat(points, 'global')
        raise ValueError(f"mode is one of 'loss', 'predict', 'tensor', got {mode!r}.")

    def group(self, points: Tensor) -> Patches | Sequence[Patches]:
        """Cut clouds (B, N, 3+F) into patches of coordinates.

        Returns:
            B x G patches; for a hierarchical student those of each level, finest first.
        """
        return self.backbone.group(coordinates(points))

    def draw_mask(self, points: Tensor, patches: Patches | Sequence[Patches]) -> Tensor:
        """Draw which patches are masked, of the top level if there are several.

        Returns:
            (B, G) bool, True = masked, equally many in every cloud.
        """
        top = patches[-1] if self.num_levels else patches
        return self.masker(top.centers, points=coordinates(points))

    def forward_encoder(
        self, patches: Patches | Sequence[Patches], mask: Tensor | None = None
    ) -> dict:
        """Run the student on the visible patches.

        Returns:
            The dict of the backbone's ``encode``, with ``tokens`` (B, V, C).
        """
        return self.backbone.encode(patches, mask)

    def forward_decoder(self, feats: dict, patches: Patches, mask: Tensor) -> Tensor:
        """Predict the tokens (B, M, C) of the masked patches from the visible ones."""
        return self.decoder(feats['tokens'], patches.centers, mask)

    def forward_target(self, *args, **kwargs):
        """Compute what the predictions are compared with."""
        raise NotImplementedError

    def loss(self, points: Tensor, data_samples: list | None) -> dict:
        """Compute the losses, ``loss_<name>``, and monitors that are only logged."""
        raise NotImplementedError

    def predict(self, points: Tensor, data_samples: list | None) -> list:
        """Return a dict of arrays for each cloud, for visualisation."""
        raise NotImplementedError(
            f'{type(self).__name__} has no predict(), so there are no predictions to draw.'
        )

    def extract_feat(
        self, points: Tensor, level: str = 'global', at: Tensor | None = None
    ) -> Tensor:
        """Extract features of the student, see :class:`BasePointBackbone`.

        Raises:
            ValueError: The student is not one of mmkd3d's.
        """
        if not hasattr(self.backbone, 'extract_feat'):
            raise ValueError(
                f'{type(self.backbone).__name__} has no extract_feat(points, level): '
                'only backbones of mmkd3d can be probed.'
            )
        return self.backbone.extract_feat(points, level, at)

    @property
    def num_levels(self) -> int:
        """Levels of a hierarchical student; 0 if its patches have one size."""
        return getattr(self.backbone, 'num_levels', 0)

    def check_masks(self) -> None:
        """Raise ``ValueError`` if the masker masks no patch of a cloud."""
        group = getattr(getattr(self, 'backbone', None), 'group', None)
        coarsest = getattr(group, 'levels', [group])[-1]
        number = getattr(coarsest, 'num_groups', None)
        if number and not self.masker.num_masked(number):
            raise ValueError(
                f'A ratio of {self.masker.ratio} masks none of {number} tokens: give the masker a '
                'higher ratio.'
            )

    def _check_levels(self) -> None:
        if self.with_levels not in (None, self.num_levels > 0):
            wanted = 'hierarchical' if self.with_levels else 'plain'
            other = 'another method' if self.with_levels else 'M2AE or I2PMAE'
            raise ValueError(
                f'{type(self).__name__} is for {wanted} students, got '
                f'{type(self.backbone).__name__}. Use another student, or {other}.'
            )


class Reconstruction(BasePretrainer):
    """Base of the methods that predict the points of masked patches, as Point-MAE does.

    Args:
        args, kwargs: Of :class:`BasePretrainer`.
    """

    def build_decoder(self, decoder: dict | None) -> None:
        """Build ``decoder`` and the head ``to_points``.

        Raises:
            ValueError: There is no decoder, nothing is masked, or the student is hierarchical.
        """
        if self.num_levels:
            raise ValueError(
                f'Only patches of one size are reconstructed, and {type(self.backbone).__name__} '
                'is hierarchical: use another student, or leave the Chamfer loss out.'
            )
        num_groups = self.backbone.group.num_groups
        if not decoder or self.masker is None or not self.masker.num_masked(num_groups):
            raise ValueError(
                'Masked patches are reconstructed by a decoder, got '
                f'decoder={decoder} and masker={self.masker} for {num_groups} patches: '
                'give a decoder and a masker with a higher ratio, or leave the Chamfer loss out.'
            )
        self.decoder = MODELS.build(decoder)
        self.to_points = PointHead(self.decoder.embed_dims, self.backbone.group.group_size)

    @staticmethod
    def _names(targets: dict, losses: dict) -> list[str]:
        """Names of the targets in use: those whose config and loss are not None."""
        alone = [n for n in targets if targets[n] and n not in losses]
        alone += [n for n in losses if losses[n] and n not in targets]
        if alone:
            raise ValueError(
                f'Each target needs a loss of the same name, got only one of them for {alone}: '
                f'targets are {tuple(targets)}, losses {tuple(losses)}.'
            )
        return [name for name in targets if targets[name] and losses.get(name)]

    def forward_target(self, patches: Patches, mask: Tensor) -> Tensor:
        """Points (BM, K, 3) of the masked patches, relative to their centres."""
        return split_by_mask(patches.points, mask)[1].flatten(0, 1)

    def predict(self, points: Tensor, data_samples: list | None) -> list:
        """Return ``input``, ``visible`` and ``pred`` points of each cloud."""
        if self.decoder is None:
            raise ValueError('Without a Chamfer loss nothing is reconstructed.')
        patches = self.group(points)
        mask = self.draw_mask(points, patches)
        feats = self.forward_encoder(patches, mask)
        pred = self.to_points(self.forward_decoder(feats, patches, mask))
        return show_reconstruction(points, patches, mask, pred)


def coordinates(points: Tensor) -> Tensor:
    """Coordinates (B, N, 3) of points (B, N, 3+F)."""
    return points[..., :3].contiguous()


def mean_cosine(feats: Tensor) -> Tensor:
    """Mean cosine between all features (B, G, D) of a batch.

    Near 1, they are almost alike, and a constant prediction almost solves a cosine loss.
    """
    return F.normalize(feats, dim=-1).mean(dim=(0, 1)).square().sum()


def show_reconstruction(points: Tensor, patches: Patches, mask: Tensor, pred: Tensor) -> list:
    """Collect ``input``, ``visible`` and ``pred`` points of each cloud.

    Args:
        points: (B, N, 3+F).
        patches: B x G patches.
        mask: (B, G) bool, True = masked.
        pred: (L, K, 3) of the L masked patches of all clouds, relative to their centres.
    """
    whole = patches.points + patches.centers[:, :, None]
    pred = pred + patches.centers[mask][:, None]
    return [
        dict(
            input=points[i, :, :3].cpu(),
            visible=whole[i, ~mask[i]].flatten(0, 1).cpu(),
            pred=rows.flatten(0, 1).cpu(),
        )
        for i, rows in enumerate(pred.split(mask.sum(dim=1).tolist()))
    ]


def show_cosine(
    points: Tensor, patches: Patches, mask: Tensor, pred: Tensor, target: Tensor
) -> list:
    """Collect ``input`` and ``masked`` points of each cloud, with the ``cosine`` of each.

    Args:
        points: (B, N, 3+F).
        patches: B x G patches.
        mask: (B, G) bool, the patches that are predicted.
        pred, target: (B, M, D) of these patches.
    """
    whole = patches.points + patches.centers[:, :, None]
    cosine = F.cosine_similarity(pred, target, dim=-1)  # (B, M)
    return [
        dict(
            input=points[i, :, :3].cpu(),
            masked=whole[i, mask[i]].flatten(0, 1).cpu(),
            cosine=cosine[i].repeat_interleave(whole.shape[2]).cpu(),
        )
        for i in range(len(points))
    ]
