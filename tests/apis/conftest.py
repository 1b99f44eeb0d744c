"""Checkpoints shared by several test files."""

import pytest

from tests.apis.student_files import STUDENTS, config_of, save


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """Checkpoints of all students, by name."""
    folder = tmp_path_factory.mktemp('students')
    sizes = dict(pyramid=80)
    return {
        name: save(folder / f'{name}.pth', config_of(backbone, sizes.get(name, 40)))
        for name, backbone in STUDENTS.items()
    }
