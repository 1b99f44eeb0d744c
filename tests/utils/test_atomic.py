"""Writes that fail."""

import errno
import resource
from contextlib import contextmanager

import pytest

from mmkd3d.evaluation.records import write_record
from mmkd3d.models.targets.cache import CacheWriter
from mmkd3d.utils.atomic import write_atomic


@contextmanager
def files_of_at_most(size: int):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def write_cache(path):
    CacheWriter(path.parent, [str(i) for i in range(1000)], (500,), identity={})


@pytest.mark.parametrize(
    'write',
    [
        lambda path: write_atomic(path, bytes(2_000_000)),
        lambda path: write_record(path, [dict(metrics={str(i): i for i in range(200_000)})]),
        write_cache,
    ],
)
def test_a_full_disk_names_the_file_and_leaves_nothing(tmp_path, write):
    path = tmp_path / 'folder' / 'features.npy'
    with files_of_at_most(1_000_000), pytest.raises(OSError, match='features.npy') as error:
        write(path)
    assert error.value.errno == errno.EFBIG
    assert not [*path.parent.glob('*.partial'), *path.parent.glob('.*.partial')]
