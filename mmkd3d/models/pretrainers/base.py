"""What every pretraining method has in common."""

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import Tensor

from mmkd3d.registry import MODELS

from ..layers.patches import Patches
from ..layers.pyramid import PyramidGroup


class BasePretrainer(BaseModel):
    """A student and what teaches it.

    The student is ``self.backbone``: the only part that is kept afterwards.

    Args:
        backbone: Config of the student; None for a method that trains a
            teacher and writes its own ``extract_feat``.
        data_preprocessor: Default ``dict(type='PointDataPreprocessor')``.
        init_cfg: As in mmengine.

    Attributes:
        with_levels: Whether the method is for students with levels of
            different resolution, True, or without; None: for both.

    Raises:
        ValueError: A student of the other kind.
    """

    with_levels: bool | None = None

    def __init__(
        self,
        backbone: dict | None = None,
        *,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(
            MODELS.build(data_preprocessor or dict(type='mmkd3d.PointDataPreprocessor')), init_cfg
        )
        if backbone is not None:
            self.backbone = MODELS.build(backbone)
            self._check_levels()

    def forward(
        self, inputs: dict, data_samples: list | None = None, mode: str = 'tensor'
    ) -> dict | list | Tensor:
        """mmengine's entry.

        Args:
            inputs: ``points`` (B, N, 3+F), stacked by the preprocessor.
            data_samples: Their metadata and labels, or None.
            mode: ``'loss'``: dict of losses and monitors. ``'predict'``: a
                list with, for every cloud, what can be drawn. ``'tensor'``:
                the global feature, (B, 2C).
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

    def extract_feat(
        self, points: Tensor, level: str = 'global', at: Tensor | None = None
    ) -> Tensor:
        """Features of the student, see :class:`BasePointBackbone`.

        ``ValueError`` if it is none of ours.
        """
        if not hasattr(self.backbone, 'extract_feat'):
            raise ValueError(
                f'{type(self.backbone).__name__} has no extract_feat(points, '
                'level): only students of mmkd3d can be probed.'
            )
        return self.backbone.extract_feat(points, level, at)

    def loss(self, points: Tensor, data_samples: list | None) -> dict:
        """Losses (names start with ``loss_``) and monitors."""
        raise NotImplementedError

    def predict(self, points: Tensor, data_samples: list | None) -> list:
        """For every cloud a dict of arrays to draw."""
        raise NotImplementedError

    def _check_levels(self) -> None:
        """``ValueError`` if the student is not of the kind for this method."""
        group = getattr(self.backbone, 'group', None)
        found = isinstance(group, PyramidGroup)
        if self.with_levels not in (None, found):
            fitting = 'with levels, such as PointM2AE' if self.with_levels else 'without levels'
            raise ValueError(
                f'{type(self).__name__} is for students {fitting}, got '
                f'{type(self.backbone).__name__}. Take another student, or '
                f'{"another method" if self.with_levels else "M2AE, I2PMAE"}.'
            )


def draw_reconstruction(points: Tensor, patches: Patches, mask: Tensor, pred: Tensor) -> list:
    """For every cloud ``input``, ``visible`` and ``pred`` points.

    Args:
        points: (B, N, 3+F).
        patches: What the clouds were cut into.
        mask: (B, G) bool, True = masked.
        pred: (L, K, 3) of the masked patches of all clouds, relative to their
            centres.
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


def draw_cosine(points: Tensor, masked: Tensor, pred: Tensor, target: Tensor) -> list:
    """For every cloud ``input``, ``masked`` points and ``cosine`` of each.

    Args:
        points: (B, N, 3+F).
        masked: (B, M, K, 3) points of the patches that were predicted.
        pred, target: (B, M, D) of these patches.
    """
    cosine = F.cosine_similarity(pred, target, dim=-1)  # (B, M)
    cosine = cosine[..., None].expand(masked.shape[:3])
    return [
        dict(
            input=points[i, :, :3].cpu(),
            masked=masked[i].flatten(0, 1).cpu(),
            cosine=cosine[i].flatten().cpu(),
        )
        for i in range(len(points))
    ]
