import struct

import numpy as np
import pytest

from mmkd3d.datasets.readers import read_file, read_points
from tests.helpers import rejects

rng = np.random.default_rng(0)
XYZ = rng.normal(size=(30, 3)).astype('f4')
RGB = rng.integers(0, 256, (30, 3))
RGB[:3] = [[243, 181, 146], [255, 255, 255], [0, 0, 0]]
PACKED = (RGB << [16, 8, 0]).sum(1)
PCD_TYPES = {'f': 'F', 'i': 'I', 'u': 'U'}


def head(dtype, points, data='binary', fields=None, **changes):
    columns = [(n, dtype[n].base, int(np.prod(dtype[n].shape))) for n in dtype.names]
    lines = dict(
        VERSION='0.7',
        FIELDS=fields or ' '.join(name for name, _, _ in columns),
        SIZE=' '.join(str(base.itemsize) for _, base, _ in columns),
        TYPE=' '.join(PCD_TYPES[base.kind] for _, base, _ in columns),
        COUNT=' '.join(str(count) for _, _, count in columns),
        WIDTH=points,
        HEIGHT=1,
        VIEWPOINT='0 0 0 1 0 0 0',
        POINTS=points,
        DATA=data,
    )
    lines = {key: value for key, value in (lines | changes).items() if value is not None}
    return ''.join(
        ['# .PCD v0.7\n', *(f'{key} {value}\n' for key, value in lines.items())]
    ).encode()


def table(*columns):
    rows = np.zeros(30, [('x', 'f4'), ('y', 'f4'), ('z', 'f4'), *columns])
    for name, values in zip('xyz', XYZ.T):
        rows[name] = values
    return rows


def read(tmp_path, content, **options):
    path = tmp_path / 'a.pcd'
    path.write_bytes(content)
    ((_, points),) = read_file(path, **options)
    return points


@pytest.mark.parametrize('alpha', [0, 255])
@pytest.mark.parametrize('name', ['rgb', 'rgba'])
@pytest.mark.parametrize('kind', ['f4', 'u4', 'i4'])
def test_packed_colours(tmp_path, kind, name, alpha):
    bits = (PACKED | alpha << 24).astype('u4')
    rows = table((name, kind), ('intensity', 'f4'))
    rows[name], rows['intensity'] = bits.view(kind), 0.5
    points = read(tmp_path, head(rows.dtype, 30) + rows.tobytes())
    np.testing.assert_array_equal(points, np.column_stack([XYZ, RGB, np.full(30, 0.5)]))
    # as text: PCL writes whole numbers even for floats, others the floats themselves
    cells = [[repr(float(v)) for v in row] for row in XYZ]
    forms = [[str(v) for v in bits.view('i4' if kind == 'i4' else 'u4')]]
    forms += [[repr(float(v)) for v in bits.view('f4')]] if (kind, alpha) == ('f4', 0) else []
    for form in forms:
        text = '\n'.join(' '.join([*row, packed, '0.5']) for row, packed in zip(cells, form))
        found = read(tmp_path, head(rows.dtype, 30, 'ascii') + text.encode())
        np.testing.assert_array_equal(found, points)


def test_colours_that_text_lost_are_no_numbers(tmp_path):
    rows = table(('rgb', 'f4'))
    lines = [f'{x} {y} {z} {"nan" if k == 7 else 8421504}' for k, (x, y, z, _) in enumerate(rows)]
    content = head(rows.dtype, 30, 'ascii') + '\n'.join(lines).encode()
    found = read(tmp_path, content)
    assert np.isnan(found[7, 3:]).all() and (np.delete(found, 7, 0)[:, 3:] == 128).all()
    np.testing.assert_allclose(
        read_points(tmp_path / 'a.pcd', columns=['x', 'y', 'z']), XYZ, rtol=1e-6
    )


def test_padding_is_left_out_and_columns_of_several_values_are_split(tmp_path):
    rows = table(('_', 'u1', 4), ('fpfh', 'f4', 3), ('p', 'u1', 12), ('q', 'i2'), ('t', 'f8'))
    rows['fpfh'], rows['q'], rows['t'] = [1, 2, 3], -4, 1e9 + 0.25
    content = head(rows.dtype, 30, fields='x y z _ fpfh _ q t') + rows.tobytes()
    points = read(tmp_path, content)
    assert points.dtype == np.float64
    np.testing.assert_array_equal(points[:, :3], XYZ)
    assert points[5, 3:].tolist() == [1, 2, 3, -4, 1e9 + 0.25]
    assert read(tmp_path, content, columns=['x', 'y', 'z', 'fpfh_2'])[0, 3] == 3


