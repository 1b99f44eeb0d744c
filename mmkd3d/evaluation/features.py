"""Extract features of a frozen student, with a cache."""

import io
import json
import logging
import os
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
from mmengine.dataset import pseudo_collate
from mmengine.logging import print_log
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset
from tqdm import tqdm

from mmkd3d.datasets.identity import identify, parts
from mmkd3d.evaluation.published import POOLINGS
from mmkd3d.utils.atomic import write_atomic
from mmkd3d.utils.hashes import frozen_fingerprint, text_digest

VERSION = 2  # of the format; increase it with every change
NUM_CHECKED = 4  # shapes whose features are recomputed to validate a cache


@torch.no_grad()
def extract_features(
    model: nn.Module,
    dataset: Dataset,
    *,
    batch_size: int = 32,
    pooling: str = 'global',
    progress: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """Global features of a labelled data set.

    Args:
        model: A pretrainer; set to eval mode.
        dataset: Yields packed samples with ``gt_label``.
        batch_size: Clouds per forward pass.
        pooling: ``'global'``, the pooling of the student's paper; ``'max'`` or
            ``'mean'`` of the tokens, or both concatenated, ``'max-mean'``.
        progress: Show a progress bar on a terminal.

    Returns:
        features (n, D) and labels (n,).

    Raises:
        ValueError: An unknown pooling, a sample without a label, or features
            that are not finite.
    """
    if pooling not in POOLINGS:
        raise ValueError(f'pooling is one of {POOLINGS}, got {pooling!r}.')
    model.eval()
    loader = DataLoader(dataset, batch_size, collate_fn=pseudo_collate)
    features, labels = [], []
    for batch in tqdm(loader, 'features', disable=not progress or None):
        data = model.data_preprocessor(batch, training=False)
        features.append(pooled(model, data, pooling).float().cpu())
        labels += [label_of(sample) for sample in data['data_samples']]
    features = torch.cat(features).numpy()
    check_finite(features)
    return features, np.array(labels)


def pooled(model: nn.Module, data: dict, pooling: str) -> Tensor:
    """Features (B, D) of a batch."""
    if pooling == 'global':
        return model(**data, mode='tensor')
    tokens = model.extract_feat(data['inputs']['points'], 'token')  # (B, G, C)
    found = dict(max=tokens.amax(1), mean=tokens.mean(1))
    return torch.cat([found[name] for name in pooling.split('-')], dim=1)


def label_of(sample) -> int:
    """Label of a packed sample; ``ValueError`` if it has none."""
    if 'gt_label' not in sample:
        raise ValueError(
            f'{sample.get("sample_id", "A sample")} has no label: name the array of labels '
            '(label=...), or put the shapes in one folder per class.'
        )
    return int(sample['gt_label'] if isinstance(sample, dict) else sample.gt_label)


def check_finite(features: np.ndarray) -> None:
    """Raise ``ValueError`` if features are NaN or infinite."""
    bad = ~np.isfinite(features).all(1)
    if bad.any():
        raise ValueError(
            f'The features of {bad.sum()} of {len(bad)} shapes are NaN or infinite: the '
            'student has diverged. Use an earlier checkpoint.'
        )


def cached_features(
    model: nn.Module,
    dataset: Dataset,
    folder: str | Path,
    *,
    config: str = '',
    data: str | None = None,
    batch_size: int = 32,
    pooling: str = 'global',
) -> tuple[np.ndarray, np.ndarray]:
    """Features from a cache, or extracted and stored there.

    The name of a file is a hash of weights, config, shapes, labels, pipeline
    and pooling. The features of a few shapes are recomputed to detect changes
    of the code. Damaged or outdated files are replaced with a warning.

    Args:
        model: See :func:`extract_features`.
        dataset: See :func:`extract_features`.
        folder: Of the cache.
        config: Text of the config of the model.
        data: Hash of the data set; None computes it.
        batch_size: See :func:`extract_features`.
        pooling: See :func:`extract_features`.

    Returns:
        As :func:`extract_features`.
    """
    identity = dict(
        version=VERSION,
        weights=int(frozen_fingerprint(model.state_dict())),
        config=config,
        data=data or identify(dataset).hash,
        pipeline=[repr(getattr(part, 'pipeline', '')) for part in parts(dataset)],
        pooling=pooling,
    )
    path = Path(folder) / f'{text_digest([json.dumps(identity)])}.npz'
    stored = read_features(path)
    if stored is not None:
        few = Subset(dataset, range(min(NUM_CHECKED, len(dataset))))
        now, labels = extract_features(model, few, pooling=pooling, progress=False)
        then = stored[0][: len(now)]
        same = len(then) == len(now) and np.array_equal(labels, stored[1][: len(labels)])
        if same and np.allclose(now, then, rtol=1e-3, atol=1e-4 * np.abs(then).max()):
            print_log(f'Using the features of {path}', 'current')
            return stored
        warn(
            f'{path} has other features than this run: the code has changed, or the pipeline '
            'is random. Extracting them again.'
        )
    features, labels = extract_features(model, dataset, batch_size=batch_size, pooling=pooling)
    store_features(path, features, labels)
    return features, labels


def store_features(path: Path, features: np.ndarray, labels: np.ndarray) -> None:
    """Write a file for :func:`read_features`; safe for concurrent writers."""
    buffer = io.BytesIO()
    np.savez(buffer, features=features, labels=labels)
    own = path.with_name(f'{path.stem}.{os.getpid()}.npz')
    write_atomic(own, buffer.getvalue())
    os.replace(own, path)


def read_features(path: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """Stored features and labels; None if missing or, with a warning, damaged."""
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            return stored['features'], stored['labels']
    except Exception as error:  # zip and header errors of many kinds
        warn(f'{path} is damaged ({error}). Extracting its features again.')
        return None


def warn(message: str) -> None:
    """Log a warning."""
    print_log(message, 'current', logging.WARNING)
