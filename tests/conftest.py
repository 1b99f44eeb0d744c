"""Fixtures for the whole test suite."""

import gc
import os
from collections import Counter

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope

from tests.helpers import DATA_ROOT, PARITY_ROOT

os.environ.setdefault('MPLBACKEND', 'Agg')
os.environ.setdefault('MMKD3D_DATA', str(DATA_ROOT))  # configs read it
os.environ.pop('PYTHONDONTWRITEBYTECODE', None)  # subprocesses would compile torch each time
torch.set_num_threads(1)


def pytest_addoption(parser):
    parser.addoption('--bad-seed', type=int, default=0, help='seed of tests/bad_inputs')


def pytest_itemcollected(item):
    """Mark nightly tests as slow too. Run each file in a single pytest-xdist worker."""
    if item.get_closest_marker('nightly'):
        item.add_marker('slow')
    if not item.get_closest_marker('xdist_group'):
        item.add_marker(pytest.mark.xdist_group(item.path.stem))


def pytest_collection_modifyitems(items):
    """Start with the files that have the most slow tests, so that workers finish together."""
    slow = Counter(item.path for item in items if item.get_closest_marker('slow'))
    items.sort(key=lambda item: -slow[item.path])


@pytest.fixture(autouse=True)
def no_default_scope_is_left_behind():
    """Names without a scope resolve the same way regardless of earlier tests."""
    yield
    DefaultScope._instance_dict.clear()


@pytest.fixture(autouse=True, scope='module')
def imported_modules_are_not_garbage_collected():
    """mmengine's datasets call gc.collect(); keep it from traversing all of torch."""
    gc.collect()
    gc.freeze()


def seed(value):
    torch.manual_seed(value)
    np.random.seed(value)


@pytest.fixture(autouse=True, scope='module')
def shared_draws_are_the_same_in_every_run():
    """Module fixtures draw the same numbers regardless of the previous module.

    The seed differs from the one used inside tests.
    """
    seed(1)


@pytest.fixture(autouse=True)
def draws_are_the_same_in_every_run():
    """Seed the generators, so that tests are deterministic."""
    seed(0)


@pytest.fixture(scope='session')
def parity_root():
    """Folder with the published numbers; skips the test if it is missing."""
    if not PARITY_ROOT.is_dir():
        pytest.skip(f'no parity data at {PARITY_ROOT} (set MMKD3D_PARITY)')
    return PARITY_ROOT


@pytest.fixture(scope='session')
def data_root():
    """Folder with the real data; skips the test if it is missing."""
    if not DATA_ROOT.is_dir():
        pytest.skip(f'no real data at {DATA_ROOT} (set MMKD3D_DATA)')
    return DATA_ROOT


@pytest.fixture(scope='session')
def ranks():
    """Two processes in one group; mark tests that use it ``xdist_group('ranks')``."""
    from tests.ranks import Ranks

    pair = Ranks()
    yield pair
    pair.stop()


@pytest.fixture(scope='session')
def wheel(tmp_path_factory):
    """The package as a wheel; mark tests that use it ``xdist_group('wheel')``."""
    from tests.packages import build_wheel

    return build_wheel(tmp_path_factory.mktemp('wheel'))
