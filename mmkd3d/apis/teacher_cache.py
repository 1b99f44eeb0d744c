"""Ask the teachers of a pretraining config once, and keep the answers."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.device import get_device
from mmengine.registry import init_default_scope
from mmengine.structures import BaseDataElement
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset
from tqdm import tqdm

from mmkd3d.models.targets.pictures import PictureTarget, sample_ids
from mmkd3d.models.targets.text import TextTarget
from mmkd3d.models.teachers.cache_writer import CacheWriter, remove_cache
from mmkd3d.registry import DATASETS, MODELS
from mmkd3d.utils.digest import row_digests

PROBES = 4  # samples that are loaded twice


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
    """Build a cache for every target of a pretraining config.

    An unfinished cache is gone on with; a finished one is left as it is.

    Args:
        cfg: With ``model.targets`` and ``train_dataloader``.
        out: Folder; the cache of target NAME is ``out/NAME``.
        only: Names of targets; empty takes all.
        dtype: Of the storage: ``'float32'`` or ``'float16'``.
        batch_size: Samples, or texts, that are read at a time.
        rebuild: Remove what is there first.
        device: Of the teachers; None chooses.

    Returns:
        The folder of each cache by the name of its target.

    Raises:
        StaleCacheError: A folder holds a cache of something else.
        ValueError: No such targets, or inputs that no cache can stand for.
    """
    init_default_scope(cfg.get('default_scope', 'mmkd3d'))
    chosen = choose_targets(cfg, only)
    loading = cfg.train_dataloader
    device = device or get_device()
    source = Source(
        DATASETS.build(loading.dataset), batch_size, loading.get('num_workers', 0), device
    )
    folders = {}
    for name, target_cfg in chosen.items():
        target = MODELS.build({**target_cfg, 'cache': None}).to(device)
        folders[name] = Path(out) / name
        if rebuild:
            remove_cache(folders[name])
        build = cache_texts if isinstance(target, TextTarget) else cache_images
        build(target, source, folders[name], dtype)
    return folders


def choose_targets(cfg: Config, only: Sequence[str] = ()) -> dict[str, dict]:
    """Configs of the targets that have a cache, by name."""
    targets = {name: target for name, target in (cfg.model.get('targets') or {}).items() if target}
    target = cfg.model.get('target')
    if target and issubclass(MODELS.get(target['type']), PictureTarget):
        targets['target'] = target
    unknown = [name for name in only if name not in targets]
    if unknown or not targets:
        raise ValueError(
            f'The model {cfg.model.type} has the targets '
            f'{", ".join(targets) or "none"}'
            f'{f", not {unknown}" if unknown else ""}: only what a frozen '
            'teacher says in model.targets is cached.'
        )
    return {name: targets[name] for name in only or targets}


class Source:
    """The samples of a data set in their order.

    Args:
        dataset: Of the training.
        batch_size: Of the batches.
        num_workers: Of the loader.
        device: Of the samples in the batches.
    """

    def __init__(self, dataset: Dataset, batch_size: int, num_workers: int, device: str):
        self.dataset = dataset
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.device = device

    def __len__(self) -> int:
        return len(self.dataset)

    def sample(self, index: int) -> BaseDataElement:
        """Load one."""
        return self.dataset[index]['data_samples'].to(self.device)

    def batches(self, start: int = 0) -> Iterator[list]:
        """Lists of data samples, from sample ``start`` on."""
        loader = DataLoader(
            Subset(self.dataset, range(start, len(self))),
            self.batch_size,
            num_workers=self.num_workers,
            collate_fn=pseudo_collate,
        )
        for batch in loader:
            yield [sample.to(self.device) for sample in batch['data_samples']]

    def unloaded(self) -> list:
        """Data samples with what is known before anything is loaded."""
        infos = map(self.dataset.get_data_info, range(len(self)))
        known = ('sample_id', 'category')
        return [
            BaseDataElement(metainfo={k: info[k] for k in known if k in info}) for info in infos
        ]

    def describe(self) -> dict:
        """For people who read the manifest."""
        return dict(
            dataset=type(self.dataset).__name__, root=str(getattr(self.dataset, 'data_root', ''))
        )


def cache_texts(target: TextTarget, source: Source, folder: Path, dtype: str) -> None:
    """Cache all texts of a data set, in alphabetical order."""
    if target.source == 'category':
        batches = [source.unloaded()]
    else:  # the pipeline brings them
        batches = tqdm(
            source.batches(),
            f'{folder.name}: collecting texts',
            total=-(-len(source) // source.batch_size),
        )
    texts = sorted({text for b in batches for text in target.texts(b)})
    writer = CacheWriter(
        folder,
        texts,
        target.bank.feats.shape[1:],
        identity=target.identity(),
        source=source.describe(),
        dtype=dtype,
    )
    with progress(writer, len(texts), 'text') as bar:
        while writer.done < len(texts):
            chunk = texts[writer.done : writer.done + source.batch_size]
            writer.write(target.read(chunk).cpu().numpy())
            bar.update(len(chunk))


def cache_images(target: PictureTarget, source: Source, folder: Path, dtype: str) -> None:
    """Cache the views of all samples of a data set."""
    target.refuse_random_views()
    digests = probe(target, source)
    keys = sample_ids(source.unloaded())
    writer = CacheWriter(
        folder,
        keys,
        target.shape,
        identity=target.identity(),
        source=source.describe(),
        dtype=dtype,
        digests=True,
    )
    writer.refuse_changed(digests)
    with progress(writer, len(keys), 'sample') as bar:
        for samples in source.batches(writer.done):
            ids = sample_ids(samples)
            expected = keys[writer.done : writer.done + len(ids)]
            if ids != expected:
                raise ValueError(
                    f'The data set gave the samples {ids[:3]}, ... where '
                    f'{expected[:3]}, ... stand: an index must mean the same '
                    'sample every time.'
                )
            given = carried(target, samples)
            feats = target.read(target.pairs.draw(given))
            writer.write(feats.cpu().numpy(), row_digests(given).cpu().numpy())
            bar.update(len(ids))


def probe(target: PictureTarget, source: Source) -> dict[int, int]:
    """Load some samples twice.

    Returns:
        Digest of what the teacher would see, by the index of the sample.

    Raises:
        ValueError: It is not the same both times.
    """
    digests = {}
    for index in np.linspace(0, len(source) - 1, PROBES, dtype=int).tolist():
        given = [carried(target, [source.sample(index)]) for _ in range(2)]
        first, second = (int(row_digests(x)) for x in given)
        if first != second:
            raise ValueError(
                f'The {target.pairs.carries} of sample {index} differ from '
                'one loading to the next: the pipeline augments them. Their '
                'features can not be cached: give AugmentRendering '
                'train=False; put KeepViewPoints before random steps; or '
                'train without a cache.'
            )
        digests[index] = first
    return digests


def carried(target: PictureTarget, samples: list) -> Tensor:
    """What the samples bring to be seen; ``ValueError`` if nothing."""
    given = target.pairs.inputs(samples)
    if given is None:
        raise ValueError(f'The samples bring nothing to be cached. {target.pairs.way_out}.')
    return given


def progress(writer: CacheWriter, count: int, unit: str) -> tqdm:
    """Say how large the features will be, and open a progress bar."""
    tqdm.write(
        f'{writer.folder}: {count} {unit}s, '
        f'{writer.num_bytes / 1e6:.1f} MB; {writer.done} are there'
    )
    return tqdm(desc=writer.folder.name, total=count, initial=writer.done, unit=unit)
