"""Features of a frozen student, extracted once."""

import hashlib
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

from mmkd3d.datasets.identity import data_hash, parts
from mmkd3d.utils.atomic import write_atomic
from mmkd3d.utils.hashes import text_digest

POOLINGS = ('global', 'max', 'mean', 'max-mean')
VERSION = 1  # of what is written; raise it when that changes
AGAIN = 4  # shapes whose features are computed anew, to compare


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
        model: A pretrainer; its student is put in eval mode.
        dataset: Yields packed samples with ``gt_label``.
        batch_size: Clouds at a time.
        pooling: ``'global'``, as the student's paper pools its tokens; their
            ``'max'``, their ``'mean'``, or both side by side, ``'max-mean'``.
        progress: Show a bar on a terminal.

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
    """Of a packed sample; ``ValueError`` where it has none."""
    if 'gt_label' not in sample:
        raise ValueError(
            f'{sample.get("sample_id", "A sample")} has no label: name the '
            'array of labels (label=...), or put shapes in one folder for '
            'each class.'
        )
    return int(sample.gt_label)


def check_finite(features: np.ndarray) -> None:
    """``ValueError`` if a feature is NaN or infinite."""
    bad = ~np.isfinite(features).all(1)
    if bad.any():
        raise ValueError(
            f'The features of {bad.sum()} of {len(bad)} shapes are NaN or '
            'infinite: the student has diverged. Take a checkpoint from '
            'before that.'
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
    """Features that are extracted only if ``folder`` does not have them.

    A file is named after what its features were made of: weights, config,
    shapes, labels, pipeline and pooling. Of a few shapes they are computed
    again, so that a change of the code shows, too. What is damaged or does
    not agree is made anew, with a line in the log.

    Args:
        model: See :func:`extract_features`.
        dataset: See :func:`extract_features`.
        folder: Of the cache.
        config: Text of the model's config.
        data: Hash of the data set; None computes it.
        batch_size: See :func:`extract_features`.
        pooling: See :func:`extract_features`.

    Returns:
        As :func:`extract_features`.
    """
    steps = [repr(getattr(part, 'pipeline', '')) for part in parts(dataset)]
    identity = dict(
        version=VERSION,
        weights=weights_digest(model),
        config=text_digest([config]),
        data=data or data_hash(dataset),
        pipeline=steps,
        pooling=pooling,
    )
    text = json.dumps(identity)
    path = Path(folder) / f'{text_digest([text])}.npz'
    stored = read_features(path, text) if path.exists() else None
    if stored is not None:
        few = Subset(dataset, range(min(AGAIN, len(dataset))))
        now, _ = extract_features(model, few, pooling=pooling, progress=False)
        then = stored[0][: len(now)]
        if np.allclose(now, then, rtol=1e-3, atol=1e-4 * np.abs(then).max()):
            print_log(f'Features are those of {path}', 'current')
            return stored
        warn(
            f'{path} holds other features than those of now: the code has '
            'changed, or the pipeline draws points. They are made anew.'
        )
    features, labels = extract_features(model, dataset, batch_size=batch_size, pooling=pooling)
    store_features(path, features, labels, text)
    return features, labels


def store_features(path: Path, features: np.ndarray, labels: np.ndarray, identity: str) -> None:
    """Write what :func:`read_features` reads, beside others who do so."""
    buffer = io.BytesIO()
    np.savez(buffer, features=features, labels=labels, identity=identity)
    own = path.with_name(f'{path.stem}.{os.getpid()}.npz')
    write_atomic(own, buffer.getvalue())
    os.replace(own, path)


def read_features(path: Path, identity: str) -> tuple[np.ndarray, np.ndarray] | None:
    """What was stored; None, with a warning, if it is of no use."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            found = str(stored['identity'])
            features, labels = stored['features'], stored['labels']
    except Exception as error:  # zip and header errors of many kinds
        warn(f'{path} is damaged ({error}). Its features are made anew.')
        return None
    if found != identity or len(features) != len(labels):
        warn(f'{path} holds the features of something else. They are made anew.')
        return None
    return features, labels


def warn(message: str) -> None:
    """A warning of the log."""
    print_log(message, 'current', logging.WARNING)


def weights_digest(model: nn.Module) -> str:
    """Checksum of names, shapes and values of all weights, 16 digits."""
    checksum = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        value = value.detach().cpu().contiguous()
        checksum.update(f'{name} {value.dtype} {tuple(value.shape)}'.encode())
        checksum.update(value.reshape(-1).view(torch.uint8).numpy())
    return checksum.hexdigest()[:16]
