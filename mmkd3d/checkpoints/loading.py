"""Load weights into a module and account for every key."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch.nn as nn
from mmengine.logging import print_log

from .files import read_checkpoint, state_dict_of
from .sources import SOURCES, convert, detect
from .stages import wrong_stage


class LoadReport(NamedTuple):
    """What became of the keys.

    Attributes:
        loaded: Keys of the module that were filled.
        missing: Keys of the module that the file does not have.
        unexpected: Keys of the file, under the prefix, that the module lacks.
        mismatched: Keys with another shape: ``key: file (3,) module (4,)``.
        left_out: Keys of the file outside the prefix, and those that the
            module does not have and may do without.
    """

    loaded: list
    missing: list
    unexpected: list
    mismatched: list
    left_out: list

    def __str__(self) -> str:
        rows = []
        for name, keys in self._asdict().items():
            groups = Counter(re.split('[.:]', key)[0] for key in keys)
            where = ', '.join(f'{g} {n}' for g, n in groups.most_common(6))
            rows.append(f'  {name:<10} {len(keys):>5}  {where}')
        return '\n'.join(rows)


def load_pretrained(
    module: nn.Module,
    checkpoint: str | Path | dict,
    *,
    prefix: str = 'backbone.',
    allow_missing: Sequence[str] = (),
    allow_unexpected: Sequence[str] = (),
    trust: bool = False,
) -> LoadReport:
    """Load a checkpoint, ours or a published one, or say why not.

    Published files (``mmkd3d.checkpoints.SOURCES``) are recognised by their
    keys and renamed first. Then every key under ``prefix`` must fit. Some
    keys may be on one side only: the weights of a teacher, which the file has
    all or none of, heads that a published file carries untrained, and what
    the module's ``skipped_keys`` start as: parts that only training needs.

    Args:
        module: What is filled, in place; untouched if the keys do not fit.
        checkpoint: A file, or a dict as read from one.
        prefix: Where ``module`` stands in the file. Keys that start otherwise
            are left out; a file without any such key is read as a whole.
        allow_missing: Starts of keys that the file may lack, e.g. ``'cls_'``.
        allow_unexpected: Starts of keys that the module may lack.
        trust: See :func:`read_checkpoint`.

    Returns:
        LoadReport: Also written to the log.

    Raises:
        ValueError: A key is missing, unexpected or of another shape.
    """
    name = 'the given dict' if isinstance(checkpoint, dict) else checkpoint
    if not isinstance(checkpoint, dict):
        checkpoint = read_checkpoint(checkpoint, trust=trust)
    state, optional = our_state(checkpoint)
    inside = {k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)}
    left_out = [k for k in state if not k.startswith(prefix)]
    if not inside:
        inside, left_out = state, []
    own = expected_state(module, inside)
    optional += tuple(getattr(module, 'skipped_keys', ()))
    surplus = [k for k in inside if k.startswith(optional) and k not in own]
    inside = {k: v for k, v in inside.items() if k not in surplus}
    report, fitting = compare(own, inside, left_out + surplus)
    problems = find_problems(report, allow_missing, allow_unexpected)
    title = f'{name} -> {type(module).__name__} (prefix {prefix!r})'
    if problems:
        more = f'\n  ... {len(problems) - 8} more' if len(problems) > 8 else ''
        way_out = wrong_stage(inside, own, prefix) or (
            f'The keys of the file start with {starts(state)}. Build the '
            'module with the sizes of the checkpoint, name its prefix, or '
            'list what may differ in allow_missing / allow_unexpected.'
        )
        raise ValueError(
            f'{title} does not fit:\n{report}\n  '
            + '\n  '.join(problems[:8])
            + f'{more}\n{way_out}'
        )
    module.load_state_dict(fitting, strict=False)
    print_log(f'Loaded {title}:\n{report}', logger='current')
    return report


def our_state(checkpoint: dict) -> tuple[dict, tuple]:
    """Our state dict, and the starts of keys in it that a model may lack.

    Only published files, and those converted from them, have such keys.
    """
    state = state_dict_of(checkpoint)
    source = detect(state)
    if source is not None:
        state, meta = convert(state, source)
    else:
        meta = checkpoint.get('meta') or {}
    known = SOURCES.get(meta.get('source'))
    return state, known.optional if known else ()


def expected_state(module: nn.Module, state: dict) -> dict:
    """What ``module`` expects of a file with the keys of ``state``.

    That is its state dict, with the weights of a teacher if the file has any
    of them and without if it has none, whatever the module would write.
    """
    hidden = hidden_states(module)
    expected = {
        key: value
        for key, value in module.state_dict().items()
        if not key.startswith(tuple(hidden))
    }
    for weights in hidden.values():
        if weights.keys() & state.keys():
            expected.update(weights)
    return expected


def hidden_states(module: nn.Module, prefix: str = '') -> dict[str, dict]:
    """Weights of the nets that teachers hide, under the keys they load from.

    A teacher (``hides_net``) keeps its ``net`` out of the modules that torch
    sees; a net may hold further teachers.

    Returns:
        The state dict of each hidden net, without that of nets hidden within,
        by the prefix of its keys: ``teacher.net.``.
    """
    found = {}
    for name, child in module.named_modules(prefix=prefix.rstrip('.')):
        if not getattr(child, 'hides_net', False):
            continue
        start = f'{name}.net.'.lstrip('.')
        within = hidden_states(child.net, start)
        found[start] = {
            key: value
            for key, value in child.net.state_dict(prefix=start).items()
            if not key.startswith(tuple(within))
        }
        found.update(within)
    return found


def compare(own: dict, state: dict, left_out: list) -> tuple[LoadReport, dict]:
    """Account of ``state`` against ``own``, and the entries that fit."""
    fitting, mismatched = {}, []
    for key in own.keys() & state.keys():
        if own[key].shape == state[key].shape:
            fitting[key] = state[key]
        else:
            mismatched.append(
                f'{key}: file {tuple(state[key].shape)}, module {tuple(own[key].shape)}'
            )
    report = LoadReport(
        sorted(fitting),
        sorted(own.keys() - state.keys()),
        sorted(state.keys() - own.keys()),
        sorted(mismatched),
        left_out,
    )
    return report, fitting


def find_problems(
    report: LoadReport, allow_missing: Sequence[str], allow_unexpected: Sequence[str]
) -> list[str]:
    """A line for every key that is neither in place nor allowed for."""
    return [
        *(f'missing: {k}' for k in report.missing if not k.startswith(tuple(allow_missing))),
        *(
            f'unexpected: {k}'
            for k in report.unexpected
            if not k.startswith(tuple(allow_unexpected))
        ),
        *(f'other shape: {k}' for k in report.mismatched),
    ]


def starts(state: dict) -> str:
    """The first parts of the keys with their number: ``norm. (2), ...``."""
    groups = Counter(key.split('.')[0] for key in state)
    return ', '.join(f'{g}. ({n})' for g, n in groups.most_common(6))
