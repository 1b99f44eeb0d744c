"""Check that test shapes were not used in training."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import ConfigDict
from mmengine.logging import print_log

from mmkd3d.checkpoints import read_checkpoint
from mmkd3d.checkpoints.stored import ADVICE, check_buildable, items_of, parse_config, registered
from mmkd3d.datasets.identity import Identity, identify
from mmkd3d.registry import DATASETS


class HeldOut:
    """Refuse test shapes that were used in training.

    Args:
        test: Identity of the test set.
        allow: Return a note instead of raising an error.
        trust: See :func:`~mmkd3d.load_student`.
    """

    def __init__(self, test: Identity, *, allow: bool = False, trust: bool = False):
        self.test, self.allow, self.trust = test, allow, trust
        self._known: dict[str, Identity] = {}

    def compare(self, train: Identity, where: str) -> str:
        """Compare the test set with a training set.

        Args:
            train: Identity of the training set.
            where: Its name for messages.

        Returns:
            A note for the protocol; empty without shared shapes.

        Raises:
            ValueError: Shared shapes, which are not allowed.
        """
        shared = np.flatnonzero(np.isin(self.test.digests, train.digests))
        if not len(shared):
            return ''
        if not self.allow:
            names = ', '.join(self.test.names[i] for i in shared[:5])
            more = ', ...' if len(shared) > 5 else ''
            raise ValueError(
                f'{len(shared)} of {len(self.test.names)} test shapes ({names}{more}) are in '
                f'{where}, so the result would be too good: test on held-out shapes, or '
                'confirm with --allow-shared-shapes (allow_shared_shapes=True).'
            )
        return f'{len(shared)} test shapes are in {where}'

    def compare_pretraining(self, checkpoint: str | Path) -> str:
        """Compare the test set with the training data of a checkpoint.

        Builds the data set from the config in the checkpoint. If that fails,
        logs a warning and checks nothing. Data of earlier stages is unknown.

        Returns:
            As :meth:`compare`.
        """
        try:
            train = self._pretraining(checkpoint)
        except (FileNotFoundError, ImportError, KeyError, TypeError, ValueError) as error:
            print_log(
                'Did not check whether test shapes are in the pretraining data of '
                f'{checkpoint}: {error}',
                'current',
                logging.WARNING,
            )
            return ''
        return self.compare(train, 'the pretraining data')

    def _pretraining(self, checkpoint: str | Path) -> Identity:
        cfg = parse_config(read_checkpoint(checkpoint, trust=self.trust))
        dataset = cfg and (cfg.get('train_dataloader') or {}).get('dataset')
        if not dataset:
            raise ValueError('it does not contain their config.')
        dataset = without_pipelines(dataset)
        if not self.trust:
            check_dataset(dataset)
        key = repr(dataset)
        if key not in self._known:
            self._known[key] = identify(DATASETS.build(dataset))
        return self._known[key]


def check_dataset(dataset: Mapping) -> None:
    """Refuse a stored data set that could run code, also by unpickling its annotations.

    Raises:
        ValueError: See :func:`~mmkd3d.checkpoints.stored.check_buildable`.
    """
    check_buildable(dataset, files=True)
    for key, value in items_of(dataset):
        modules = [part.__module__ for part in registered(value)] if key == 'type' else []
        if (
            key == 'ann_file'
            and value
            or any(m.startswith(('mmdet.', 'mmdet3d.')) for m in modules)
        ):
            raise ValueError(
                f'Its data set may unpickle its annotations ({key}={value!r}). {ADVICE}'
            )


def without_pipelines(cfg: Any) -> Any:
    """Reduce all pipelines in the config of a data set to ``LoadPoints``."""
    if isinstance(cfg, Mapping):
        return ConfigDict(
            {
                key: [step for step in value if loads_points(step)]
                if key == 'pipeline'
                else without_pipelines(value)
                for key, value in cfg.items()
            }
        )
    if isinstance(cfg, Sequence) and not isinstance(cfg, str):
        return type(cfg)(without_pipelines(part) for part in cfg)
    return cfg


def loads_points(step: Any) -> bool:
    """Whether a step of a pipeline is ``LoadPoints``."""
    kind = step.get('type', '') if isinstance(step, Mapping) else ''
    return str(kind).rsplit('.', 1)[-1] == 'LoadPoints'
