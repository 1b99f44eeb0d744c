"""What an image teacher says of places in pictures of a scene."""
from typing import NamedTuple, Optional

import torch
from torch import Tensor

from mmkd3d.ops import sample_pixels
from mmkd3d.registry import MODELS

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

    Args:
        teacher: Config of a teacher with ``forward_dense``.
        pairs: Config of a provider of pictures that finds places in them,
            such as :class:`PosedFrames`.
        precision: See :class:`BaseTarget`.
        images_at_once: How many pictures the teacher gets at a time, to save
            memory; None: all.

    Attributes:
        dims: D, channels of the teacher's maps.
    """

    def __init__(self,
                 teacher: dict,
                 pairs: dict,
                 *,
                 precision: str = 'fp32',
                 images_at_once: Optional[int] = None):
        super().__init__(teacher, precision=precision)
        self.pairs = MODELS.build(pairs)
        self.images_at_once = images_at_once
        self.dims = self.teacher.dense_dims

    @torch.no_grad()
    def forward(self, points: Tensor, data_samples: list,
                places: Tensor) -> PlaceFeatures:
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
            b, v = cloud[i:i + some], view[i:i + some]
            seen = pictures.seen[b, v]  # (p, M)
            # as many places as one picture shows at most
            seen, index = seen.int().topk(int(seen.sum(1).amax()))
            uv = pictures.uv[b, v].take_along_dim(index[..., None], 1)
            read = self._read(pictures.images[b, v], uv)
            read = read.where(seen[..., None] > 0, 0)
            feats.index_add_(0, (b[:, None] * M + index).flatten(),
                             read.flatten(0, 1))
        count = pictures.seen.sum(1)  # (B, M)
        feats = feats.unflatten(0, (B, M)) / count.clamp(min=1)[..., None]
        return PlaceFeatures(feats, count > 0)

    def _read(self, images: Tensor, uv: Tensor) -> Tensor:
        """Features (P, K, D) of images (P, 3, H, W) at pixels (P, K, 2)."""
        with self.teacher_precision(images.device):
            maps = self.teacher.forward_dense(images)['feats']
        size = uv.new_tensor(maps.shape[:1:-1])  # columns, rows
        scale = size / uv.new_tensor(images.shape[:1:-1])
        uv = ((uv + 0.5) * scale - 0.5).clamp(min=0).minimum(size - 1)
        return sample_pixels(maps, uv).feats
