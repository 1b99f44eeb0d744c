"""Which data a training and its test have seen."""

import threading
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmkd3d.datasets.identity import Identity, identify
from mmkd3d.evaluation.held_out import HeldOut
from mmkd3d.registry import DATASETS

SCOPE = threading.Lock()  # mmengine has one default scope for all threads


def identify_data(cfg: Config) -> dict[str, Identity]:
    """What the data sets ``'train'`` and ``'test'`` of a config hold."""
    datasets = {
        name: cfg.get(f'{name}_dataloader', {}).get('dataset') for name in ('train', 'test')
    }
    with SCOPE:
        init_default_scope(cfg.get('default_scope', 'mmkd3d'))
        return {
            name: identify(DATASETS.build(dataset)) for name, dataset in datasets.items() if dataset
        }


def shared_notes(cfg: Config, known: Mapping[str, Identity], *, allow: bool = False) -> list[str]:
    """Notes on test shapes that were learned from, for a protocol.

    Those that are in the training set are noted: published sets have some.
    Those that the student was pretrained on are refused.

    Args:
        cfg: Of a training with a test.
        known: From :func:`identify_data`.
        allow: Only note the latter, too.

    Raises:
        ValueError: Test shapes are in the data that a checkpoint was trained
            on from which the model starts, and that is not allowed.
    """
    if 'test' not in known:
        return []
    notes = []
    if 'train' in known:
        noted = HeldOut(known['test'], allow=True)
        notes.append(noted.compare(known['train'], 'the training set'))
    held_out = HeldOut(known['test'], allow=allow)
    with SCOPE:
        init_default_scope(cfg.get('default_scope', 'mmkd3d'))
        notes += map(held_out.compare_pretraining, checkpoints_of(cfg))
    return list(filter(None, notes))


def checkpoints_of(cfg: Config) -> list[str]:
    """The files that a model starts from, each once."""
    found = [*initial(cfg.model), cfg.get('load_from')]
    return list(dict.fromkeys(filter(None, found)))


def initial(part: Any) -> Iterator[str]:
    """The checkpoints of all ``init_cfg`` in a part of a config."""
    if isinstance(part, Mapping):
        yield (part.get('init_cfg') or {}).get('checkpoint')
        for value in part.values():
            yield from initial(value)
    elif isinstance(part, (list, tuple)):
        for value in part:
            yield from initial(value)
