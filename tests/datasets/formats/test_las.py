import sys

import numpy as np
import pytest

from mmkd3d.datasets.readers import read_file
from tests.helpers import rejects

rng = np.random.default_rng(0)
XYZ = (rng.uniform(-1, 1, (40, 3)) + [430000.123, 5400000.456, 12]).round(3)
RGB = rng.integers(0, 256, (40, 3))


def write(path, scale=257, point_format=3):
    laspy = pytest.importorskip('laspy')
    header = laspy.LasHeader(point_format=point_format, version='1.2')
    header.offsets, header.scales = XYZ.min(0).round(), [0.001] * 3
    cloud = laspy.LasData(header)
    cloud.x, cloud.y, cloud.z = XYZ.T
    if point_format == 3:
        cloud.red, cloud.green, cloud.blue = (RGB * scale).T
    cloud.intensity, cloud.classification = np.arange(40), np.full(40, 5)
    cloud.write(path)
    return path


def read(path, **options):
    ((_, points),) = read_file(path, **options)
    return points


@pytest.mark.parametrize('suffix', ['las', 'laz'])
@pytest.mark.parametrize('scale', [1, 257])  # colours of 8 bits, which the format forbids, or of 16
def test_coordinates_are_doubles_and_colours_of_8_bits(tmp_path, suffix, scale):
    path = write(tmp_path / f'a.{suffix}', scale)
    points = read(path)
    assert points.dtype == np.float64
    np.testing.assert_allclose(points[:, :3], XYZ, atol=1e-6)
    np.testing.assert_array_equal(points[:, 3:], np.column_stack([RGB, np.arange(40)]))
    chosen = read(path, columns=['X', 'Y', 'Z', 'classification', 'b'])
    np.testing.assert_array_equal(chosen[:, 3:], np.column_stack([np.full(40, 5), RGB[:, 2]]))
    np.testing.assert_array_equal(chosen[:, :3], points[:, :3])
    assert read(write(path, point_format=0)).shape == (40, 4)
    rejects("no column 'wave', there are x, y, z", read, path, columns=['x', 'y', 'wave'])


@pytest.mark.parametrize('suffix', ['las', 'laz'])
def test_files_that_are_cut_or_lie_are_told(tmp_path, suffix):
    path = write(tmp_path / f'a.{suffix}')
    content = path.read_bytes()
    for part in (0.2, 0.6, 0.95):
        path.write_bytes(content[: int(part * len(content))])
        rejects(f'a.{suffix}: ', read, path)
    many = (2**32 - 1).to_bytes(4, 'little')
    path.write_bytes(content[:107] + many + content[111:])
    rejects(f'a.{suffix}: .*4294967295 points', read, path)
    path.write_bytes(content[:100] + many + content[104:])
    rejects(f'a.{suffix}: .*4294967295 records', read, path)


def test_the_extra_is_named(tmp_path, monkeypatch):
    (tmp_path / 'a.laz').write_bytes(b'LASF')
    monkeypatch.setitem(sys.modules, 'laspy', None)
    rejects(
        r'a.laz needs laspy and lazrs: pip install .mmkd3d\[data\]',
        read,
        tmp_path / 'a.laz',
        error=ImportError,
    )
