"""Load weights into a module and account for every key."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn as nn
from mmengine.logging import print_log
from torch import Tensor

from .files import check_content, meta_of, read_checkpoint, source_of, state_dict_of
from .sources import SOURCES, convert, detect

TEACHER = 'teacher.net.'
NAMES = dict(
    teacher='a stage I file: the autoencoder that teaches',
    pretrain='a pretraining (stage II) file: a student with its decoder',
    finetune='a file of a finetuned model',
)


class LoadReport(NamedTuple):
    """Account of all keys.

    Attributes:
        loaded: Keys of the module that were filled.
        missing: Keys of the module that the file does not have.
        unexpected: Keys of the file, under the prefix, that the module lacks.
        mismatched: Keys with another shape: ``key: file (3,) module (4,)``.
        left_out: Keys of the file outside the prefix, and optional ones that
            the module lacks.
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
    name: str | Path | None = None,
) -> LoadReport:
    """Load a checkpoint, ours or a published one; every key must fit.

    Published files (``mmkd3d.checkpoints.SOURCES``) are recognised by their
    keys and renamed first. Only these keys may be on one side alone: the
    weights of a teacher (all or none), untrained heads of a published file,
    and keys that start with the module's ``skipped_keys``, parts that only
    training needs.

    Args:
        module: Loaded in place; unchanged if a key does not fit.
        checkpoint: A file, or its content.
        prefix: Prefix of the module's keys in the file. Other keys are left
            out; a file without any such key is read as a whole.
        allow_missing: Starts of keys that the file may lack, e.g. ``'cls_'``.
        allow_unexpected: Starts of keys that the module may lack.
        trust: See :func:`read_checkpoint`.
        name: Of the file, for messages, if its content is given.

    Returns:
        LoadReport: Also logged.

    Raises:
        ValueError: A key is missing, unexpected or of another shape; or see
            :func:`check_weights`.
    """
    if isinstance(checkpoint, (str, Path)):
        name = checkpoint
        checkpoint = read_checkpoint(checkpoint, trust=trust)
    else:
        name = name or 'the given dict'
        check_content(checkpoint, name)
    state, optional = our_state(checkpoint, name)
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
    if not problems:
        check_weights(fitting, own, name)
    title = f'{name} -> {type(module).__name__} (prefix {prefix!r})'
    if problems:
        more = f'\n  ... {len(problems) - 8} more' if len(problems) > 8 else ''
        advice = wrong_stage(inside, own, prefix) or (
            f'The keys of the file start with {starts(state)}. Build the '
            'module with the sizes of the checkpoint, name its prefix, or '
            'list what may differ in allow_missing / allow_unexpected.'
        )
        raise ValueError(
            f'{title} does not fit:\n{report}\n  ' + '\n  '.join(problems[:8]) + f'{more}\n{advice}'
        )
    module.load_state_dict(fitting, strict=False)
    print_log(f'Loaded {title}:\n{report}', logger='current')
    return report


def our_state(checkpoint: dict, name: str | Path = 'The checkpoint') -> tuple[dict, tuple]:
    """Our state dict, and the starts of its optional keys.

    Only published files, and those converted from them, have optional keys.
    """
    state = state_dict_of(checkpoint, name)
    source = detect(state)
    if source is not None:
        state, meta = convert(state, source)
    else:
        meta = meta_of(checkpoint, name)
    known = SOURCES.get(source_of(meta) or '')
    return state, known.optional if known else ()


def expected_state(module: nn.Module, state: dict) -> dict:
    """The state dict that ``module`` expects in a file with the keys of ``state``.

    It has the weights of a teacher if and only if the file has any of them,
    whether the module would save them or not.
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
    """Weights of the hidden nets of teachers, by the prefix of their keys.

    A teacher (``hides_net``) keeps its ``net`` out of the modules that torch
    sees; a net may contain further teachers.

    Returns:
        Prefix, such as ``teacher.net.`` -> state dict of the net, without
        nets hidden inside it.
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
    """Compare ``state`` with ``own``; also returns the entries that fit."""
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


