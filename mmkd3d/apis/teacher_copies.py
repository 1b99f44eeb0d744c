"""Trainings and caches with a fixed number of augmented copies of each sample."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config
from torch.utils.data import Dataset

from mmkd3d.datasets.identity import parts
from mmkd3d.datasets.transforms.copies import AugmentedCopies
from mmkd3d.models.targets.base import BaseImageTarget
from mmkd3d.models.targets.cache import read_record
from mmkd3d.models.targets.dense import DenseTarget
from mmkd3d.registry import MODELS

STEP = 'AugmentedCopies'
IMAGE_STEPS = ('LoadRendering', 'AugmentRendering')
FIXED_STEPS = ('LoadPoints', 'PackPoints')
HEADER = 256  # bytes, the most that numpy writes before the features


def use_cached_copies(cfg: Config) -> None:
    """Fit a training to its caches of augmented copies.

    The pipeline draws copies of the samples instead of augmenting them. Images
    whose features are cached are not loaded.

    Args:
        cfg: Of the training; changed in place.
    """
    targets = model_targets(cfg).values()
    images = [target for target in targets if not has_clouds(target) and is_augmented(cfg, target)]
    for target in targets:
        folder = None if target.get('copies') else target.get('cache')
        record = read_record(Path(folder)) if folder else None
        copies = record['identity'].get('copies') if record else None
        if copies and is_augmented(cfg, target):
            target['copies'] = draw_copies(cfg, target, copies['num_copies'])
            if target in images and all(other.get('cache') for other in images):
                drop_images(cfg)


def model_targets(cfg: Config) -> dict[str, dict]:
    """Configs of the targets of a model by their option, such as ``model.targets.img``."""
    targets = {f'model.targets.{k}': v for k, v in (cfg.model.get('targets') or {}).items()}
    return {k: v for k, v in {**targets, 'model.target': cfg.model.get('target')}.items() if v}


def has_clouds(target: dict) -> bool:
    """Whether the teacher of a target sees the augmented clouds."""
    return issubclass(MODELS.get(target['type']), DenseTarget)


def is_augmented(cfg: Config, target: dict) -> bool:
    """Whether the pipeline or the data preprocessor augments what a teacher sees."""
    if has_clouds(target):
        return True
    views = target.get('views') or dict(type='RenderedViews', renderer=target.get('renderer'))
    has_images = name_of(views) == 'RenderedViews' and not views.get('renderer')
    if not issubclass(MODELS.get(target['type']), BaseImageTarget) or not has_images:
        return False
    steps = [step for dataset in datasets_of(cfg) for step in dataset['pipeline']]
    return any(
        name_of(step) == STEP or (name_of(step) == 'AugmentRendering' and step.get('train', True))
        for step in steps
    )


def draw_copies(cfg: Config, target: dict, num_copies: int) -> dict:
    """Let the pipeline of the training data draw augmented copies for a target.

    For a target that sees the clouds, all steps get fixed random numbers, and
    the augmentation of the data preprocessor moves into the pipeline; for one
    that sees images, the steps of images do. A pipeline with
    :class:`AugmentedCopies` stays as it is.

    Args:
        cfg: Of the training; changed in place.
        target: Config of a target that ``is_augmented``.
        num_copies: K.

    Returns:
        Arguments of :class:`AugmentedCopies`.

    Raises:
        ValueError: The training data have several pipelines, or one that draws another number.
    """
    datasets = list(datasets_of(cfg))
    if any(dataset['pipeline'] != datasets[0]['pipeline'] for dataset in datasets):
        raise ValueError(
            'The data sets of train_dataloader have different pipelines: augmented copies need '
            'the same one for all.'
        )
    for step in datasets[0]['pipeline']:
        if name_of(step) == STEP:
            if step['num_copies'] != num_copies:
                raise ValueError(
                    f'The pipeline draws {step["num_copies"]} augmented copies, expected '
                    f'{num_copies}: set num_copies of {STEP} to the number in the cache.'
                )
            return {k: v for k, v in step.items() if k != 'type'}
    augments = []
    if has_clouds(target):
        preprocessor = cfg.model.get('data_preprocessor') or {}
        augments, preprocessor['augments'] = list(preprocessor.get('augments', ())), []
    pipeline = list(datasets[0]['pipeline'])
    inside = [step for step in pipeline if is_inside(step, has_clouds(target))]
    copies = dict(num_copies=num_copies, transforms=inside, augments=augments)
    first = next(
        i for i, step in enumerate(pipeline) if step in inside or name_of(step) == 'PackPoints'
    )
    rest = [step for step in pipeline if step not in inside]
    for dataset in datasets:
        dataset['pipeline'] = [*rest[:first], dict(type=f'mmkd3d.{STEP}', **copies), *rest[first:]]
    return copies


def is_inside(step: dict, clouds: bool) -> bool:
    """Whether a step runs with fixed random numbers."""
    return name_of(step) not in FIXED_STEPS if clouds else name_of(step) in IMAGE_STEPS


def drop_images(cfg: Config) -> None:
    """Load no images, but draw the number of a copy."""
    for dataset in datasets_of(cfg):
        for step in dataset['pipeline']:
            if name_of(step) == STEP:
                step['transforms'] = [
                    inner for inner in step['transforms'] if name_of(inner) not in IMAGE_STEPS
                ]


def datasets_of(cfg: Config) -> Iterator[dict]:
    """Configs of the training data, inside wrappers."""

    def inner(dataset):
        if 'pipeline' in dataset:
            yield dataset
        for part in [*(dataset.get('datasets') or ()), dataset.get('dataset')]:
            if part:
                yield from inner(part)

    return inner(cfg.train_dataloader.dataset)


def name_of(step: dict) -> str:
    """Type of a transform without its scope."""
    return str(step['type']).rpartition('.')[2]


def fit_copies(num_bytes: int, copies: int | None, max_gb: float | None) -> int:
    """K, the number of copies to cache.

    Args:
        num_bytes: Size of one copy of all samples.
        copies: K; None: as many as fit, or 1.
        max_gb: Largest size of the file with all copies, in 1e9 bytes; None:
            any.

    Raises:
        ValueError: One copy or ``copies`` do not fit, ``copies`` is below 1, or
            ``max_gb`` is no positive number.
    """
    if copies is not None and copies < 1:
        raise ValueError(f'copies must be at least 1, got {copies}.')
    if max_gb is None:
        return copies or 1
    if not 0 < max_gb < float('inf'):
        raise ValueError(f'max_gb must be a positive number of GB, got {max_gb}.')
    fit = max(int((max_gb * 1e9 - HEADER) // num_bytes), 0)
    if fit < (copies or 1):
        raise ValueError(
            f'One augmented copy of the features takes {num_bytes / 1e9:.4g} GB: {max_gb:g} GB '
            f'hold {fit or "none"}{f" of {copies}" if copies else ""}. Raise max_gb (--max-gb), '
            'lower copies (--copies), or store float16.'
        )
    return copies or fit


class CopyRows(Dataset):
    """All K copies of each sample of a data set, one after the other.

    Args:
        dataset: Its pipeline draws copies, or K is 1.
        num_copies: K.
    """

    def __init__(self, dataset: Any, num_copies: int):
        self.dataset, self.num_copies = dataset, num_copies
        pipelines = [getattr(part, 'pipeline', None) for part in parts(dataset)]
        steps = [step for pipeline in pipelines for step in getattr(pipeline, 'transforms', ())]
        self.steps = [step for step in steps if isinstance(step, AugmentedCopies)]

    def __len__(self) -> int:
        return len(self.dataset) * self.num_copies

    def __getitem__(self, row: int) -> dict:
        index, copy_idx = divmod(row, self.num_copies)
        for step in self.steps:
            step.only = copy_idx
        return self.dataset[index]
