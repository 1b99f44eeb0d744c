"""Evaluate frozen students of one config on one labelled data set."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mmengine.device import get_device
from mmengine.registry import init_default_scope
from mmengine.runner import set_random_seed

from mmkd3d.apis.config_files import list_models
from mmkd3d.apis.load import find_config, load_student
from mmkd3d.checkpoints import load_pretrained
from mmkd3d.checkpoints.shipped import find_checkpoint
from mmkd3d.datasets.identity import identify
from mmkd3d.evaluation.features import cached_features
from mmkd3d.evaluation.held_out import HeldOut
from mmkd3d.evaluation.protocols import Probes, Result
from mmkd3d.evaluation.records import make_record
from mmkd3d.evaluation.zero_shot import is_zero_shot, zero_shot_accuracy
from mmkd3d.registry import DATASETS, MODELS

RANDOM = 'none'


class Run(NamedTuple):
    """A student: its checkpoint, None for random weights, and its seed."""

    checkpoint: str | None
    seed: int


class StudentProbe:
    """Probes of students of one config, each extracted once.

    Args:
        config: See :func:`load_student`; a zero-shot config for zero-shot.
        splits: Configs of the data sets ``'train'`` and ``'test'``; the
            latter suffices for zero-shot alone.
        probes: Probes to run on the features.
        zero_shot: Also classify by class names.
        pooling: See :func:`extract_features`.
        cache: Folder of features.
        allow_shared_shapes: Note in the protocol, instead of an error, that
            test shapes were used in training.
        trust: See :func:`~mmkd3d.checkpoints.read_checkpoint`.

    Raises:
        ValueError: No training split, one with other classes or with shapes
            of the test, or zero-shot of a config that is not for it.
    """

    def __init__(
        self,
        config: str | Path,
        splits: Mapping[str, dict],
        probes: Probes,
        *,
        zero_shot: bool = False,
        pooling: str = 'global',
        cache: str | Path = 'work_dirs/features',
        allow_shared_shapes: bool = False,
        trust: bool = False,
    ):
        self.name, self.cfg = str(config), find_config(config)
        init_default_scope(self.cfg.get('default_scope', 'mmkd3d'))
        if zero_shot and not is_zero_shot(self.cfg.model):
            raise ValueError(
                f'{self.name} trains a student, and zero-shot needs a config of a zero-shot '
                'classifier with a student of the same size: your own, or one of '
                f'{", ".join(list_models("*zeroshot_*"))}.'
            )
        self.probes, self.zero_shot = probes, zero_shot
        self.pooling, self.cache, self.trust = pooling, cache, trust
        needed = ('train', 'test') if probes else ('test',)
        if 'train' in needed and 'train' not in splits:
            raise ValueError(
                'There is no training split. Name other data (--data), or use zero-shot alone.'
            )
        self.datasets = {split: DATASETS.build(splits[split]) for split in needed}
        self._check_classes()
        self.known = {h: identify(d) for h, d in self.datasets.items()}
        self.held_out = HeldOut(self.known['test'], allow=allow_shared_shapes, trust=trust)
        self.notes = []
        if 'train' in self.known:
            self.notes.append(self.held_out.compare(self.known['train'], 'the training split'))

    def records(
        self, checkpoint: str, seeds: Sequence[int], command: Sequence[str]
    ) -> Iterator[tuple[Result, dict]]:
        """Evaluate students; yields each result with its record.

        Args:
            checkpoint: A file, or the name of a shipped student; a pattern with
                ``{seed}`` for a file per seed; or ``'none'`` for random weights of each seed.
            seeds: Seeds of the students and of the random choices. Probes
                without random choices run once for a single checkpoint.
            command: The command to record.

        Raises:
            FileNotFoundError: A checkpoint is missing.
            ValueError: Test shapes were used in training; or see
                :func:`check_splits`.
        """
        for run, draws in students(checkpoint, seeds):
            notes = list(self.notes)
            if run.checkpoint:
                notes.append(self.held_out.compare_pretraining(run.checkpoint))
            for seed, result in self._results(run, draws):
                yield (
                    result,
                    make_record(
                        protocol='; '.join(filter(None, (result.protocol, *notes))),
                        metrics=result.metrics,
                        seed=seed,
                        config=self.name,
                        checkpoint=run.checkpoint,
                        data_hash={h: k.hash for h, k in self.known.items()},
                        command=command,
                        method=result.key,
                        pooling=self.pooling,
                        chosen=result.chosen,
                    ),
                )

    def _results(self, run: Run, draws: Sequence[int]) -> Iterator[tuple[int, Result]]:
        if self.zero_shot:
            yield run.seed, self._zero_shot(run)
        if not self.probes:
            return
        set_random_seed(run.seed)
        model = load_student(self.cfg, run.checkpoint, device=get_device(), trust=self.trust)
        train, test = (
            cached_features(
                model,
                self.datasets[split],
                self.cache,
                config=repr(self.cfg.model),
                data=self.known[split].hash,
                pooling=self.pooling,
            )
            for split in ('train', 'test')
        )
        for result in self.probes.fixed(train, test):
            yield run.seed, result
        for seed in draws:
            for result in self.probes.drawn(train, test, seed):
                yield seed, result

    def _zero_shot(self, run: Run) -> Result:
        set_random_seed(run.seed)
        model = MODELS.build(self.cfg.model)
        if run.checkpoint:
            load_pretrained(model, run.checkpoint, prefix='', trust=self.trust)
        accuracy = zero_shot_accuracy(model.to(get_device()), self.datasets['test'])
        return Result('zero-shot', 'zero-shot', 'zero-shot by class names', dict(accuracy=accuracy))

    def _check_classes(self) -> None:
        """``ValueError`` if the splits have different classes."""
        names = [d.metainfo.get('classes') for d in self.datasets.values()]
        if any(other != names[0] for other in names):
            raise ValueError(
                f'The splits have different classes: {names[0]} for training, '
                f'{names[1]} for testing. Keep those of both.'
            )


def students(checkpoint: str, seeds: Sequence[int]) -> list[tuple[Run, Sequence[int]]]:
    """Each student with the seeds of its random choices.

    Raises:
        FileNotFoundError: A checkpoint is missing.
    """
    if checkpoint == RANDOM:
        return [(Run(None, seed), [seed]) for seed in seeds]
    names = {seed: checkpoint.replace('{seed}', str(seed)) for seed in seeds}
    files = {seed: str(find_checkpoint(name)) for seed, name in names.items()}
    missing = [file for file in dict.fromkeys(files.values()) if not Path(file).is_file()]
    if missing:
        raise FileNotFoundError(f'No checkpoint at {", ".join(missing)}.')
    if '{seed}' not in checkpoint:
        return [(Run(files[seeds[0]], seeds[0]), seeds)]
    return [(Run(file, seed), [seed]) for seed, file in files.items()]