def check_weights(state: dict, own: dict, name: str | Path) -> None:
    """Refuse weights that no training can have written.

    Args:
        state: Weights of a file.
        own: Those of the module, for the type and the initial values.
        name: Of the file, for the error.

    Raises:
        ValueError: A weight is of another kind of number than the module's, NaN or infinite, a
            matrix of zeros that is not initialised so, or a negative variance.
    """
    wrong = {key: doubt for key in state if (doubt := doubt_of(key, state[key], own[key]))}
    if wrong:
        key = next(iter(wrong))
        more = f' and {len(wrong) - 1} more' if len(wrong) > 1 else ''
        raise ValueError(
            f'{name}: the weights {key}{more} {wrong[key]}. The training that wrote the file '
            'failed, or the file is damaged: take an earlier one, or get it again.'
        )


def doubt_of(key: str, value: Tensor, own: Tensor) -> str | None:
    """What is wrong with a weight, or None."""
    if (value.is_floating_point(), value.is_complex()) != (
        own.is_floating_point(),
        own.is_complex(),
    ) or (value.dtype == torch.bool) != (own.dtype == torch.bool):
        return f'are {value.dtype}, expected {own.dtype}'
    if value.layout != torch.strided or value.device.type == 'meta':
        return f'hold no values ({value.layout} on {value.device})'
    if not value.is_floating_point() or not value.numel():
        return None
    value = value.to(own.dtype)  # as they are loaded: 1e300 is infinite in float32
    if not torch.isfinite(value).all():
        return 'are NaN or infinite'
    if value.ndim > 1 and not value.any() and own.any():
        return 'are all zero'
    if key.endswith('running_var') and (value < 0).any():
        return 'are negative variances'
    return None


def find_problems(
    report: LoadReport, allow_missing: Sequence[str], allow_unexpected: Sequence[str]
) -> list[str]:
    """A line for every key that does not fit and is not allowed to differ."""
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
    """Summary of keys by their first part: ``norm. (2), ...``."""
    groups = Counter(key.split('.')[0] for key in state)
    return ', '.join(f'{g}. ({n})' for g, n in groups.most_common(6))


def stage_of(keys: Iterable[str]) -> str | None:
    """Stage of a model with these keys of ours; None for a part of a model."""
    keys = list(keys)

    def has(*starts: str) -> bool:
        return any(key.startswith(starts) for key in keys)

    if has('quantizer.codebook'):
        return 'teacher'
    if has('backbone.') and has('decoder.', 'proj.', 'head_concept.', 'head_global.', TEACHER):
        return 'pretrain'
    if has('backbone.') and has('head.', 'decode_head.', 'bbox_head.'):
        return 'finetune'
    return None


def wrong_stage(keys: Iterable[str], wanted: Iterable[str], prefix: str) -> str | None:
    """A sentence if a file is of another stage than the module, else None.

    Args:
        keys: Of the file, under ``prefix``.
        wanted: Keys of the module.
        prefix: Prefix of the module's keys in the file.
    """
    got, stage = stage_of(keys), stage_of(wanted)
    if got is None or got == stage or not (stage or prefix):
        return None
    if stage == 'teacher':
        needed = f'{NAMES[stage]}, or a stage II file that still holds it, with prefix={TEACHER!r}'
    elif stage is None:
        needed = f'a file with keys under {prefix!r}'
        if prefix == 'backbone.':
            needed += ': of a pretraining (stage II) or of a finetuned model'
    else:
        needed = NAMES[stage]
        if got != 'teacher':
            needed += (
                "; the student alone can be loaded into the model's "
                "backbone, with prefix='backbone.'"
            )
    return f'This is {NAMES[got]}. Needed is {needed}.'
