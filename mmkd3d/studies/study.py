"""What a study is: steps that need each other, each for several seeds.

A study is a config file with ``seeds``, ``steps`` and ``tables``::

    seeds = (0, 1, 2)
    steps = {
        'point-mae': dict(train='point-mae_pt-t_1xb64-30e_psb'),
        'finetune/point-mae': dict(
            train='cls_pt-t_1xb32-15e_psb-21', test=True,
            options=['model.backbone.init_cfg.checkpoint={point-mae}']),
        'probe/point-mae': dict(
            probe='point-mae_pt-t_1xb64-30e_psb', checkpoint='{point-mae}',
            arguments=['--data', 'shapes.npz', ...]),
    }
    tables = [dict(title='...', rows={'Point-MAE': 'finetune/point-mae'},
                   columns={'acc/overall': 'overall'})]

``{NAME}`` is the result of that step: the last checkpoint of a training, the
folder of a cache. With several seeds it is that of the same seed.
"""

import difflib
import re
import threading
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config, DictAction

from mmkd3d.apis.load import config_path

KINDS = {  # and the other fields that they know, beside seeds
    'train': ('options', 'test', 'best', 'curve', 'protocol', 'extra', 'allow_shared_shapes'),
    'cache': ('options',),
    'probe': ('checkpoint', 'arguments'),
}
TABLE = (
    'title',
    'rows',
    'columns',
    'rows_are',
    'digits',
    'scale',
    'curve',
    'curve_is',
    'steps_per_epoch',
)
READING = threading.Lock()  # mmengine reads one config at a time
PLACE = re.compile(r'\{([^{}]+)\}')


@dataclass(frozen=True)
class Job:
    """One step for one seed.

    Attributes:
        step: Name of the step.
        seed: Of everything random in it.
        kind: One of ``KINDS``.
        config: Path of the config.
        options: For ``--cfg-options``, with ``{NAME}`` still in them.
        arguments: Of ``tools/probe.py``, likewise.
        checkpoint: That is probed, likewise, or ``'none'``.
        test: Whether the training ends with a test, whose metrics count.
        best: Whether the checkpoint that is best on the test set is tested.
        curve: Metric of the validations during the training that is kept too,
            as ``METRIC@EPOCH``; '' for none. Such a job has ``test``.
        allow_shared_shapes: Whether test shapes may have been pretrained on;
            the protocol then says so.
        protocol: What is measured, in words.
        extra: What else its records say: ``dict(fold=3)``.
        given: A checkpoint that stands for the result; nothing is run.
    """

    step: str
    seed: int
    kind: str
    config: Path
    options: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    checkpoint: str = 'none'
    test: bool = False
    best: bool = False
    curve: str = ''
    allow_shared_shapes: bool = False
    protocol: str = ''
    extra: tuple[tuple[str, int], ...] = ()
    given: Path | None = None

    @property
    def name(self) -> str:
        """``STEP/seed_K``."""
        return f'{self.step}/seed_{self.seed}'

    @property
    def needs(self) -> list[str]:
        """Names of the steps whose results it takes."""
        if self.given:
            return []
        text = ' '.join((*self.options, *self.arguments, self.checkpoint))
        return list(dict.fromkeys(PLACE.findall(text)))

    def load_config(self, results: Mapping[str, str]) -> Config:
        """The config with the options, results in their places."""
        parser = ArgumentParser()
        parser.add_argument('options', nargs='*', action=DictAction)
        found = parser.parse_args([fill(o, results) for o in self.options])
        with READING:
            cfg = Config.fromfile(self.config)
        cfg.merge_from_dict(found.options or {})
        return cfg


def fill(text: str, results: Mapping[str, str]) -> str:
    """Put results in the places of their names."""
    return PLACE.sub(lambda found: str(results[found[1]]), text)


def load_study(path: str | Path) -> Config:
    """Read a study, and check what can be checked before anything runs.

    Raises:
        ValueError: No steps, or a table with unknown fields or with a row
            that is no step.
    """
    study = Config.fromfile(path)
    steps = study.get('steps')
    if not steps:
        raise ValueError(
            f'{path} has no steps: a study is a config file '
            'with steps=dict(NAME=dict(train=CONFIG), ...).'
        )
    for table in study.get('tables', ()):
        for field in table:
            if field not in TABLE:
                raise ValueError(f'{path}: a table has the field {field!r}, {near(field, TABLE)}.')
        if not {'title', 'rows'} <= set(table):
            raise ValueError(f'{path}: a table needs a title and rows, got {sorted(table)}.')
        for row, step in table['rows'].items():
            if step not in steps:
                raise ValueError(
                    f'{path}: the row {row!r} of the table '
                    f'{table["title"]!r} is the step {step!r}, '
                    f'{near(step, steps)}.'
                )
    return study


