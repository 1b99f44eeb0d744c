"""Image features of whole views and of regions in them."""

from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mmkd3d.registry import MODELS

from ..views.base import Views
from .base import BaseImageTarget, describe, read_dense

COVERED = 0.25  # fraction of a token's area that makes it foreground


@MODELS.register_module()
class ConceptTargets(BaseImageTarget):
    """Features of whole views and of K regions in each (DC-5).

    Regions are clusters of the teacher's foreground tokens. The foreground is
    known from the views, or consists of the tokens with more saliency than
    the mean. The feature of a region is the mean of its tokens. If there are
    fewer than K regions, the feature of the view is repeated.

    The features are neither standardised nor normalised.

    Args:
        teacher: Config of an image teacher whose tokens and global feature
            share one space (CLIP: ``projection=True``).
        views: Config of a view provider, see :class:`BaseViews`; default
            :class:`RenderedViews` of images that come with the samples.
        num_views: V, views of each sample in a step, drawn from the available
            ones; None: all.
        num_regions: K; 0 for none.
        cache: Folder of a cache of all views, see :class:`BaseImageTarget`.
        copies: See :class:`ImageTarget`.
        precision: See :class:`BaseTarget`.
        images_at_once: Images per forward pass of the teacher, to save
            memory; None: all.

    Attributes:
        dims: D, width of the features.

    Raises:
        ValueError: More views than available, a teacher whose tokens have
            another width than its global feature, or a number out of range.
    """

    def __init__(
        self,
        teacher: dict,
        views: dict | None = None,
        *,
        num_views: int | None = None,
        num_regions: int = 3,
        cache: str | Path | None = None,
        copies: dict | None = None,
        precision: str = 'auto',
        images_at_once: int | None = None,
    ):
        super().__init__(teacher, views or dict(type='mmkd3d.RenderedViews'), precision=precision)
        available = self.views.num_views
        if num_views is not None and not 1 <= num_views <= available:
            raise ValueError(
                f'num_views={num_views} of the {available} views of '
                f'{type(self.views).__name__}: raise its number, or lower this one.'
            )
        if num_regions < 0 or (images_at_once is not None and images_at_once < 1):
            raise ValueError(
                'num_regions must be at least 0, images_at_once at least 1 or None; '
                f'got {num_regions} and {images_at_once}.'
            )
        widths = self.teacher.global_dims, self.teacher.dense_dims
        if num_regions and widths[0] != widths[1]:
            raise ValueError(
                'Regions are compared with whole views, but the global feature of '
                f'{type(self.teacher).__name__} has {widths[0]} dimensions and its '
                f'tokens {widths[1]}: give a CLIP teacher projection=True, choose '
                'another teacher, or set num_regions=0.'
            )
        self.views_per_step = num_views or available
        self.num_regions, self.copies = num_regions, copies
        self.images_at_once = images_at_once
        self.dims = self.teacher.global_dims
        self.shape = (available, 1 + num_regions, self.dims)
        self.open_cache(cache)

    @torch.no_grad()
    def forward(
        self, points: Tensor, data_samples: list | None, view_idx: Tensor | None = None
    ) -> Tensor:
        """Features (B, V, 1 + K, D), whole views before regions.

        Args:
            points: (B, N, 3+F).
            data_samples: B elements.
            view_idx: (B, V) indices of the views; None draws them if more
                than V are available.
        """
        if view_idx is None and self.views_per_step < self.num_views:
            noise = torch.rand(len(points), self.num_views, device=points.device)
            view_idx = noise.argsort(1)[:, : self.views_per_step]
        return self.features(points, data_samples, view_idx)

    @torch.no_grad()
    def read(self, views: Views) -> Tensor:
        """Features (B, V, 1 + K, D) float32 of the views of B samples."""
        images = views.images.flatten(0, 1)
        if not self.num_regions:
            with self.autocast(images.device):
                chunks = images.split(self.images_at_once or len(images))
                feats = torch.cat([self.teacher(x)['global'].float() for x in chunks])[:, None]
        else:
            maps = read_dense(self, images, self.images_at_once)
            whole, saliency = maps['global'], maps['saliency']
            regions = find_regions(
                maps['feats'].flatten(2).mT,
                saliency.flatten(1),
                self.foreground(views, saliency).flatten(1),
                self.num_regions,
            )
            feats = regions.feats.where(regions.found[..., None], whole[:, None])
            feats = torch.cat([whole[:, None], feats], 1)  # (BV, 1 + K, D)
        return feats.unflatten(0, views.images.shape[:2])

    @staticmethod
    def foreground(views: Views, saliency: Tensor) -> Tensor:
        """Which tokens show the cloud, (BV, h, w) bool."""
        if views.foreground is None:
            return saliency >= saliency.mean((1, 2), keepdim=True)
        covered = F.adaptive_avg_pool2d(views.foreground.flatten(0, 1).float(), saliency.shape[1:])
        return covered >= COVERED

    def transform(self) -> dict:
        """See :class:`BaseTarget`."""
        return dict(views=describe(self.views_cfg), num_regions=self.num_regions)


class Regions(NamedTuple):
    """Clusters of tokens.

    Attributes:
        feats: (P, K, D) float32, cluster means; 0 for empty clusters.
        found: (P, K) bool, whether the cluster has tokens.
    """

    feats: Tensor
    found: Tensor


@torch.no_grad()
def find_regions(
    tokens: Tensor, saliency: Tensor, foreground: Tensor, num_regions: int, num_iters: int = 5
) -> Regions:
    """Cluster the foreground tokens of each of P images by K-means (DC-5).

    Deterministic: the first center is the most salient token, each further
    one the token farthest from all previous centers; ties go to the first
    token. An empty cluster keeps its center. Computed in float32.

    Args:
        tokens: (P, L, D).
        saliency: (P, L), finite.
        foreground: (P, L) bool.
        num_regions: K.
        num_iters: Iterations of K-means, at least 1.

    Returns:
        Regions: None found in an image without foreground, and at most as many
        as it has distinct tokens.
    """
    # Background tokens may be infinite, and 0 * inf is not 0.
    tokens = tokens.float().masked_fill(~foreground[..., None], 0.0)
    centers = _initial_centers(tokens, saliency, foreground, num_regions)
    with torch.autocast(tokens.device.type, enabled=False):
        for _ in range(num_iters):
            nearest = torch.cdist(
                centers, tokens, compute_mode='donot_use_mm_for_euclid_dist'
            ).argmin(1)
            members = F.one_hot(nearest, num_regions)  # (P, L, K)
            members = (members * foreground[..., None]).float()
            count = members.sum(1)  # (P, K)
            means = members.mT @ tokens / count.clamp(min=1)[..., None]
            centers = means.where(count[..., None] > 0, centers)
    return Regions(means, count > 0)


def _initial_centers(tokens: Tensor, saliency: Tensor, foreground: Tensor, num: int) -> Tensor:
    """Initial centers (P, num, D) of :func:`find_regions`."""
    index = saliency.masked_fill(~foreground, -torch.inf).argmax(1)
    distance = torch.full_like(saliency, torch.inf)
    centers = []
    for _ in range(num):
        center = tokens.take_along_dim(index[:, None, None], 1)
        centers.append(center)
        distance = distance.minimum((tokens - center).square().sum(-1))
        index = distance.masked_fill(~foreground, -1.0).argmax(1)
    return torch.cat(centers, 1)
