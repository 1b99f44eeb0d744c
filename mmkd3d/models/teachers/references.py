"""Reference features of known weights, used to detect mismatched models.

Weights can be loaded into a wrong model without an error: those of OpenAI's
CLIP fit a model with GELU instead of QuickGELU, and most work with the mean
and standard deviation of another model. A table of references maps the
checksum of weights to some values of the feature of a fixed input. A teacher
with these weights must reproduce them.

Deliberate options do not matter: ``mean``, ``std`` and ``channel_order``, a
projection, ``normalize``. Weights in no table are not checked.

``references.json`` is shipped. ``tools/teacher_reference.py`` writes entries
of your own table, which you pass to a teacher as ``reference=FILE``.
"""

import json
from pathlib import Path

import torch
from torch import Tensor

from mmkd3d.utils.hashes import frozen_fingerprint

from .base import BaseTeacher

SHIPPED = Path(__file__).with_name('references.json')
SENTENCE = 'A wooden chair stands beside a small round table.'
NUM_VALUES = 16
# Relative L2 distance. Kernels and library versions differ by about 1e-6, a
# wrong activation or wrong statistics by 1e-2, even in random towers.
TOLERANCE = 1e-3


def make_entry(teacher: BaseTeacher, name: str) -> dict:
    """A table with one entry, for a correctly built teacher.

    Returns:
        dict: ``{checksum: dict(name, teacher, values)}`` with evenly spaced
        values of ``teacher.reference_feature()``.
    """
    values = [float(f'{v:.6g}') for v in sample(teacher).tolist()]
    return {checksum(teacher): dict(name=name, teacher=type(teacher).__name__, values=values)}


def checksum(teacher: BaseTeacher) -> str:
    """Hash of the weights, 8 hexadecimal digits."""
    return f'{int(frozen_fingerprint(dict(teacher.net.named_parameters()))):08x}'


def sample(teacher: BaseTeacher) -> Tensor:
    """(NUM_VALUES,) evenly spaced values of the reference feature."""
    feature = teacher.reference_feature().float().cpu()
    return feature[torch.linspace(0, len(feature) - 1, NUM_VALUES).long()]


def read_references(path: str | Path) -> dict:
    """Read a table of references.

    Raises:
        FileNotFoundError: The file is missing.
        ValueError: It is not a table of references.
    """
    try:
        table = json.loads(Path(path).read_text())
        for entry in table.values():
            complete = entry['name'] and len(entry['values']) == NUM_VALUES
            if not complete:
                raise ValueError(f'{NUM_VALUES} values are expected')
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f'No references at {path}. Record them: '
            f'python tools/teacher_reference.py ... --record {path}'
        ) from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f'{path} is not a table of references of tools/teacher_reference.py: {error!r}.'
        ) from error
    return table


def check_reference(teacher: BaseTeacher, reference: str | bool = True) -> None:
    """Compare a teacher with the reference of its weights.

    Args:
        teacher: Ready to use.
        reference: True for the shipped table, False for no check; or the path
            of a table that must contain the weights.

    Raises:
        ValueError: The feature differs, or the given table does not contain
            the weights.
    """
    if reference is False:
        return
    table = read_references(SHIPPED if reference is True else reference)
    entry = table.get(checksum(teacher))
    if entry is None:
        if reference is True:
            return
        known = ', '.join(entry['name'] for entry in table.values())
        raise ValueError(
            f'{reference} does not know the weights of this {type(teacher).__name__} '
            f'({checksum(teacher)}), only those of {known}. Give the right weights, or '
            'record an entry with tools/teacher_reference.py.'
        )
    expected = torch.tensor(entry['values'])
    error = float((sample(teacher) - expected).norm() / expected.norm())
    if not error <= TOLERANCE:
        raise ValueError(
            f'The weights are those of {entry["name"]}, but the feature of a fixed input '
            f'differs: relative error {error:.1e}, allowed {TOLERANCE:.0e}. One of these '
            'does not match the weights: the activation (QuickGELU or GELU, part of the '
            'model name of open_clip), the image size, mean and std, the channel order, '
            'or the tokenizer and pooling of a text model. reference=False skips this '
            'check.'
        )
