"""What an image teacher says of pictures and of regions in them."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from mmkd3d.registry import MODELS

from ..teachers.identity import describe
from ..views.base import Pictures
from .pictures import PictureTarget
from .regions import find_regions

COVERED = 0.25  # share of a token's square that makes it foreground


@MODELS.register_module()
class ConceptTargets(PictureTarget):
    """Meaning of whole pictures and of K regions in each (DC-5).

    Regions are clusters of the teacher's tokens in the foreground: where the
    picture shows the cloud, if that is known, else where the teacher looks
    more than on average. The feature of a region is the mean of its tokens.
    Where there are fewer than K regions, that of the picture is repeated.

    Features are as the teacher gives them, neither standardised nor of unit
    length.

    Args:
        teacher: Config of an image teacher whose tokens lie in the space of
            its global feature (CLIP: ``projection=True``).
        pairs: Config of a provider of pictures, see :class:`BasePairs`;
            default :class:`RenderedViews` of pictures that the samples bring.
        num_views: V, views of each sample in a step, drawn anew out of those
            that there are; None: all.
        num_regions: K; 0 for none.
        cache: Folder of a cache, see :class:`PictureTarget`. It holds all
            views.
        precision: See :class:`BaseTarget`.
        images_at_once: How many pictures the teacher gets at a time, to save
            memory; None: those of all samples.

    Attributes:
        dims: Width D of the features.

    Raises:
        ValueError: More views than there are, a teacher whose tokens lie in
            another space, or a number that is too small.
    """

    def __init__(
        self,
        teacher: dict,
        pairs: dict | None = None,
        *,
        num_views: int | None = None,
        num_regions: int = 3,
        cache: str | Path | None = None,
        precision: str = 'fp32',
        images_at_once: int | None = None,
    ):
        super().__init__(teacher, pairs or dict(type='mmkd3d.RenderedViews'), precision=precision)
        there = self.pairs.num_views
        if num_views is not None and not 1 <= num_views <= there:
            raise ValueError(
                f'num_views={num_views} of {there} that '
                f'{type(self.pairs).__name__} gives: raise its number, or '
                'lower this one.'
            )
        if num_regions < 0 or (images_at_once is not None and images_at_once < 1):
            raise ValueError(
                'num_regions is 0 or more, images_at_once 1 or more, or None; '
                f'got {num_regions} and {images_at_once}.'
            )
        widths = self.teacher.global_dims, self.teacher.dense_dims
        if num_regions and widths[0] != widths[1]:
            raise ValueError(
                'Regions are compared with whole pictures, but the global '
                f'feature of {type(self.teacher).__name__} has {widths[0]} '
                f'dimensions and its tokens {widths[1]}: give a CLIP teacher '
                'projection=True, choose another teacher, or set '
                'num_regions=0.'
            )
        self.views_per_step = num_views or there
        self.num_regions = num_regions
        self.images_at_once = images_at_once
        self.dims = self.teacher.global_dims
        self.shape = (there, 1 + num_regions, self.dims)
        self.use_cache(cache)

    @torch.no_grad()
    def forward(
        self, points: Tensor, data_samples: list | None, view_idx: Tensor | None = None
    ) -> Tensor:
        """Features (B, V, 1 + K, D), those of whole pictures first.

        Args:
            points: (B, N, 3+F).
            data_samples: B elements.
            view_idx: (B, V) which views; None draws them, from torch's
                generator of the device, where there are more.
        """
        if view_idx is None and self.views_per_step < self.num_views:
            noise = torch.rand(len(points), self.num_views, device=points.device)
            view_idx = noise.argsort(1)[:, : self.views_per_step]
        return self.features(points, data_samples, view_idx)

    @torch.no_grad()
    def read(self, pictures: Pictures) -> Tensor:
        """Features (B, V, 1 + K, D) float32 of pictures of B samples."""
        B, V = pictures.images.shape[:2]
        images = pictures.images.flatten(0, 1)
        with self.teacher_precision(images.device):
            some = images.split(self.images_at_once or len(images))
            if not self.num_regions:
                feats = torch.cat([self.teacher(x)['global'] for x in some])
                return feats.float().unflatten(0, (B, V))[:, :, None]
            maps = [self.teacher.forward_dense(x) for x in some]
        whole, tokens, saliency = (
            torch.cat([m[name].float() for m in maps]) for name in ('global', 'feats', 'saliency')
        )
        regions = find_regions(
            tokens.flatten(2).mT,
            saliency.flatten(1),
            self.foreground(pictures, saliency).flatten(1),
            self.num_regions,
        )
        feats = regions.feats.where(regions.found[..., None], whole[:, None])
        feats = torch.cat([whole[:, None], feats], 1)  # (B V, 1 + K, D)
        return feats.unflatten(0, (B, V))

    @staticmethod
    def foreground(pictures: Pictures, saliency: Tensor) -> Tensor:
        """Which tokens show the cloud, (B V, h, w) bool."""
        if pictures.foreground is None:
            return saliency >= saliency.mean((1, 2), keepdim=True)
        covered = F.adaptive_avg_pool2d(
            pictures.foreground.flatten(0, 1).float(), saliency.shape[1:]
        )
        return covered >= COVERED

    def transform(self) -> dict:
        """See :class:`BaseTarget`."""
        return dict(pairs=describe(self.pairs_cfg), num_regions=self.num_regions)
