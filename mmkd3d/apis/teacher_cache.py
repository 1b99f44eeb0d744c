"""Precompute the teacher features of a training config."""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.device import get_device
from mmengine.registry import init_default_scope
from mmengine.structures import BaseDataElement
from torch import Tensor
from torch.utils.data import DataLoader, Subset
from tqdm import tqdm

from mmkd3d.datasets.find import visible
from mmkd3d.datasets.posed_images import CAMERAS, read_cameras, read_image
from mmkd3d.datasets.readers import existing
from mmkd3d.models.data_preprocessor import stack_clouds
from mmkd3d.models.targets.base import BaseImageTarget
from mmkd3d.models.targets.cache import CacheWriter, remove_cache
from mmkd3d.models.targets.dense import DenseTarget
from mmkd3d.models.targets.points import PointTarget, image_keys
from mmkd3d.models.targets.text import TextTarget
from mmkd3d.registry import DATASETS, MODELS
from mmkd3d.utils.samples import sample_ids

from .teacher_copies import CopyRows, draw_copies, fit_copies, is_augmented, model_targets

NUM_PROBES = 4  # samples that are loaded twice


class Rows(NamedTuple):
    """Content of a cache.

    Attributes:
        keys: Of all rows, or of K rows each.
        shape: Of one row.
        batches: ``start -> iterator of (features, input hashes or None)``.
        source: Origin of the data, for people.
        probes: Input hashes of (the first row of) some keys.
        tolerance: Largest difference of hashes of equal inputs.
    """

    keys: list[str]
    shape: Sequence[int]
    batches: Callable[[int], Iterator[tuple[Tensor, Tensor | None]]]
    source: dict
    probes: dict[int, int]
    tolerance: int = 0


def cache_targets(
    cfg: Config,
    out: str | Path,
    *,
    only: Sequence[str] = (),
    dtype: str | None = None,
    copies: int | None = None,
    max_gb: float | None = None,
    batch_size: int = 64,
    rebuild: bool = False,
    device: str | None = None,
) -> dict[str, Path]:
    """Build a feature cache for the targets of a config.

    These are the targets of the :class:`DistillationHook` with ``frames``, or
    without such a hook the ``model.targets`` or the image ``model.target`` of a
    pretraining. Resumes unfinished caches and keeps finished ones.

    Where images or clouds are augmented, a fixed number of augmented copies of
    each sample is cached, see :class:`AugmentedCopies`.

    Args:
        cfg: Of a training.
        out: Output folder; the cache of target NAME is ``out/NAME``.
        only: Names of targets, or of hooks; empty: all.
        dtype: Of the storage: ``'float32'`` or ``'float16'``; None: float16
            for the maps of a :class:`DenseTarget`, else float32.
        copies: Augmented copies of each sample.
        max_gb: Largest size of a cache of augmented copies, in 1e9 bytes;
            without ``copies`` there are as many as fit.
        batch_size: Samples, texts or frames per forward pass.
        rebuild: Remove existing caches first.
        device: Of the teachers; None: the default device.

    Returns:
        The folder of each cache, by the config option that enables it, such as
        ``model.targets.NAME.cache``.

    Raises:
        FileNotFoundError: No frames in the folder of a hook.
        StaleCacheError: A folder has a cache of something else.
        ValueError: No such targets, or targets that cannot be cached; copies
            of what is not augmented, or that do not fit.
    """
    init_default_scope(cfg.get('default_scope', 'mmkd3d'))
    device = device or get_device()
    targets = choose_targets(cfg, only)
    augmented = [t.name for t in targets if not t.frames and is_augmented(cfg, t.cfg)]
    if not augmented and (copies, max_gb) != (None, None):
        raise ValueError(
            f'{", ".join(t.name for t in targets)}: what the teachers read is not augmented, so '
            'one copy is enough: leave copies and max_gb (--copies, --max-gb) out.'
        )
    plain, folders = None, {}
    for option, name, target_cfg, frames in targets:
        target = MODELS.build({**target_cfg, 'cache': None}).to(device)
        kind = dtype or ('float16' if isinstance(target, DenseTarget) else 'float32')
        if isinstance(target, PointTarget):
            rows = frame_rows(target, frames or {}, batch_size, device)
        else:
            samples = plain = plain or Samples(cfg.train_dataloader, batch_size, device)
            own = copy.deepcopy(cfg)
            if name in augmented and (copies, max_gb) != (None, None):
                num_bytes = len(plain) * math.prod(target.shape) * np.dtype(kind).itemsize
                number = fit_copies(num_bytes, copies, max_gb)
                target.copies = draw_copies(own, target_cfg, number)
            if target.copies:
                samples = Samples(own.train_dataloader, batch_size, device, target.copies)
            rows = (text_rows if isinstance(target, TextTarget) else image_rows)(target, samples)
        folders[option] = Path(out) / name
        if rebuild:
            remove_cache(folders[option])
        target.adopt_precision(folders[option])
        write_cache(folders[option], rows, target.identity(), kind)
    return folders


