"""What an image teacher says of places in pictures of a scene."""

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from mmkd3d.ops import sample_pixels
from mmkd3d.registry import MODELS
from mmkd3d.utils.digest import row_digests

from ..teachers.cache import FeatureCache
from .base import BaseTarget


class PlaceFeatures(NamedTuple):
    """feats (B, M, D) float32 of places, 0 where not seen (B, M) bool."""

    feats: Tensor
    seen: Tensor


@MODELS.register_module()
class PlaceTarget(BaseTarget):
    """Dense features of pictures at places, averaged over the pictures.

    Features are read from the teacher's maps at the pixels of the places,
    bilinearly, and averaged over the pictures that show a place. The teacher
    is shown only pictures in which some place is seen.

    With a cache no teacher runs: its maps are looked up by a checksum of the
    picture. That is for photographs, such as those of :class:`PosedFrames`.

    Args:
        teacher: Config of a teacher with ``forward_dense``.
        pairs: Config of a provider of pictures that finds places in them,
            such as :class:`PosedFrames`.
        precision: See :class:`BaseTarget`.
        images_at_once: How many pictures the teacher gets at a time, to save
            memory; None: all.
        cache: Folder of a cache, made by ``tools/cache_teacher.py``.

    Attributes:
        dims: D, channels of the teacher's maps.

    Raises:
        FileNotFoundError: There is no cache; see :class:`FeatureCache` for
            what else may be wrong with it.
    """

    def __init__(
        self,
        teacher: dict,
        pairs: dict,
        *,
        precision: str = 'fp32',
        images_at_once: int | None = None,
        cache: str | Path | None = None,
    ):
        super().__init__(teacher, precision=precision)
        self.pairs = MODELS.build(pairs)
        self.images_at_once = images_at_once
        self.dims = self.teacher.dense_dims
        self.cache = None
        if cache is not None:
            self.cache = FeatureCache(cache, self.identity())
            self.teacher = None

    @torch.no_grad()
    def forward(self, points: Tensor, data_samples: list, places: Tensor) -> PlaceFeatures:
        """What the teacher says of places (B, M, 3) of the clouds.

        Args:
            points: (B, N, 3+F) of the batch, augmented.
            data_samples: B elements with what the provider reads.
            places: (B, M, 3) in the coordinates of the points.
        """
        pictures = self.pairs(points, data_samples, places=places)
        cloud, view = pictures.seen.any(-1).nonzero(as_tuple=True)  # (P,)
        B, M, _ = places.shape
        feats = torch.zeros(B * M, self.dims, device=points.device)
        some = self.images_at_once or max(len(cloud), 1)
        for i in range(0, len(cloud), some):
            b, v = cloud[i : i + some], view[i : i + some]
            seen = pictures.seen[b, v]  # (p, M)
            # as many places as one picture shows at most
            seen, index = seen.int().topk(int(seen.sum(1).amax()))
            uv = pictures.uv[b, v].take_along_dim(index[..., None], 1)
            read = self._read(pictures.images[b, v], uv)
            read = read.where(seen[..., None] > 0, 0)
            feats.index_add_(0, (b[:, None] * M + index).flatten(), read.flatten(0, 1))
        count = pictures.seen.sum(1)  # (B, M)
        feats = feats.unflatten(0, (B, M)) / count.clamp(min=1)[..., None]
        return PlaceFeatures(feats, count > 0)

    def _read(self, images: Tensor, uv: Tensor) -> Tensor:
        """Features (P, K, D) of images (P, 3, H, W) at pixels (P, K, 2)."""
        maps = self.maps(images)
        size = uv.new_tensor(maps.shape[:1:-1])  # columns, rows
        scale = size / uv.new_tensor(images.shape[:1:-1])
        uv = ((uv + 0.5) * scale - 0.5).clamp(min=0).minimum(size - 1)
        return sample_pixels(maps, uv).feats

    @torch.no_grad()
    def maps(self, images: Tensor) -> Tensor:
        """The teacher's maps (P, D, h, w) of images (P, 3, H, W)."""
        if self.cache is not None:
            rows = self.cache.rows(picture_keys(images))
            maps = torch.from_numpy(self.cache.features[rows])
            return maps.to(images.device).float()
        with self.teacher_precision(images.device):
            return self.teacher.forward_dense(images)['feats'].float()

    def transform(self) -> dict:
        """See :class:`BaseTarget`: pictures are told apart by themselves."""
        return dict(maps='dense')


def picture_keys(images: Tensor) -> list[str]:
    """Checksums of photographs (P, 3, H, W), which have 8 bits a channel."""
    digests = row_digests((images * 255).round()).tolist()
    return [f'{digest % 2**64:016x}' for digest in digests]
