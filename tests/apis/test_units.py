"""Units of scans of rooms, told by their size."""

import numpy as np
import pytest

from mmkd3d.apis.scans import implausible
from mmkd3d.apis.units import UNITS

# Extents (x, y, z) in metres of thirteen aligned scans of ScanNet.
ROOMS = (
    (7.0, 7.2, 3.0),
    (7.0, 7.3, 3.1),
    (7.4, 7.3, 3.2),
    (4.8, 7.9, 2.3),
    (4.8, 7.7, 2.2),
    (4.5, 5.5, 3.2),
    (4.3, 5.5, 2.8),
    (4.8, 3.6, 3.0),
    (3.7, 4.9, 3.0),
    (3.4, 5.1, 3.1),
    (4.7, 10.0, 2.0),
    (4.1, 4.8, 2.5),
    (4.1, 5.1, 2.5),
)


@pytest.mark.parametrize('unit', UNITS, ids=lambda unit: unit.name)
def test_the_unit_of_real_rooms_is_named(unit):
    for room in ROOMS:
        said = implausible(np.array(room) / unit.metres)
        assert f'may be {unit.name}: then set unit={unit.metres:g},' in said, (room, said)
        said = implausible(np.array(room) / unit.metres * 1.01, unit=1.01)
        assert 'Is unit=1.01 right?' in said


def test_rooms_in_metres_raise_no_doubt():
    halls = (18.0, 12.0, 6.0), (40.0, 3.0, 2.6), (1.2, 0.8, 0.5)
    for room in (*ROOMS, *halls):
        assert not implausible(np.array(room))
        assert not implausible(np.array(room), unit=0.001)


def test_turned_rooms_are_told_first():
    assert "set up='y'" in implausible(np.array([8.0, 2.6, 7.0]))
    assert "set up='x'" in implausible(np.array([2.6, 8.0, 7.0]))
