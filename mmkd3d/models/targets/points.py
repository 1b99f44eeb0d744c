"""Dense image features of points, averaged over views of a scene."""

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from mmkd3d.ops import sample_pixels
from mmkd3d.registry import MODELS
from mmkd3d.utils.hashes import row_digests

from .base import BaseTarget, read_dense


class PointTargets(NamedTuple):
    """Targets of M points.

    Attributes:
        feats: (B, M, D) float32, 0 for invisible points.
        visible: (B, M) bool.
    """

    feats: Tensor
    visible: Tensor


@MODELS.register_module()
class PointTarget(BaseTarget):
    """Dense image features of points, averaged over the views that show them.

    The maps of the teacher are read bilinearly at the pixels of the points.
    Only views with visible points go through the teacher.

    With a cache no teacher runs, and its maps are looked up by a hash of the
    image. This is for photographs, such as those of :class:`PosedFrames`.

    Args:
        teacher: Config of a teacher with ``forward_dense``.
        views: Config of a view provider that locates points, such as
            :class:`PosedFrames`.
        precision: See :class:`BaseTarget`.
        images_at_once: Images per forward pass of the teacher, to save
            memory; None: all.
        cache: Folder of a cache, built by ``tools/cache_teacher.py``.

    Attributes:
        dims: D, channels of the maps of the teacher.

    Raises:
        FileNotFoundError, StaleCacheError: See :class:`FeatureCache`.
    """

    def __init__(
        self,
        teacher: dict,
        views: dict,
        *,
        precision: str = 'auto',
        images_at_once: int | None = None,
        cache: str | Path | None = None,
    ):
        super().__init__(teacher, precision=precision)
        self.views = MODELS.build(views)
        self.images_at_once = images_at_once
        self.dims = self.teacher.dense_dims
        self.open_cache(cache)

    @torch.no_grad()
    def forward(self, points: Tensor, data_samples: list, at: Tensor) -> PointTargets:
        """Features of points ``at`` (B, M, 3).

        Args:
            points: (B, N, 3+F), augmented.
            data_samples: B elements with the inputs of the view provider.
            at: (B, M, 3) in the coordinates of ``points``.
        """
        views = self.views(points, data_samples, at=at)
        cloud, view = views.visible.any(-1).nonzero(as_tuple=True)  # (P,)
        B, M, _ = at.shape
        feats = torch.zeros(B * M, self.dims, device=points.device)
        step = self.images_at_once or max(len(cloud), 1)
        for i in range(0, len(cloud), step):
            b, v = cloud[i : i + step], view[i : i + step]
            visible = views.visible[b, v]  # (p, M)
            # K points: the maximum number in one view
            visible, index = visible.int().topk(int(visible.sum(1).amax()))
            uv = views.uv[b, v].take_along_dim(index[..., None], 1)
            read = self._read(views.images[b, v], uv)  # (p, K, D)
            read = read.where(visible[..., None] > 0, 0)
            feats.index_add_(0, (b[:, None] * M + index).flatten(), read.flatten(0, 1))
        count = views.visible.sum(1)  # (B, M)
        feats = feats.unflatten(0, (B, M)) / count.clamp(min=1)[..., None]
        return PointTargets(feats, count > 0)

    def _read(self, images: Tensor, uv: Tensor) -> Tensor:
        """Features (P, K, D) of images (P, 3, H, W) at pixels (P, K, 2)."""
        maps = self.maps(images)
        size = uv.new_tensor(maps.shape[:1:-1])  # columns, rows
        scale = size / uv.new_tensor(images.shape[:1:-1])
        uv = ((uv + 0.5) * scale - 0.5).clamp(min=0).minimum(size - 1)
        return sample_pixels(maps, uv).feats

    @torch.no_grad()
    def maps(self, images: Tensor) -> Tensor:
        """Feature maps (P, D, h, w) of images (P, 3, H, W)."""
        if self.cache is not None:
            maps = torch.from_numpy(self.cache.features[self.cache.rows(image_keys(images))])
            return maps.to(images.device).float()
        return read_dense(self, images, self.images_at_once)['feats']

    def transform(self) -> dict:
        """See :class:`BaseTarget`; images are identified by their hashes."""
        return dict(maps='dense')


def image_keys(images: Tensor) -> list[str]:
    """Hashes of photographs (P, 3, H, W) with 8 bits per channel."""
    digests = row_digests((images * 255).round()).tolist()
    return [f'{digest % 2**64:016x}' for digest in digests]
