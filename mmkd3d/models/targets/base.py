"""Base classes of the targets, and the global image feature."""

import inspect
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import torch
import torch.nn as nn
from torch import Tensor

from mmkd3d.registry import MODELS, TRANSFORMS, Registry
from mmkd3d.utils.hashes import frozen_fingerprint, row_digests
from mmkd3d.utils.samples import metainfo, sample_ids

from ..teachers.precision import autocast, check_precision, choose_precision
from ..views.base import Views, take_views
from .cache import FeatureCache, read_record

# Arguments that change no cached feature: weights are identified by their
# fingerprint instead of their path, and data by their checksums; only
# DenseTarget caches saliency.
IGNORED = ('checkpoint', 'reference', 'keep_weights', 'saliency', 'root', 'file')
COPIES = (
    "Put dict(type='AugmentedCopies', num_copies=...) in the pipeline; tools/train.py does that "
    'for a cache of augmented copies.'
)


class BaseTarget(nn.Module):
    """Features of a frozen teacher for the samples of a batch.

    A target adds nothing to state dicts, optimizers and DDP buckets.

    Args:
        teacher: Config of a teacher.
        precision: Of the teacher: ``'fp32'``, ``'bf16'``, ``'fp16'``, or
            ``'auto'``, which :func:`choose_precision` replaces when the teacher
            first runs, and a cache of fp32 or bf16 features by its own.
            Independent of the student. Features are float32.

    Attributes:
        dims: D, width of the features.
        teacher: The teacher, or None if a cache is used.
        cache: The cache, or None.
        copies: Config of :class:`AugmentedCopies`, of a cache of augmented
            copies; or None.
        tolerance: Largest difference of the ``digests`` of equal inputs.
    """

    dims: int
    teacher: nn.Module | None
    cache: FeatureCache | None = None
    copies: dict | None = None
    tolerance: int = 0

    def __init__(self, teacher: dict, *, precision: str = 'auto'):
        super().__init__()
        check_precision(precision)
        self.teacher = MODELS.build(teacher)
        self.teacher_cfg = teacher
        self.precision = precision

    def forward(self, points: Tensor, data_samples: list) -> Tensor:
        """Features without gradient.

        Args:
            points: (B, N, 3+F), augmented.
            data_samples: B elements with the inputs of the teacher.

        Returns:
            (B, D) float32, or (B, N, D) for targets of every point.
        """
        raise NotImplementedError

    def transform(self) -> dict:
        """How samples become inputs of the teacher, as plain data."""
        raise NotImplementedError

    def identity(self) -> dict:
        """Key that identifies a cache of the features; needs the teacher."""
        self._resolve_precision(next(self.teacher.net.parameters()).device)
        copies = {} if self.copies is None else dict(copies=describe_copies(self.copies))
        return dict(
            teacher=dict(
                describe(self.teacher_cfg),
                precision=self.precision,
                checksum=int(frozen_fingerprint(self.teacher.net.state_dict())),
            ),
            transform=self.transform(),
            **copies,
        )

    def open_cache(self, folder: str | Path | None) -> None:
        """Use a cache and drop the teacher; None keeps the teacher.

        Raises:
            FileNotFoundError: No cache in the folder.
            StaleCacheError: Its identity differs, see :class:`FeatureCache`.
        """
        if folder is not None:
            self.adopt_precision(folder)
            self.cache = FeatureCache(folder, self.identity())
            self.teacher = None

    def adopt_precision(self, folder: str | Path) -> None:
        """Replace ``'auto'`` by the precision of a cache, complete or not.

        So a cache that was built on one machine is read, and continued, on any.
        """
        record = read_record(Path(folder)) or {}
        found = record.get('identity', {}).get('teacher', {}).get('precision')
        if self.precision == 'auto' and found in ('fp32', 'bf16'):
            self.precision = found

    def digests(self, inputs: Tensor) -> Tensor:
        """Checksums (B,) int64 of the inputs of the teacher (B, ...)."""
        return row_digests(inputs)

    def look_up(
        self, data_samples: list, inputs: Callable[[], Tensor | None], device: torch.device
    ) -> Tensor:
        """Features (B, ...) float32 from the cache.

        Args:
            data_samples: B elements with ``sample_id`` and, for a cache of
                augmented copies, ``copy_idx``.
            inputs: Gives the inputs (B, ...) of the teacher, which are checked
                once, or None.
            device: Of the features.
        """
        copies = metainfo(data_samples, 'copy_idx', COPIES) if self.copies else None
        rows = self.cache.rows(sample_ids(data_samples), copies)
        if not self.cache.is_checked(rows):
            found = inputs()
            if found is not None:
                self.cache.check(rows, self.digests(found).cpu().numpy(), self.tolerance)
        return torch.from_numpy(self.cache.features[rows]).to(device).float()

    def autocast(self, device: torch.device) -> AbstractContextManager:
        """Context with the precision of the teacher."""
        self._resolve_precision(device)
        return autocast(device, self.precision)

    def _resolve_precision(self, device: torch.device) -> None:
        if self.precision == 'auto':
            self.precision = choose_precision(self.teacher, device)


