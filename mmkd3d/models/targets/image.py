"""Global image features of renderings of the samples."""

from pathlib import Path

import torch
from torch import Tensor

from mmkd3d.registry import MODELS

from ..views.base import Views
from .base import BaseImageTarget, describe


@MODELS.register_module()
class ImageTarget(BaseImageTarget):
    """Global image feature of a rendering of every sample (ReCon).

    The images are those of :class:`RenderedViews`.

    Args:
        teacher: Config of an image teacher.
        renderer: Config of a renderer ``(B, M, 3) -> (B, V, 3, H, W)``, such
            as :class:`ViewRenderer`; None: the samples contain images.
        cache: Folder of a cache, built by ``tools/cache_teacher.py``; see
            :class:`BaseImageTarget`.
        reduce: For several views per sample: ``'random'`` draws one in every
            step, ``'mean'`` averages the features.
        precision: See :class:`BaseTarget`.

    Raises:
        ValueError: An unknown ``reduce``, or a cache with random views.
        FileNotFoundError, StaleCacheError: See :class:`FeatureCache`.
    """

    def __init__(
        self,
        teacher: dict,
        renderer: dict | None = None,
        *,
        cache: str | Path | None = None,
        reduce: str = 'random',
        precision: str = 'fp32',
    ):
        super().__init__(
            teacher, dict(type='mmkd3d.RenderedViews', renderer=renderer), precision=precision
        )
        if reduce not in ('random', 'mean'):
            raise ValueError(f"reduce is 'random' or 'mean', got {reduce!r}.")
        self.dims = self.teacher.global_dims
        self.shape = (self.num_views, self.dims)
        self.reduce = reduce
        self.open_cache(cache)

    @torch.no_grad()
    def forward(self, points: Tensor, data_samples: list, view_idx: Tensor | None = None) -> Tensor:
        """Features (B, D).

        Args:
            points: (B, N, 3+F).
            data_samples: B elements.
            view_idx: (B,) index of the view for ``reduce='random'``; None
                draws it.
        """
        if self.reduce == 'mean' or self.num_views == 1:
            view_idx = None
        elif view_idx is None:
            view_idx = torch.randint(self.num_views, (len(points),), device=points.device)
        if view_idx is not None:
            view_idx = view_idx[:, None]
        return self.features(points, data_samples, view_idx).mean(1)

    @torch.no_grad()
    def read(self, views: Views) -> Tensor:
        """Features (B, V, D) float32 of the views of B samples."""
        images = views.images
        with self.autocast(images.device):
            feats = self.teacher(images.flatten(0, 1))['global']
        return feats.float().unflatten(0, images.shape[:2])

    def transform(self) -> dict:
        """See :class:`BaseTarget`."""
        return dict(renderer=describe(self.views_cfg['renderer']))
