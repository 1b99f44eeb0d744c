"""Check the labels of shapes and points."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np


def check_labels(
    labels: np.ndarray, allowed: int | Sequence[int], source: str | Path, what: str = 'label'
) -> np.ndarray:
    """Convert labels to int64, or refuse them.

    Args:
        labels: Whole numbers of any shape.
        allowed: Number of classes, or the allowed ids.
        source: File or sample, for the error.
        what: Kind of label, for the error.

    Raises:
        ValueError: A label that is not a whole number or is out of range.
    """
    labels = np.asarray(labels)
    if labels.dtype.kind not in 'iufb':
        raise ValueError(
            f'{source}: expected {what}s as whole numbers from 0, got {labels.dtype}. Number the '
            'classes, and name them apart.'
        )
    with np.errstate(invalid='ignore'):  # NaN is refused below
        whole = labels.astype(np.int64)
    if isinstance(allowed, int):
        good, text = (whole >= 0) & (whole < allowed), f'0..{allowed - 1}'
    else:
        good, text = np.isin(whole, allowed), f'one of {sorted(allowed)}'
    good &= whole == labels
    if not good.all():
        raise ValueError(
            f'{source}: {what} {labels[~good].flat[0]} is out of range, '
            f'expected {text}. The file is damaged or belongs to another '
            'list of classes.'
        )
    return whole