def jobs_of(
    study: Mapping, *, only: Sequence[str] = (), given: Mapping[str, str] | None = None
) -> dict[str, list[Job]]:
    """The jobs of a study, each step after those that it needs.

    Args:
        study: From :func:`load_study`.
        only: Steps, or starts of their names, that are wanted; what they need
            comes with them. Empty takes all.
        given: Step -> pattern of checkpoints that are there already, with
            ``{seed}`` in it: nothing is run for that step.

    Returns:
        Name of the step -> its jobs, one for each seed.

    Raises:
        FileNotFoundError: A checkpoint that was given is not there.
        ValueError: Steps that are not known, need each other in a circle, or
            can not be run: fields that their kind does not know, seeds that
            are none or not distinct, options that set the seed, a test
            without a test set.
    """
    steps, given = study['steps'], given or {}
    for name in given:
        if name not in steps:
            raise ValueError(f'--checkpoint names the step {name!r}, {near(name, steps)}.')
    wanted = [n for n in steps if not only or n.startswith(tuple(only))]
    if not wanted:
        raise ValueError(f'No step starts with {" or ".join(only)}, {near(only[0], steps)}.')
    found: dict[str, list[Job]] = {}

    def visit(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            raise ValueError(f'These steps need each other: {" -> ".join((*above, name))}.')
        if name not in steps:
            raise ValueError(f'{above[-1]} needs {{{name}}}, {near(name, steps)}.')
        if name not in found:
            jobs = step_jobs(name, steps[name], study.get('seeds', (0,)), given.get(name))
            for needed in jobs[0].needs:
                visit(needed, (*above, name))
            found[name] = jobs

    for name in wanted:
        visit(name, ())
    return found


def step_jobs(name: str, step: Mapping, seeds: Sequence[int], pattern: str | None) -> list[Job]:
    """The jobs of one step."""
    step = dict(step)
    kinds = [kind for kind in KINDS if kind in step]
    if len(kinds) != 1:
        raise ValueError(
            f'The step {name!r} has the fields {sorted(step)}: '
            f'exactly one of {tuple(KINDS)} says what is done.'
        )
    kind = kinds[0]
    target, seeds = step.pop(kind), step.pop('seeds', seeds)
    check_step(name, kind, step, seeds)
    config = Path(target) if target.endswith('.py') else config_path(target)
    fields = {
        key: tuple(value) if isinstance(value, (list, tuple)) else value
        for key, value in step.items()
    }
    jobs = []
    for seed in seeds:
        checkpoint = None
        if pattern is not None:
            checkpoint = Path(pattern.replace('{seed}', str(seed)))
            if not checkpoint.exists():
                raise FileNotFoundError(f'--checkpoint {name}={pattern}: there is no {checkpoint}.')
        jobs.append(Job(name, seed, kind, config, given=checkpoint, **fields))
    if pattern is None:
        check_data(jobs[0])
    return jobs


def check_step(name: str, kind: str, step: Mapping, seeds: Sequence[int]) -> None:
    """``ValueError`` if the fields of a step can not be meant."""
    for field, value in step.items():
        if field not in KINDS[kind]:
            raise ValueError(
                f'The step {name!r} has the field {field!r}; of {kind}, {near(field, KINDS[kind])}.'
            )
        if field in ('options', 'arguments') and isinstance(value, str):
            raise ValueError(
                f'The {field} of the step {name!r} are a list of words, got {value!r}.'
            )
    check_seeds(seeds, f'The step {name!r}')
    for option in step.get('options', ()):
        if '=' not in option:
            raise ValueError(f'The step {name!r} has the option {option!r}, expected KEY=VALUE.')
        if option.startswith(('randomness=', 'randomness.seed=')):
            raise ValueError(
                f'The step {name!r} has the option {option!r}, and all of its '
                'seeds would be that one: name the seeds as seeds.'
            )


def check_seeds(seeds: Sequence[int], what: str = 'This') -> None:
    """``ValueError`` unless seeds are distinct whole numbers."""
    if (
        not isinstance(seeds, (list, tuple))
        or not seeds
        or not all(isinstance(seed, int) for seed in seeds)
        or len(set(seeds)) < len(seeds)
    ):
        raise ValueError(
            f'{what} has the seeds {seeds!r}: they are one whole number or more, each once.'
        )


def check_data(job: Job) -> None:
    """``ValueError`` if a training could not be tested in the end."""
    if not job.test:
        return
    cfg = job.load_config({name: name for name in job.needs})
    for half in ('test', 'val') if job.best else ('test',):
        if not cfg.get(f'{half}_dataloader'):
            raise ValueError(
                f'{job.step} is to be tested, and {job.config.stem} has no '
                f'{half}_dataloader: give it one, or leave out test and best.'
            )


def near(name: str, known: Sequence[str]) -> str:
    """Words for an error: what there is, and what may have been meant."""
    hint = difflib.get_close_matches(name, known, n=1)
    return f'there are {", ".join(known)}' + (f'; did you mean {hint[0]!r}?' if hint else '')
