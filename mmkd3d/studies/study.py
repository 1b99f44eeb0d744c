"""What a study is: steps that need each other, each for several seeds.

A study is a config file with ``seeds``, ``steps`` and ``tables``::

    seeds = (0, 1, 2)
    steps = {
        'point-mae': dict(train='point-mae_pt-t_1xb64-30e_psb'),
        'finetune/point-mae': dict(
            train='cls_pt-t_full_1xb32-60e_psb', test=True,
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
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config, DictAction

from mmkd3d.apis.model_hub import config_path

KINDS = ('train', 'cache', 'probe')
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
        cfg = Config.fromfile(self.config)
        cfg.merge_from_dict(found.options or {})
        return cfg


def fill(text: str, results: Mapping[str, str]) -> str:
    """Put results in the places of their names."""
    return PLACE.sub(lambda found: str(results[found[1]]), text)


def load_study(path: str | Path) -> Config:
    """Read a study, and check what can be checked before anything runs.

    Raises:
        ValueError: No steps, a step that is none of ``KINDS`` or knows other
            fields, or a table with a row that is no step.
    """
    study = Config.fromfile(path)
    steps = study.get('steps')
    if not steps:
        raise ValueError(f'{path} has no steps: a study is a config file '
                         'with steps=dict(NAME=dict(train=CONFIG), ...).')
    for table in study.get('tables', ()):
        for row, step in table['rows'].items():
            if step not in steps:
                raise ValueError(f'{path}: the row {row!r} of the table '
                                 f'{table["title"]!r} is the step {step!r}, '
                                 f'{near(step, steps)}.')
    return study


def jobs_of(study: Mapping,
            *,
            only: Sequence[str] = (),
            given: Mapping[str, str] | None = None) -> dict[str, list[Job]]:
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
        ValueError: Steps that are not known or need each other in a circle.
    """
    steps, given = study['steps'], given or {}
    for name in given:
        if name not in steps:
            raise ValueError(f'--checkpoint names the step {name!r}, '
                             f'{near(name, steps)}.')
    wanted = [n for n in steps if not only or n.startswith(tuple(only))]
    if not wanted:
        raise ValueError(f'No step starts with {" or ".join(only)}, '
                         f'{near(only[0], steps)}.')
    found: dict[str, list[Job]] = {}

    def visit(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            raise ValueError('These steps need each other: '
                             f'{" -> ".join((*above, name))}.')
        if name not in steps:
            raise ValueError(f'{above[-1]} needs {{{name}}}, '
                             f'{near(name, steps)}.')
        if name not in found:
            jobs = step_jobs(name, steps[name], study.get('seeds', (0, )),
                             given.get(name))
            for needed in jobs[0].needs:
                visit(needed, (*above, name))
            found[name] = jobs

    for name in wanted:
        visit(name, ())
    return found


def step_jobs(name: str, step: Mapping, seeds: Sequence[int],
              pattern: str | None) -> list[Job]:
    """The jobs of one step."""
    step = dict(step)
    kinds = [kind for kind in KINDS if kind in step]
    if len(kinds) != 1:
        raise ValueError(f'The step {name!r} has the fields {sorted(step)}: '
                         f'exactly one of {KINDS} says what is done.')
    target = step.pop(kinds[0])
    config = Path(target) if target.endswith('.py') else config_path(target)
    jobs = []
    for seed in step.pop('seeds', seeds):
        checkpoint = None
        if pattern is not None:
            checkpoint = Path(pattern.format(seed=seed))
            if not checkpoint.exists():
                raise FileNotFoundError(
                    f'--checkpoint {name}={pattern}: there is no '
                    f'{checkpoint}.')
        fields = {
            key: tuple(value) if isinstance(value, (list, tuple)) else value
            for key, value in step.items()
        }
        try:
            jobs.append(
                Job(name, seed, kinds[0], config, given=checkpoint, **fields))
        except TypeError as error:
            raise ValueError(f'The step {name!r}: {error}.') from error
    return jobs


def near(name: str, known: Sequence[str]) -> str:
    """Words for an error: what there is, and what may have been meant."""
    hint = difflib.get_close_matches(name, known, n=1)
    return (f'there are {", ".join(known)}' +
            (f'; did you mean {hint[0]!r}?' if hint else ''))