class BaseImageTarget(BaseTarget):
    """Features of a frozen teacher for views of the samples, with a cache.

    With a cache no teacher runs, and features are looked up by ``sample_id``.
    Random views cannot be cached and are refused, and augmented images as a
    fixed number of copies only. If samples contain the inputs of the teacher,
    these are compared with the cached checksums once. Remove the loading steps
    from the pipeline to save their time.

    Subclasses set ``shape`` and implement ``read``.

    Args:
        teacher: Config of an image teacher.
        views: Config of a view provider, see :class:`BaseViews`.
        precision: See :class:`BaseTarget`.

    Attributes:
        shape: Of the features of all views of one sample, (V, ...).
    """

    shape: tuple

    def __init__(self, teacher: dict, views: dict, *, precision: str = 'auto'):
        super().__init__(teacher, precision=precision)
        self.views_cfg = views
        self.views = MODELS.build(views)

    @property
    def num_views(self) -> int:
        """V, views of one sample."""
        return self.views.num_views

    def open_cache(self, folder: str | Path | None) -> None:
        """See :class:`BaseTarget`; ``ValueError`` for random views."""
        if folder is not None:
            self.refuse_random_views()
        super().open_cache(folder)

    def refuse_random_views(self) -> None:
        """Raise ``ValueError`` if the views change in every step."""
        if self.views.random:
            provider = getattr(self.views, 'renderer', None) or self.views
            raise ValueError(
                f'{type(provider).__name__} gives random views, or views of the '
                'augmented cloud, which cannot be cached: set random=False in the '
                'renderer, or train without a cache.'
            )

    def read(self, views: Views) -> Tensor:
        """Features (B, V, ...) float32 of the views of B samples."""
        raise NotImplementedError

    def features(
        self, points: Tensor, data_samples: list | None, view_idx: Tensor | None = None
    ) -> Tensor:
        """Features (B, W, ...) of the views ``view_idx`` (B, W), or of all."""
        if self.cache is None:
            return self.read(self.views(points, data_samples, view_idx=view_idx))
        feats = self.look_up(data_samples, lambda: self.views.inputs(data_samples), points.device)
        return take_views(feats, view_idx)


def read_dense(target: BaseTarget, images: Tensor, images_at_once: int | None) -> dict:
    """Run ``forward_dense`` of the teacher of a target in chunks.

    Args:
        target: With a teacher.
        images: (P, 3, H, W) in [0, 1].
        images_at_once: Images per forward pass; None: all.

    Returns:
        Features, saliency and global feature of :class:`BaseTeacher`, float32.
    """
    with target.autocast(images.device):
        maps = [
            target.teacher.forward_dense(x) for x in images.split(images_at_once or len(images))
        ]
    return {name: torch.cat([m[name].float() for m in maps]) for name in maps[0]}


def describe(cfg: dict | None, registry: Registry = MODELS) -> dict | None:
    """Type and arguments of a config, with defaults, as plain data."""
    if cfg is None:
        return None
    kind = cfg['type']
    kind = registry.get(kind) if isinstance(kind, str) else kind
    given = {k: v for k, v in cfg.items() if k not in ('type', '_scope_', *IGNORED)}
    bound = inspect.signature(kind).bind_partial(**given)
    bound.apply_defaults()
    arguments = {k: v for k, v in bound.arguments.items() if k not in IGNORED}
    return json.loads(json.dumps(dict(type=kind.__name__, **arguments), default=str))


def describe_copies(copies: dict) -> dict:
    """Config of :class:`AugmentedCopies` as plain data, its steps by their number."""
    return dict(
        num_copies=copies['num_copies'],
        transforms={
            str(i): describe(step, TRANSFORMS)
            for i, step in enumerate(copies.get('transforms', ()))
        },
        augments={str(i): describe(step) for i, step in enumerate(copies.get('augments', ()))},
    )


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
        copies: How the images of a cache were augmented, config of
            :class:`AugmentedCopies`; set by ``tools/train.py``.
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
        copies: dict | None = None,
        reduce: str = 'random',
        precision: str = 'auto',
    ):
        super().__init__(
            teacher, dict(type='mmkd3d.RenderedViews', renderer=renderer), precision=precision
        )
        self.copies = copies
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
