"""Locations of parity cases and real data, and shared test helpers."""

import contextlib
import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import pytest

REPO = Path(__file__).resolve().parents[1]
PARITY_ROOT = Path(os.environ.get('MMKD3D_PARITY', REPO.parent / 'shared' / 'parity'))
DATA_ROOT = Path(os.environ.get('MMKD3D_DATA', REPO.parent / 'shared' / 'data'))


def parity_cases(pattern: str) -> list[Path]:
    """Case folders that match a pattern, for ``pytest.mark.parametrize``."""
    return sorted(p.parent for p in PARITY_ROOT.glob(f'{pattern}/manifest.json'))


def load_case(case: Path) -> tuple[dict, dict]:
    """Manifest and arrays of a parity case."""
    manifest = json.loads((case / 'manifest.json').read_text())
    with np.load(case / 'io.npz') as arrays:
        return manifest, dict(arrays)


def reference_weights():
    """The module that rebuilds published weights."""
    spec = importlib.util.spec_from_file_location(
        'reference_weights', PARITY_ROOT / 'reference_weights.py'
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def reference_state(manifest: dict) -> dict:
    """The published state dict used to compute a case."""
    return reference_weights().make_state_dict(manifest['state_dict'])


def reference_tensor(key: str, shape):
    """One tensor used to compute a case."""
    return reference_weights().make_tensor(key, shape)


def gradient_atol(norms, atol: float = 0.0) -> float:
    """Absolute tolerance for gradient norms.

    The true gradient of some parameters is zero, for example of a bias before a batch norm.
    Their norms are rounding errors of about 1e-8 of the largest norm.
    """
    return max(atol, 1e-6 * float(norms.max()))


def thin(x, length: int):
    """Every s-th row of ``x`` (B, L, ...), with s chosen so that ``length`` rows remain.

    The parity cases store long arrays in this way; s is a power of two.
    """
    for stride in (1, 2, 4, 8, 16, 32, 64, 128):
        if -(-x.shape[1] // stride) == length:
            return x[:, ::stride]
    raise AssertionError(f'{x.shape[1]} rows cannot be thinned to {length}')


@contextlib.contextmanager
def given(model, **results):
    """Replace methods of ``model``, by name, with stubs that return fixed results."""
    for name, result in results.items():
        setattr(model, name, lambda *_, result=result, **__: result)
    yield
    for name in results:
        delattr(model, name)


def rejects(message, call, *args, error=ValueError, **kwargs):
    """Check that the call raises an error whose text matches ``message``."""
    with pytest.raises(error, match=message):
        call(*args, **kwargs)