class Target(NamedTuple):
    """A target to cache: the config option of its cache, name, config and, for
    a hook, its ``frames``."""

    option: str
    name: str
    cfg: dict
    frames: dict | None = None


def choose_targets(cfg: Config, only: Sequence[str] = ()) -> list[Target]:
    """The targets of hooks with frames, else those of the model."""
    found = {
        name: Target(f'custom_hooks.{i}.target.cache', name, hook['target'], hook['frames'])
        for i, hook in enumerate(cfg.get('custom_hooks') or ())
        if hook['type'].split('.')[-1] == 'DistillationHook' and hook.get('frames')
        for name in [hook.get('name', 'distill')]
    }
    if not found:
        found = {
            (name := option.rpartition('.')[2]): Target(f'{option}.cache', name, target)
            for option, target in model_targets(cfg).items()
            if option != 'model.target'
            or issubclass(MODELS.get(target['type']), (BaseImageTarget, DenseTarget))
        }
    unknown = ', '.join(name for name in only if name not in found)
    if unknown or not found:
        raise ValueError(
            f'{cfg.model.type} has {", ".join(found) or "no target"} to cache'
            f'{f", not {unknown}" if unknown else ""}. Features of frozen teachers for fixed '
            'inputs can be cached: in model.targets, in model.target, and in a DistillationHook '
            'with frames.'
        )
    return [found[name] for name in only or found]


def write_cache(folder: Path, rows: Rows, identity: dict, dtype: str) -> None:
    """Write all rows that are missing in a folder, with a progress bar."""
    writer = CacheWriter(
        folder, rows.keys, rows.shape, identity=identity, source=rows.source, dtype=dtype
    )
    writer.refuse_changed(rows.probes, rows.tolerance)
    count, size = writer.count, writer.num_bytes
    text = f'{size / 1e9:.2f} GB' if size >= 1e9 else f'{size / 1e6:.1f} MB'
    if writer.num_copies > 1:
        text += f', {writer.num_copies} augmented copies of {len(rows.keys)} samples'
    tqdm.write(f'{folder}: {writer.done} of {count} rows done, {text}')
    with tqdm(desc=folder.name, total=count, initial=writer.done) as bar:
        if writer.done < count:
            for feats, digests in rows.batches(writer.done):
                writer.write(
                    feats.cpu().numpy(), None if digests is None else digests.cpu().numpy()
                )
                bar.update(len(feats))


class Samples:
    """The training samples in order, on a device.

    Args:
        loader: Config of the data loader.
        batch_size: Samples of a batch.
        device: Of the batches.
        copies: Config of :class:`AugmentedCopies`: K rows for each sample.
    """

    def __init__(self, loader: dict, batch_size: int, device: str, copies: dict | None = None):
        self.dataset = DATASETS.build(loader['dataset'])
        self.num_copies = copies['num_copies'] if copies else 1
        self.rows = CopyRows(self.dataset, self.num_copies)
        self.batch_size, self.device = batch_size, device
        self.num_workers = loader.get('num_workers', 0)
        self.source = dict(
            dataset=type(self.dataset).__name__, root=str(getattr(self.dataset, 'data_root', ''))
        )

    def __len__(self) -> int:
        return len(self.dataset)

    def first(self, index: int) -> dict:
        """The first row of a sample as a batch."""
        return self._move(pseudo_collate([self.rows[index * self.num_copies]]))

    def batches(self, start: int = 0) -> Iterator[dict]:
        """Batches of rows, from row ``start`` on."""
        loader = DataLoader(
            Subset(self.rows, range(start, len(self.rows))),
            self.batch_size,
            num_workers=self.num_workers,
            collate_fn=pseudo_collate,
        )
        yield from map(self._move, loader)

    def _move(self, batch: dict) -> dict:
        points = batch['inputs']['points']
        samples = [sample.to(self.device) for sample in batch['data_samples']]
        return dict(points=[cloud.to(self.device) for cloud in points], data_samples=samples)

    def infos(self) -> list:
        """Data samples with ids and categories, without loading anything."""
        infos = map(self.dataset.get_data_info, range(len(self)))
        return [
            BaseDataElement(metainfo={k: info[k] for k in ('sample_id', 'category') if k in info})
            for info in infos
        ]


