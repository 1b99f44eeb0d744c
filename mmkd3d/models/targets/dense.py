"""Dense image features and saliency, projected to points of the cloud."""

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from mmkd3d.ops import sample_resized
from mmkd3d.registry import MODELS

from ..views.axis_projector import Frame
from .base import BaseTarget, describe, read_dense


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

    The augmented clouds of the batch are drawn, so that features can be cached
    for a fixed number of augmented copies only, see :class:`AugmentedCopies`.
    With a cache no teacher runs. Points read the maps of the teacher as if these were resized to
    the images (spec 7); only the requested points are computed.

    Args:
        teacher: Config of a teacher with ``forward_dense``.
        projector: Config of the projector of the clouds; default
            :class:`AxisProjector`.
        precision: See :class:`BaseTarget`.
        images_at_once: Images per forward pass of the teacher, to save
            memory; None: all.
        cache: Folder of a cache, built by ``tools/cache_teacher.py``.
        copies: How the clouds of the cache were augmented, config of
            :class:`AugmentedCopies`; set by ``tools/train.py``.

    Attributes:
        map_dims: D, channels of a feature map.
        dims: V * D, features of all views concatenated.

    Raises:
        FileNotFoundError, StaleCacheError: See :class:`FeatureCache`.
    """

    tolerance = 10

    def __init__(
        self,
        teacher: dict,
        projector: dict | None = None,
        *,
        precision: str = 'auto',
        images_at_once: int | None = None,
        cache: str | Path | None = None,
        copies: dict | None = None,
    ):
        super().__init__(teacher, precision=precision)
        self.images_at_once, self.copies = images_at_once, copies
        self.projector_cfg = projector or dict(type='mmkd3d.AxisProjector')
        self.projector = MODELS.build(self.projector_cfg)
        self.map_dims = self.teacher.dense_dims
        self.dims = self.projector.num_views * self.map_dims
        self.open_cache(cache)

    @property
    def shape(self) -> tuple:
        """(V, D + 1, h, w), see :meth:`read`; runs the teacher."""
        device = next(self.teacher.net.parameters()).device
        return tuple(self.read(torch.zeros(1, 1, 3, device=device)).shape[1:])

    @torch.no_grad()
    def forward_views(self, points: Tensor, data_samples: list | None = None) -> ViewFeatures:
        """Features of the teacher for views of points.

        Args:
            points: (B, N, 3).
            data_samples: B elements; only a cache needs them.
        """
        frame = self.projector.frame(points)
        if self.cache is None:
            maps = self.read(points, frame)
        elif data_samples:
            maps = self.look_up(data_samples, lambda: points, points.device)
        else:
            raise ValueError(
                'The maps of the teacher come from a cache, which knows the training samples '
                'only: set cache=None of the target.'
            )
        return ViewFeatures(maps[:, :, :-1], maps[:, :, -1], frame)

    @torch.no_grad()
    def read(self, points: Tensor, frame: Frame | None = None) -> Tensor:
        """Run the teacher on views of points (B, N, 3).

        Returns:
            (B, V, D + 1, h, w) float32: features, and saliency as the last channel.
        """
        images = self.projector(points, frame)  # (B, V, 3, H, W)
        maps = read_dense(self, images.flatten(0, 1), self.images_at_once)
        maps = torch.cat([maps['feats'], maps['saliency'][:, None]], 1)
        return maps.unflatten(0, images.shape[:2])

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
        return self.features_at(self.forward_views(points, data_samples), points)

    def digests(self, inputs: Tensor) -> Tensor:
        """Mean square of a weighted sum of the coordinates, in millionths.

        Rounding, which differs between machines, changes it by less than
        ``tolerance``; another cloud or another augmentation by more.
        """
        weights = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64, device=inputs.device)
        sums = (inputs.double() * weights).sum(-1)  # (B, N)
        return (sums.square().mean(1) * 1e6).round().long()

    def transform(self) -> dict:
        """See :class:`BaseTarget`."""
        saliency = getattr(self.teacher, 'saliency', None)
        return dict(projector=describe(self.projector_cfg), saliency=saliency)

    def _read(self, maps: Tensor, views: ViewFeatures, at: Tensor) -> Tensor:
        """Read maps (B, V, C, h, w) at points (B, M, 3): (B, M, V, C)."""
        pixels = self.projector.pixels(at, views.frame)
        return sample_resized(maps, pixels, self.projector.size)
