"""Depth maps of the augmented clouds along the three axes."""

import torch
from torch import Tensor

from mmkd3d.registry import MODELS

from .base import BaseViews, Views, take_views

BACKGROUND = 0.5  # gray where the projector draws nothing


@MODELS.register_module()
class DepthProjection(BaseViews):
    """Three images of the augmented cloud (DC-4; I2P-MAE, section 3.1).

    No image data is needed. The images differ from the training data of image
    teachers: expect weaker features than from renderings.

    Args:
        projector: Config of the projector; default :class:`AxisProjector`.
    """

    random = True  # the images follow the augmentation

    def __init__(self, projector: dict | None = None):
        super().__init__()
        self.projector = MODELS.build(projector or dict(type='mmkd3d.AxisProjector'))
        self.num_views = self.projector.num_views

    @torch.no_grad()
    def forward(
        self,
        points: Tensor,
        data_samples: list | None = None,
        *,
        at: Tensor | None = None,
        view_idx: Tensor | None = None,
    ) -> Views:
        """See :class:`BaseViews`. As published, points never occlude others."""
        points = points[..., :3]
        frame = self.projector.frame(points)
        images = self.projector(points, frame)
        uv = visible = None
        if at is not None:
            uv = self.projector.pixels(at, frame).flip(-1).float()
            visible = torch.ones_like(uv[..., 0], dtype=torch.bool)
        views = Views(images, images[:, :, 0] != BACKGROUND, uv, visible)
        return Views(*(take_views(x, view_idx) for x in views))
