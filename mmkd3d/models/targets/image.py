"""What an image teacher says of the pictures of a shape."""

from pathlib import Path

import torch
from torch import Tensor

from mmkd3d.registry import MODELS

from ..teachers.identity import describe
from ..views.base import Pictures
from .pictures import PictureTarget


@MODELS.register_module()
class ImageTarget(PictureTarget):
    """Global image feature of a rendering of every sample (ReCon).

    Pictures are those of :class:`RenderedViews`; for the cache see
    :class:`PictureTarget`.

    Args:
        teacher: Config of a teacher that reads images.
        renderer: Config of a renderer ``(B, M, 3) -> (B, V, 3, H, W)``, such
            as :class:`ViewRenderer`; None: the samples bring pictures.
        cache: Folder of a cache, made by ``tools/cache_teacher.py``.
        reduce: Of several views of a sample: ``'random'`` takes one, anew in
            every step; ``'mean'`` averages their features.
        precision: See :class:`BaseTarget`.

    Raises:
        ValueError: An unknown ``reduce``, or a cache with random views.
        FileNotFoundError: There is no cache; see :class:`FeatureCache` for
            what else may be wrong with it.
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
        self.use_cache(cache)

    @torch.no_grad()
    def forward(self, points: Tensor, data_samples: list, view_idx: Tensor | None = None) -> Tensor:
        """See :class:`BaseTarget`.

        Args:
            points: (B, N, 3+F).
            data_samples: B elements.
            view_idx: (B,) which view to take with ``reduce='random'``; None
                draws it from torch's generator of the device.
        """
        if self.reduce == 'mean' or self.num_views == 1:
            view_idx = None
        elif view_idx is None:
            view_idx = torch.randint(self.num_views, (len(points),), device=points.device)
        if view_idx is not None:
            view_idx = view_idx[:, None]
        return self.features(points, data_samples, view_idx).mean(1)

    @torch.no_grad()
    def read(self, pictures: Pictures) -> Tensor:
        """Features (B, V, D) float32 of pictures of B samples."""
        images = pictures.images
        with self.teacher_precision(images.device):
            feats = self.teacher(images.flatten(0, 1))['global']
        return feats.float().unflatten(0, images.shape[:2])

    def transform(self) -> dict:
        """See :class:`BaseTarget`."""
        return dict(renderer=describe(self.pairs_cfg['renderer']))
