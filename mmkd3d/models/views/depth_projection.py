"""Views of a cloud along the axes, drawn while training."""

import torch
from torch import Tensor

from mmkd3d.registry import MODELS

from .base import BasePairs, Pictures

NOTHING = 0.5  # grey where the projector draws nothing


@MODELS.register_module()
class DepthProjection(BasePairs):
    """Three pictures of the augmented cloud itself (DC-4; I2P-MAE, 3.1).

    They need no image data. They are not what an image teacher was trained
    on: expect less of them than of renderings.

    Args:
        projector: Config of what draws; default :class:`AxisProjector`.
    """

    random = True  # they follow the augmentation

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
        places: Tensor | None = None,
        view_idx: Tensor | None = None,
    ) -> Pictures:
        """See :class:`BasePairs`.

        Every place is seen in every view: a cloud is drawn through, as
        published.
        """
        points = points[..., :3]
        frame = self.projector.frame(points)
        images = self.projector(points, frame)
        uv = seen = None
        if places is not None:
            uv = self.projector.pixels(places, frame).flip(-1).float()
            seen = torch.ones_like(uv[..., 0], dtype=torch.bool)
        pictures = Pictures(images, images[:, :, 0] != NOTHING, uv, seen)
        if view_idx is None:
            return pictures
        row = torch.arange(len(points), device=points.device)[:, None]
        return Pictures(*(x if x is None else x[row, view_idx] for x in pictures))
