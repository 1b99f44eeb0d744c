"""Checks of what data sets read: each error names the file and a way out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np


def verify_hint(name: str, root: str | Path) -> str:
    """Where a published data set comes from, and how to check a folder."""
    tool = 'python tools/prepare_data/dataset.py'
    return (
        f'Where to get it: {tool} info {name}; what else is missing: '
        f'{tool} verify {name} --root {root}'
    )


def existing(path: str | Path, purpose: str, way_out: str) -> Path:
    """``path``, or an error that says what the file is for.

    Raises:
        FileNotFoundError: There is no such file or folder.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f'{path} is missing: {purpose}. {way_out}')
    return path


def check_points(points: np.ndarray, source: str | Path) -> np.ndarray:
    """Float32 points, after checking that they are a usable cloud.

    Args:
        points: (N, C) numbers, the first three columns are x, y, z.
        source: File or sample that the error names.

    Raises:
        ValueError: No (N, >=3) array, no point, or a NaN or infinite value.
    """
    points = np.asarray(points)
    if not points.size:
        raise ValueError(f'{source}: the cloud is empty. Remove the file or make it again.')
    if points.ndim != 2 or points.shape[1] < 3:
        raise ValueError(
            f'{source}: expected points as an (N, >=3) array, got shape '
            f'{points.shape}. Store one cloud per file, one point per row.'
        )
    if not np.issubdtype(points.dtype, np.number):
        raise ValueError(f'{source}: expected numbers, got dtype {points.dtype}.')
    points = points.astype(np.float32)
    bad = ~np.isfinite(points).all(axis=1)
    if bad.any():
        raise ValueError(
            f'{source}: {bad.sum()} of {len(points)} points have a NaN or '
            f'infinite value (the first in row {bad.argmax()}). Drop those '
            'rows or make the file again.'
        )
    return points


def check_labels(
    labels: np.ndarray, allowed: int | Sequence[int], source: str | Path, what: str = 'label'
) -> np.ndarray:
    """Labels as int64, after checking that all of them are allowed.

    Args:
        labels: Whole numbers of any shape.
        allowed: Number of classes, or the allowed ids.
        source: File or sample that the error names.
        what: What the numbers are, for the error.

    Raises:
        ValueError: A label that is not a whole number or is out of range.
    """
    labels = np.asarray(labels)
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
