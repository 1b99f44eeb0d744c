"""Dense image features and saliency, projected to points of the cloud."""

from typing import NamedTuple

import torch
from torch import Tensor

from mmkd3d.ops import sample_resized
from mmkd3d.registry import MODELS

from ..views.axis_projector import Frame
from .base import BaseTarget, read_dense


class ViewFeatures(NamedTuple):
    """Features of a teacher for V images of each cloud.

    Attributes:
        feats: (B, V, D, h, w) float32.
        saliency: (B, V, h, w) float32.
        frame: Maps points to pixels of the images.
    """

    feats: Tensor
    saliency: Tensor
    frame: Frame


@MODELS.register_module()
class DenseTarget(BaseTarget):
    """Features and saliency of points, read from views of the cloud (I2P-MAE).

    The augmented clouds of the batch are drawn, so that features cannot be
    cached. Points read the maps of the teacher as if these were resized to
    the images (spec 7); only the requested points are computed.

    Args:
        teacher: Config of a teacher with ``forward_dense``.
        projector: Config of the projector of the clouds; default
            :class:`AxisProjector`.
        precision: See :class:`BaseTarget`.
        images_at_once: Images per forward pass of the teacher, to save
            memory; None: all.

    Attributes:
        map_dims: D, channels of a feature map.
        dims: V * D, features of all views concatenated.
    """

    def __init__(
        self,
        teacher: dict,
        projector: dict | None = None,
        *,
        precision: str = 'auto',
        images_at_once: int | None = None,
    ):
        super().__init__(teacher, precision=precision)
        self.images_at_once = images_at_once
        self.projector = MODELS.build(projector or dict(type='mmkd3d.AxisProjector'))
        self.map_dims = self.teacher.dense_dims
        self.dims = self.projector.num_views * self.map_dims

    @torch.no_grad()
    def forward_views(self, points: Tensor) -> ViewFeatures:
        """Features of the teacher for views of points (B, N, 3)."""
        frame = self.projector.frame(points)
        images = self.projector(points, frame)  # (B, V, 3, H, W)
        maps = read_dense(self, images.flatten(0, 1), self.images_at_once)
        feats, saliency = (
            maps[name].unflatten(0, images.shape[:2]) for name in ('feats', 'saliency')
        )
        return ViewFeatures(feats, saliency, frame)

    @torch.no_grad()
    def features_at(self, views: ViewFeatures, at: Tensor) -> Tensor:
        """Features (B, M, V * D) of points ``at`` (B, M, 3), view by view."""
        return self._read(views.feats, views, at).flatten(2)

    @torch.no_grad()
    def saliency_at(self, views: ViewFeatures, at: Tensor) -> Tensor:
        """Saliency (B, M) of points ``at`` (B, M, 3), averaged over views."""
        return self._read(views.saliency[:, :, None], views, at).mean((2, 3))

    def forward(self, points: Tensor, data_samples: list | None = None) -> Tensor:
        """Features (B, N, V * D) of all points (B, N, 3+F)."""
        points = points[..., :3]
        return self.features_at(self.forward_views(points), points)

    def _read(self, maps: Tensor, views: ViewFeatures, at: Tensor) -> Tensor:
        """Read maps (B, V, C, h, w) at points (B, M, 3): (B, M, V, C)."""
        pixels = self.projector.pixels(at, views.frame)
        return sample_resized(maps, pixels, self.projector.size)
