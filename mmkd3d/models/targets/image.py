"""What an image teacher says of the pictures of a shape."""
from pathlib import Path
from typing import Optional, Union

import torch
from torch import Tensor

from mmkd3d.registry import MODELS
from mmkd3d.utils.digest import row_digests

from ..teachers.cache import FeatureCache
from ..teachers.identity import describe
from .base import BaseTarget, metainfo, stack_field

LOAD = ("Put dict(type='LoadRendering', ...) and dict(type='AugmentRendering')"
        ' in the pipeline')
KEEP = ("Put dict(type='KeepViewPoints') in the pipeline, behind the steps "
        'that are always the same and before the first random one')


@MODELS.register_module()
class ImageTarget(BaseTarget):
    """Global image feature of a rendering of every sample.

    Pictures are the field ``image`` of the samples, or, with a renderer,
    views of their ``view_points``. Samples without ``view_points`` are
    rendered from the batch's ``points`` as they are: then the views turn with
    the augmentation.

    With a cache no teacher runs: features are looked up by ``sample_id``.
    They stand for pictures that never change, so random views and augmented
    images are refused. Samples that carry what the teacher would read are
    compared with what it read, by checksum, the first time they are met; to
    save the time of loading, leave those steps out of the pipeline.

    Args:
        teacher: Config of a teacher that reads images.
        renderer: Config of a renderer ``(B, M, 3) -> (B, V, 3, H, W)``, such
            as :class:`ViewRenderer`, which with a second argument draws one
            view of each cloud.
        cache: Folder of a cache, made by ``tools/cache_teacher.py``.
        reduce: Of several views of a sample: ``'random'`` takes one, anew in
            every step; ``'mean'`` averages their features.
        precision: See :class:`BaseTarget`.

    Raises:
        ValueError: An unknown ``reduce``, or a cache with random views.
        FileNotFoundError: There is no cache; see :class:`FeatureCache` for
            what else may be wrong with it.
    """

    def __init__(self,
                 teacher: dict,
                 renderer: Optional[dict] = None,
                 *,
                 cache: Union[str, Path, None] = None,
                 reduce: str = 'random',
                 precision: str = 'fp32'):
        super().__init__(teacher, precision=precision)
        if reduce not in ('random', 'mean'):
            raise ValueError(
                f"reduce is 'random' or 'mean', got {reduce!r}.")
        self.dims = self.teacher.global_dims
        self.renderer_cfg = renderer
        self.renderer = MODELS.build(renderer) if renderer else None
        self.reduce = reduce
        self.num_views = self.renderer.num_views if renderer else 1
        self.cache = None
        if cache is not None:
            self.refuse_random_views()
            self.cache = FeatureCache(cache, self.identity())
            self.teacher = self.renderer = None

    @torch.no_grad()
    def forward(self,
                points: Tensor,
                data_samples: list,
                view_idx: Optional[Tensor] = None) -> Tensor:
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
            view_idx = torch.randint(
                self.num_views, (len(points), ), device=points.device)
        if self.cache is not None:
            feats = self._look_up(data_samples).to(points.device)  # (B, V, D)
            if view_idx is None:
                return feats.mean(1)
            return feats.take_along_dim(view_idx[:, None, None], 1)[:, 0]
        source = self.inputs(data_samples)
        if source is None:
            source = self._from_batch(points)
        return self.read(self.draw(source, view_idx)).mean(1)

    def inputs(self, data_samples: list) -> Optional[Tensor]:
        """What the samples carry to be seen; None if they carry nothing.

        Returns:
            (B, 3, H, W) images, or with a renderer (B, M, 3) points.
        """
        if self.renderer_cfg is None:
            return stack_field(data_samples, 'image', f'{LOAD}.')
        return stack_field(
            data_samples, 'view_points',
            f'{KEEP}, behind one that brings all clouds to one size.')

    def draw(self,
             source: Tensor,
             view_idx: Optional[Tensor] = None) -> Tensor:
        """Pictures (B, V, 3, H, W) of ``inputs``, or one view of each."""
        if self.renderer is None:
            return source[:, None]
        return self.renderer(source, view_idx)

    @torch.no_grad()
    def read(self, views: Tensor) -> Tensor:
        """Features (B, V, D) float32 of pictures (B, V, 3, H, W)."""
        with self.teacher_precision(views.device):
            feats = self.teacher(views.flatten(0, 1))['global']
        return feats.float().unflatten(0, views.shape[:2])

    def transform(self) -> dict:
        """See :class:`BaseTarget`."""
        return dict(renderer=describe(self.renderer_cfg))

    def refuse_random_views(self) -> None:
        """``ValueError`` if the renderer draws other views in every step."""
        if getattr(self.renderer, 'random', False):
            raise ValueError(
                f'{type(self.renderer).__name__} draws random views, whose '
                'features no cache can hold: set random=False in the '
                'renderer, or leave out the cache.')

    def _from_batch(self, points: Tensor) -> Tensor:
        if self.renderer_cfg is None:
            raise ValueError(
                f'The samples carry no image. {LOAD}, or give ImageTarget a '
                'renderer, which draws views of the clouds.')
        return points[..., :3]

    def _look_up(self, data_samples: list) -> Tensor:
        """Features (B, V, D) from the cache, on the CPU."""
        rows = self.cache.rows(sample_ids(data_samples))
        if not self.cache.is_checked(rows):
            source = self.inputs(data_samples)
            if source is not None:
                self.cache.check(rows, row_digests(source).cpu().numpy())
        return torch.from_numpy(self.cache.features[rows]).float()


def sample_ids(data_samples: list) -> list[str]:
    """Of all samples; ``ValueError`` if some have none."""
    ids = metainfo(data_samples, 'sample_id',
                   'A teacher cache finds its features by it.')
    return [str(i) for i in ids]