def text_rows(target: TextTarget, samples: Samples) -> Rows:
    """All distinct texts of a data set, sorted."""
    if target.source == 'category':
        loaded = [dict(data_samples=samples.infos())]
    else:
        num_batches = -(-len(samples) // samples.batch_size)
        loaded = tqdm(samples.batches(), 'collecting texts', total=num_batches)
    texts = sorted({text for batch in loaded for text in target.texts(batch['data_samples'])})

    def batches(start):
        for i in range(start, len(texts), samples.batch_size):
            yield target.read(texts[i : i + samples.batch_size]), None

    return Rows(texts, target.bank.feats.shape[1:], batches, samples.source, {})


def image_rows(target: BaseImageTarget | DenseTarget, samples: Samples) -> Rows:
    """The views of all samples of a data set, in all copies."""
    if isinstance(target, BaseImageTarget):
        target.refuse_random_views()
    elif not target.copies:
        raise ValueError(
            f'{type(target).__name__} reads views of the augmented clouds, of which a fixed '
            'number of copies can be cached: give copies or max_gb (--copies, --max-gb).'
        )
    keys = sample_ids(samples.infos())

    def batches(start):
        for batch in samples.batches(start):
            ids = sample_ids(batch['data_samples'])
            rows = range(start, start + len(ids))
            expected = [keys[row // samples.num_copies] for row in rows]
            if ids != expected:
                raise ValueError(
                    f'The data set returned the samples {ids[:3]}, ..., expected '
                    f'{expected[:3]}, ...: an index must always give the same sample.'
                )
            inputs = fixed_inputs(target, batch)
            dense = isinstance(target, DenseTarget)
            seen = inputs if dense else target.views.render(inputs)
            yield target.read(seen), target.digests(inputs)
            start += len(ids)

    probes = probe(target, samples)
    return Rows(keys, target.shape, batches, samples.source, probes, target.tolerance)


def probe(target: BaseImageTarget | DenseTarget, samples: Samples) -> dict[int, int]:
    """Load some samples twice.

    Returns:
        Hash of the inputs of the teacher, by the index of the sample.

    Raises:
        ValueError: The inputs differ.
    """
    digests = {}
    for index in np.linspace(0, len(samples) - 1, NUM_PROBES, dtype=int).tolist():
        first, second = (
            int(target.digests(fixed_inputs(target, samples.first(index)))) for _ in range(2)
        )
        if first != second:
            what = 'clouds' if isinstance(target, DenseTarget) else target.views.field
            raise ValueError(
                f'The {what} of sample {index} differ each time they are loaded: the pipeline '
                'augments them. Cache a fixed number of augmented copies of images (--copies, '
                '--max-gb), give AugmentRendering train=False, put KeepViewPoints before random '
                'steps, or train without a cache.'
            )
        digests[index] = first
    return digests


def fixed_inputs(target: BaseImageTarget | DenseTarget, batch: dict) -> Tensor:
    """Inputs of the views of a batch; ``ValueError`` if there are none."""
    if isinstance(target, DenseTarget):
        return stack_clouds(batch['points'], batch['data_samples'])[..., :3]
    inputs = target.views.inputs(batch['data_samples'])
    if inputs is None:
        raise ValueError(f'The samples have no {target.views.field} to cache. {target.views.hint}.')
    return inputs


def frame_rows(target: PointTarget, frames: dict, batch_size: int, device: str) -> Rows:
    """All distinct images of a folder of posed frames.

    Args:
        target: Of the hook.
        frames: Arguments of :class:`LoadPosedFrames`.
        batch_size: Images per forward pass.
        device: Of the teacher.

    Raises:
        FileNotFoundError: No such folder, or no frames in it.
    """
    root = existing(frames['root'], 'posed frames are read there', 'Set frames.root of the hook.')
    size = frames.get('size', (240, 320))

    def read(path: Path, intrinsics: dict) -> Tensor:
        image, _ = read_image(path, intrinsics, size)
        return torch.tensor(image).movedim(-1, 0)[None].float() / 255

    files: dict[str, tuple[Path, dict]] = {}
    for folder in visible(root):
        if not (folder / CAMERAS).is_file():
            continue
        ids, _, intrinsics = read_cameras(folder)
        for i in np.sort(ids):
            file = folder / f'{i:05d}.jpg', intrinsics
            (key,) = image_keys(read(*file))
            files.setdefault(key, file)
    if not files:
        raise FileNotFoundError(f'No {CAMERAS} in the folders of {root}.')
    images = list(files.values())

    def batches(start):
        for i in range(start, len(images), batch_size):
            some = torch.cat([read(*file) for file in images[i : i + batch_size]])
            yield target.maps(some.to(device)), None

    shape = target.maps(read(*images[0]).to(device)).shape[1:]
    return Rows(list(files), shape, batches, dict(root=str(frames['root'])), {})