def test_every_type_and_size(tmp_path):
    for kind in ('i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8', 'f4', 'f8'):
        rows = table(('v', kind))
        rows['v'] = 7
        for content in (
            head(rows.dtype, 30) + rows.tobytes(),
            head(rows.dtype, 30, COUNT=None, POINTS=None, VERSION='.7') + rows.tobytes(),
            head(rows.dtype, 30, HEIGHT=None, WIDTH=None).replace(b'\n', b'\r\n') + rows.tobytes(),
            head(rows.dtype, 30, 'ascii')
            + '\n'.join('\t'.join(map(str, r)) for r in rows).encode(),
        ):
            points = read(tmp_path, content)
            np.testing.assert_allclose(points[:, :3], XYZ, rtol=1e-6)
            assert (points[:, 3] == 7).all()


def test_compressed_points(tmp_path):
    lzf = pytest.importorskip('lzf')
    rows = table(('rgb', 'u4'), ('_', 'u1', 4))
    rows['rgb'] = PACKED
    columns = b''.join(rows[name].tobytes() for name in rows.dtype.names)
    packed = lzf.compress(columns)
    start = head(rows.dtype, 30, 'binary_compressed')
    sizes = struct.pack('<II', len(packed), len(columns))
    points = read(tmp_path, start + sizes + packed)
    np.testing.assert_array_equal(points, np.column_stack([XYZ, RGB]))
    for said, rest, message in (
        (sizes, packed[:-9], 'packed bytes, .* cut off'),
        (struct.pack('<II', len(packed), 2**32 - 1), packed, '4294967295 are packed'),
        (b'', b'', 'cut off'),
        (sizes, bytes(len(packed)), 'damaged|cannot be read'),
    ):
        rejects(f'a.pcd: .*{message}', read, tmp_path, start + said + rest)


def test_pixels_without_a_measurement_are_left_out_of_organised_clouds(tmp_path):
    rows = table(('rgb', 'u4'))
    rows['rgb'] = PACKED
    rows['x'][4:9] = rows['y'][4:9] = rows['z'][4:9] = np.nan
    organised = head(rows.dtype, 30, WIDTH=5, HEIGHT=6) + rows.tobytes()
    seen = np.r_[:4, 9:30]
    np.testing.assert_array_equal(read(tmp_path, organised), np.column_stack([XYZ, RGB])[seen])
    read(tmp_path, head(rows.dtype, 30) + rows.tobytes())
    rejects('5 of 30 points have a NaN', read_points, tmp_path / 'a.pcd')


def test_headers_that_lie_and_files_that_are_cut_are_told(tmp_path):
    rows = table()
    body = rows.tobytes()
    text = '\n'.join(' '.join(map(str, row)) for row in rows).encode()
    for content, message in (
        (head(rows.dtype, 30) + body[:-1], '30 points, 360 bytes or more, and 359 follow'),
        (head(rows.dtype, 10**12) + body, '1000000000000 points'),
        (head(rows.dtype, 10**12, 'ascii') + body, '1000000000000 points'),
        (
            head(rows.dtype, 30, 'ascii') + text[: text.rindex(b'\n')],
            '30 points of 3 columns, and 29',
        ),
        (head(rows.dtype, 30, 'ascii') + text[:-25], 'cannot be read'),
        (
            head(rows.dtype, 30, 'ascii', WIDTH=29, POINTS=29) + text,
            '29 points of 3 columns, and 30',
        ),
        (head(rows.dtype, 30, WIDTH=7) + body, '30 POINTS, and WIDTH x HEIGHT is 7'),
        (head(rows.dtype, -3) + body, '-3 POINTS'),
        (head(rows.dtype, 30, COUNT='1 1') + body, 'differ in length'),
        (head(rows.dtype, 30, COUNT='1 1 0') + body, 'COUNT of its header is 0'),
        (head(rows.dtype, 30, COUNT='1 1 -5') + body, 'COUNT of its header is -5'),
        (head(rows.dtype, 1, COUNT='1 1 10000000') + body, '1 points of 10000002 columns'),
        (head(rows.dtype, 0, COUNT='1 1 10000000'), 'of 10000002 columns'),
        (
            head(rows.dtype, 9, 'binary_compressed', COUNT='1 1 10000000') + body,
            '9 points of 10000002 columns',
        ),
        (head(rows.dtype, 30, TYPE=None) + body, 'no TYPE'),
        (head(rows.dtype, 30, 'zstd') + body, "DATA is 'zstd'"),
        (head(rows.dtype, 30, TYPE='Q F F') + body, 'cannot be read'),
        (head(rows.dtype, 30)[:60], 'no line DATA'),
    ):
        rejects(f'a.pcd: .*{message}', read, tmp_path, content)


def test_two_fields_of_a_name_are_two_columns(tmp_path):
    rows = table(('w', 'f4'), ('v', 'f4'))
    rows['w'], rows['v'] = 7, 8
    points = read(tmp_path, head(rows.dtype, 30, fields='x y z x x') + rows.tobytes())
    np.testing.assert_array_equal(points[:, :3], XYZ)
    assert (points[:, 3:] == [7, 8]).all()
