"""Known weights, and a feature that a teacher with them must have.

Weights do not say what belongs to them: those of OpenAI's CLIP fill a model
with GELU in place of QuickGELU without an error, and most fit under the mean
and standard deviation of another model. So an entry of a table of references
holds, by the checksum of the weights, some numbers of the feature of a fixed
input, and a teacher that is built with these weights is compared with it.

What a user chooses on purpose is left out of the comparison: ``mean``,
``std`` and ``channel_order`` in place of the model's own, a projection,
``normalize``. Weights that no table knows are not checked.

``references.json`` is shipped; ``tools/teacher_reference.py`` makes entries
for a table of one's own, which ``reference=FILE`` of a teacher names.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from mmkd3d.checkpoints.fingerprint import frozen_fingerprint

from .base import BaseTeacher

SHIPPED = Path(__file__).with_name('references.json')
SENTENCE = 'A wooden chair stands beside a small round table.'
NUM_VALUES = 16
# Relative L2 distance. Kernels and versions of libraries differ by some 1e-6,
# a wrong activation or wrong statistics by 1e-2, even in random towers.
TOLERANCE = 1e-3


def reference_image(size: Sequence[int]) -> Tensor:
    """An image (1, 3, height, width) in [0, 1]: two ramps, a pattern."""
    y, x = torch.meshgrid(*((torch.arange(n) + 0.5) / n for n in size), indexing='ij')
    waves = (6 * torch.pi * x).sin() * (4 * torch.pi * y).cos()
    return torch.stack([x, y, 0.5 + 0.5 * waves])[None]


def make_entry(teacher: BaseTeacher, name: str) -> dict:
    """A table with one entry, for a teacher that is right.

    Returns:
        dict: ``{checksum: dict(name, teacher, values)}``; the values are
        evenly spaced numbers of ``teacher.reference_feature()``.
    """
    checksum = frozen_fingerprint(dict(teacher.net.named_parameters()))
    values = [float(f'{v:.6g}') for v in sample(teacher).tolist()]
    return {f'{int(checksum):08x}': dict(name=name, teacher=type(teacher).__name__, values=values)}


def sample(teacher: BaseTeacher) -> Tensor:
    """(NUM_VALUES,) evenly spaced numbers of the reference feature."""
    feature = teacher.reference_feature().float().cpu()
    return feature[torch.linspace(0, len(feature) - 1, NUM_VALUES).long()]


def read_references(path: str | Path) -> dict:
    """A table of references.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not such a table.
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
            f'{path} is no table of references as tools/teacher_reference.py writes it: {error!r}.'
        ) from error
    return table


def check_reference(teacher: BaseTeacher, reference: str | bool = True) -> None:
    """Compare a teacher with what is known of its weights.

    Args:
        teacher: Ready for use.
        reference: True for the shipped table, False for no check at all; the
            file of another table, which has to know the weights.

    Raises:
        ValueError: The feature is another one, or the given table does not
            know the weights.
    """
    if reference is False:
        return
    asked = reference is not True
    table = read_references(reference if asked else SHIPPED)
    checksum = frozen_fingerprint(dict(teacher.net.named_parameters()))
    entry = table.get(f'{int(checksum):08x}')
    if entry is None:
        if asked:
            known = ', '.join(entry['name'] for entry in table.values())
            raise ValueError(
                f'{reference} does not know the weights of this '
                f'{type(teacher).__name__} ({int(checksum):08x}), but those '
                f'of: {known}. Give the right weights, or record an entry '
                'with tools/teacher_reference.py.'
            )
        return
    expected = torch.tensor(entry['values'])
    error = float((sample(teacher) - expected).norm() / expected.norm())
    if not error <= TOLERANCE:
        raise ValueError(
            f'The weights are those of {entry["name"]}, but a fixed input '
            f'has another feature than it should: relative error {error:.1e},'
            f' allowed {TOLERANCE:.0e}. One of these does not belong to the '
            'weights: the activation (QuickGELU or GELU, part of the model '
            'name of open_clip), the size of the image, mean and std, the '
            'channel order, or the tokenizer and pooling of a text model. '
            'reference=False turns this check off.'
        )
