"""Test shapes that a student has not seen before."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import ConfigDict
from mmengine.logging import print_log

from mmkd3d.checkpoints import read_checkpoint, stored_config
from mmkd3d.datasets.identity import Identity, identify, shared_shapes, tell_shared
from mmkd3d.registry import DATASETS


class HeldOut:
    """Refuse test shapes that were learned from.

    Args:
        test: Identity of the test split.
        allow: Only note them.
        trust: See :func:`~mmkd3d.checkpoints.read_checkpoint`.
    """

    def __init__(self, test: Identity, *, allow: bool = False, trust: bool = False):
        self.test, self.allow, self.trust = test, allow, trust
        self._known: dict[str, Identity] = {}

    def compare(self, seen: Identity, where: str) -> str:
        """A note on shapes that are both in ``test`` and in ``seen``.

        Args:
            seen: What was learned from.
            where: What it is called in the note.

        Returns:
            The note, for the name of the protocol; empty where there is none.

        Raises:
            ValueError: There are some, and they are not allowed.
        """
        shared = shared_shapes(seen, self.test)
        if not shared:
            return ''
        if not self.allow:
            raise ValueError(
                f'{tell_shared(shared, self.test)} are in {where}. A result '
                'on them would be too good: test on shapes that were held '
                'out, or say that it is meant (--allow-shared-shapes, '
                'allow_shared_shapes=True).'
            )
        return f'{len(shared)} test shapes are in {where}'

    def compare_pretraining(self, checkpoint: str | Path) -> str:
        """The same for the data that a checkpoint was trained on.

        The data set is built again from the config in the checkpoint. Where
        that can't be done, a warning says that nothing was checked. Data of
        an earlier stage, from which that training started, are not known.

        Returns:
            As :meth:`compare`.
        """
        try:
            seen = self._pretraining(checkpoint)
        except (FileNotFoundError, ImportError, KeyError, TypeError, ValueError) as error:
            print_log(
                'Whether test shapes are in the pretraining data of '
                f'{checkpoint} was not checked: {error}',
                'current',
                logging.WARNING,
            )
            return ''
        return self.compare(seen, 'the pretraining data')

    def _pretraining(self, checkpoint: str | Path) -> Identity:
        cfg = stored_config(read_checkpoint(checkpoint, trust=self.trust))
        dataset = cfg and (cfg.get('train_dataloader') or {}).get('dataset')
        if not dataset:
            raise ValueError('it does not say what they are.')
        dataset = without_pipelines(dataset)
        key = repr(dataset)
        if key not in self._known:
            self._known[key] = identify(DATASETS.build(dataset))
        return self._known[key]


def without_pipelines(cfg: Any) -> Any:
    """Config of a data set that loads points and nothing else."""
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
