"""Precompute the teacher features of a training config."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

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
from mmkd3d.models.targets.base import BaseImageTarget
from mmkd3d.models.targets.cache import CacheWriter, remove_cache
from mmkd3d.models.targets.points import PointTarget, image_keys
from mmkd3d.models.targets.text import TextTarget
from mmkd3d.registry import DATASETS, MODELS
from mmkd3d.utils.hashes import row_digests
from mmkd3d.utils.samples import sample_ids

NUM_PROBES = 4  # samples that are loaded twice


class Rows(NamedTuple):
    """Content of a cache.

    Attributes:
        keys: Of all rows.
        shape: Of one row.
        batches: ``start -> iterator of (features, input hashes or None)``.
        source: Origin of the data, for people.
        probes: Input hashes of some rows.
    """

    keys: list[str]
    shape: Sequence[int]
    batches: Callable[[int], Iterator[tuple[Tensor, Tensor | None]]]
    source: dict
    probes: dict[int, int]


def cache_targets(
    cfg: Config,
    out: str | Path,
    *,
    only: Sequence[str] = (),
    dtype: str = 'float32',
    batch_size: int = 64,
    rebuild: bool = False,
    device: str | None = None,
) -> dict[str, Path]:
    """Build a feature cache for the targets of a config.

    These are the targets of the :class:`DistillationHook` with ``frames``, or
    without such a hook the ``model.targets`` or the image ``model.target`` of a
    pretraining. Resumes
    unfinished caches and keeps finished ones.

    Args:
        cfg: Of a training.
        out: Output folder; the cache of target NAME is ``out/NAME``.
        only: Names of targets, or of hooks; empty: all.
        dtype: Of the storage: ``'float32'`` or ``'float16'``.
        batch_size: Samples, texts or frames per forward pass.
        rebuild: Remove existing caches first.
        device: Of the teachers; None: the default device.

    Returns:
        The folder of each cache, by the config option that enables it, such as
        ``model.targets.NAME.cache``.

    Raises:
        FileNotFoundError: No frames in the folder of a hook.
        StaleCacheError: A folder has a cache of something else.
        ValueError: No such targets, or targets that cannot be cached.
    """
    init_default_scope(cfg.get('default_scope', 'mmkd3d'))
    device = device or get_device()
    dataset, folders = None, {}
    for option, name, target_cfg, frames in choose_targets(cfg, only):
        target = MODELS.build({**target_cfg, 'cache': None}).to(device)
        if isinstance(target, PointTarget):
            rows = frame_rows(target, frames or {}, batch_size, device)
        else:
            dataset = dataset or DATASETS.build(cfg.train_dataloader.dataset)
            workers = cfg.train_dataloader.get('num_workers', 0)
            samples = Samples(dataset, batch_size, workers, device)
            rows = (text_rows if isinstance(target, TextTarget) else image_rows)(target, samples)
        folders[option] = Path(out) / name
        if rebuild:
            remove_cache(folders[option])
        target.adopt_precision(folders[option])
        write_cache(folders[option], rows, target.identity(), dtype)
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
            name: Target(f'model.targets.{name}.cache', name, target)
            for name, target in (cfg.model.get('targets') or {}).items()
            if target
        }
        target = cfg.model.get('target')
        if target and issubclass(MODELS.get(target['type']), BaseImageTarget):
            found['target'] = Target('model.target.cache', 'target', target)
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
    writer.refuse_changed(rows.probes)
    count = len(rows.keys)
    tqdm.write(f'{folder}: {writer.done} of {count} rows done, {writer.num_bytes / 1e6:.1f} MB')
    with tqdm(desc=folder.name, total=count, initial=writer.done) as bar:
        if writer.done < count:
            for feats, digests in rows.batches(writer.done):
                writer.write(
                    feats.cpu().numpy(), None if digests is None else digests.cpu().numpy()
                )
                bar.update(len(feats))


class Samples:
    """The samples of a data set in order, on a device."""

    def __init__(self, dataset: Any, batch_size: int, num_workers: int, device: str):
        self.dataset, self.batch_size = dataset, batch_size
        self.num_workers, self.device = num_workers, device
        self.source = dict(
            dataset=type(dataset).__name__, root=str(getattr(dataset, 'data_root', ''))
        )

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> BaseDataElement:
        return self.dataset[index]['data_samples'].to(self.device)

    def batches(self, start: int = 0) -> Iterator[list]:
        """Batches of data samples, from sample ``start`` on."""
        loader = DataLoader(
            Subset(self.dataset, range(start, len(self))),
            self.batch_size,
            num_workers=self.num_workers,
            collate_fn=pseudo_collate,
        )
        for batch in loader:
            yield [sample.to(self.device) for sample in batch['data_samples']]

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
        loaded = [samples.infos()]
    else:
        num_batches = -(-len(samples) // samples.batch_size)
        loaded = tqdm(samples.batches(), 'collecting texts', total=num_batches)
    texts = sorted({text for batch in loaded for text in target.texts(batch)})

    def batches(start):
        for i in range(start, len(texts), samples.batch_size):
            yield target.read(texts[i : i + samples.batch_size]), None

    return Rows(texts, target.bank.feats.shape[1:], batches, samples.source, {})


def image_rows(target: BaseImageTarget, samples: Samples) -> Rows:
    """The views of all samples of a data set."""
    target.refuse_random_views()
    keys = sample_ids(samples.infos())

    def batches(start):
        for batch in samples.batches(start):
            ids = sample_ids(batch)
            expected = keys[start : start + len(ids)]
            if ids != expected:
                raise ValueError(
                    f'The data set returned the samples {ids[:3]}, ..., expected '
                    f'{expected[:3]}, ...: an index must always give the same sample.'
                )
            inputs = fixed_inputs(target, batch)
            yield target.read(target.views.render(inputs)), row_digests(inputs)
            start += len(ids)

    return Rows(keys, target.shape, batches, samples.source, probe(target, samples))


def probe(target: BaseImageTarget, samples: Samples) -> dict[int, int]:
    """Load some samples twice.

    Returns:
        Hash of the inputs of the teacher, by the index of the sample.

    Raises:
        ValueError: The inputs differ.
    """
    digests = {}
    for index in np.linspace(0, len(samples) - 1, NUM_PROBES, dtype=int).tolist():
        first, second = (int(row_digests(fixed_inputs(target, [samples[index]]))) for _ in range(2))
        if first != second:
            raise ValueError(
                f'The {target.views.field} of sample {index} differ each time they are '
                'loaded: the pipeline augments them, so their features cannot be cached. '
                'Give AugmentRendering train=False, put KeepViewPoints before random '
                'steps, or train without a cache.'
            )
        digests[index] = first
    return digests


def fixed_inputs(target: BaseImageTarget, samples: list) -> Tensor:
    """Inputs of the views of samples; ``ValueError`` if there are none."""
    inputs = target.views.inputs(samples)
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
