"""What the targets of pictures share: who draws them, and a cache."""

from pathlib import Path

import torch
from torch import Tensor

from mmkd3d.registry import MODELS
from mmkd3d.utils.digest import row_digests

from ..teachers.cache import FeatureCache
from ..views.base import Pictures
from .base import BaseTarget, metainfo


class PictureTarget(BaseTarget):
    """What a frozen teacher says of pictures of the samples.

    With a cache no teacher runs: features are looked up by ``sample_id``.
    They stand for pictures that never change, so random views and augmented
    images are refused. Samples that carry what the teacher would read are
    compared with what it read, by checksum, the first time they are met; to
    save the time of loading, leave those steps out of the pipeline.

    Subclasses set ``shape`` and write ``read``.

    Args:
        teacher: Config of a teacher that reads images.
        pairs: Config of a provider of pictures, see :class:`BasePairs`.
        precision: See :class:`BaseTarget`.

    Attributes:
        shape: Of the features of all pictures of one sample, (V, ...).
    """

    shape: tuple

    def __init__(self, teacher: dict, pairs: dict, *, precision: str = 'fp32'):
        super().__init__(teacher, precision=precision)
        self.pairs_cfg = pairs
        self.pairs = MODELS.build(pairs)
        self.cache = None

    @property
    def num_views(self) -> int:
        """Pictures of one sample, V."""
        return self.pairs.num_views

    def use_cache(self, folder: str | Path | None) -> None:
        """Look features up from now on, and let the teacher go.

        Raises:
            ValueError: The pictures are others in every step.
            FileNotFoundError: There is no cache; see :class:`FeatureCache`
                for what else may be wrong with it.
        """
        if folder is not None:
            self.refuse_random_views()
            self.cache = FeatureCache(folder, self.identity())
            self.teacher = None

    def read(self, pictures: Pictures) -> Tensor:
        """Features (B, V, ...) float32 of pictures of B samples."""
        raise NotImplementedError

    def features(
        self, points: Tensor, data_samples: list | None, view_idx: Tensor | None = None
    ) -> Tensor:
        """Features (B, W, ...) of the views ``view_idx`` (B, W), or of all."""
        if self.cache is None:
            return self.read(self.pairs(points, data_samples, view_idx=view_idx))
        feats = self._look_up(data_samples).to(points.device)  # (B, V, ...)
        if view_idx is None:
            return feats
        row = torch.arange(len(feats), device=feats.device)[:, None]
        return feats[row, view_idx]

    def refuse_random_views(self) -> None:
        """``ValueError`` if other pictures are drawn in every step."""
        if self.pairs.random:
            drawer = getattr(self.pairs, 'renderer', None) or self.pairs
            raise ValueError(
                f'{type(drawer).__name__} draws random views, or views of '
                'what is augmented, whose features no cache can hold: set '
                'random=False in the renderer, or leave out the cache.'
            )

    def _look_up(self, data_samples: list) -> Tensor:
        """Features (B, V, ...) from the cache, on the CPU."""
        rows = self.cache.rows(sample_ids(data_samples))
        if not self.cache.is_checked(rows):
            source = self.pairs.inputs(data_samples)
            if source is not None:
                self.cache.check(rows, row_digests(source).cpu().numpy())
        return torch.from_numpy(self.cache.features[rows]).float()


def sample_ids(data_samples: list) -> list[str]:
    """Of all samples; ``ValueError`` if some have none."""
    ids = metainfo(data_samples, 'sample_id', 'A teacher cache finds its features by it.')
    return [str(i) for i in ids]
