"""What an image teacher says of every point of a shape."""

from typing import NamedTuple

import torch
from torch import Tensor

from mmkd3d.ops import sample_resized
from mmkd3d.registry import MODELS

from ..views.axis_projector import Frame
from .base import BaseTarget


class Seen(NamedTuple):
    """What a teacher made of V pictures of each cloud: feats (B, V, D, h, w)
    and saliency (B, V, h, w), float32; the frame says what lies where."""

    feats: Tensor
    saliency: Tensor
    frame: Frame


@MODELS.register_module()
class DenseTarget(BaseTarget):
    """Features and saliency of places in pictures of the clouds (I2P-MAE).

    The clouds of the batch are drawn as they are, augmented, so that no cache
    can hold what the teacher says. Its maps are brought back to positions in
    space as if they were resized to the pictures (spec 7); only what is asked
    for is read.

    Args:
        teacher: Config of a teacher with ``forward_dense``.
        projector: Config of what draws the clouds, such as
            :class:`AxisProjector`.
        precision: See :class:`BaseTarget`.
        images_at_once: How many pictures the teacher gets at a time, to save
            memory; None: those of all clouds.

    Attributes:
        map_dims: D, channels of a map of features.
        dims: V * D, features of all views side by side.
    """

    def __init__(
        self,
        teacher: dict,
        projector: dict | None = None,
        *,
        precision: str = 'fp32',
        images_at_once: int | None = None,
    ):
        super().__init__(teacher, precision=precision)
        self.images_at_once = images_at_once
        self.projector = MODELS.build(projector or dict(type='mmkd3d.AxisProjector'))
        self.map_dims = self.teacher.dense_dims
        self.dims = self.projector.num_views * self.map_dims

    @torch.no_grad()
    def see(self, points: Tensor) -> Seen:
        """Show points (B, N, 3) to the teacher."""
        frame = self.projector.frame(points)
        images = self.projector(points, frame)  # (B, V, 3, H, W)
        some = images.flatten(0, 1)
        with self.teacher_precision(points.device):
            maps = [
                self.teacher.forward_dense(x) for x in some.split(self.images_at_once or len(some))
            ]
        feats, saliency = (
            torch.cat([m[name].float() for m in maps]).unflatten(0, images.shape[:2])
            for name in ('feats', 'saliency')
        )
        return Seen(feats, saliency, frame)

    @torch.no_grad()
    def features_at(self, seen: Seen, positions: Tensor) -> Tensor:
        """Features (B, M, V * D) at positions (B, M, 3), view by view."""
        return self._read(seen.feats, seen, positions).flatten(2)

    @torch.no_grad()
    def saliency_at(self, seen: Seen, positions: Tensor) -> Tensor:
        """Saliency (B, M) at positions (B, M, 3), averaged over the views."""
        maps = seen.saliency[:, :, None]
        return self._read(maps, seen, positions).mean((2, 3))

    def forward(self, points: Tensor, data_samples: list | None = None) -> Tensor:
        """Features (B, N, V * D) of the points (B, N, 3+F) themselves."""
        points = points[..., :3]
        return self.features_at(self.see(points), points)

    def _read(self, maps: Tensor, seen: Seen, positions: Tensor) -> Tensor:
        """Maps (B, V, C, h, w) at positions (B, M, 3): (B, M, V, C)."""
        pixels = self.projector.pixels(positions, seen.frame)
        return sample_resized(maps, pixels, self.projector.size)
