import struct

import numpy as np
import pytest

from mmkd3d.datasets.formats.ply import MARK
from mmkd3d.datasets.readers import read_file
from tests.helpers import rejects

rng = np.random.default_rng(0)
XYZ = rng.normal(size=(12, 3))
RGB = rng.integers(0, 256, (12, 3))
CLOUD = np.column_stack([XYZ, RGB])
ROWS = np.zeros(12, [('x', 'f8'), ('y', 'f8'), ('z', 'f8'), ('r', 'u1'), ('g', 'u1'), ('b', 'u1')])
for _name, _column in zip(ROWS.dtype.names, CLOUD.T):
    ROWS[_name] = _column
NAMES = {'f8': 'double', 'u1': 'uchar'}


def head(
    names='x y z red green blue', format_='binary_little_endian', points=12, after='', extra=()
):
    types = ['double'] * 3 + ['uchar'] * 3
    lines = ['ply', f'format {format_} 1.0', *extra, f'element vertex {points}']
    lines += [f'property {t} {n}' for t, n in zip(types, names.split())]
    return '\n'.join([*lines, *after.split('|')[: bool(after) and None], 'end_header\n'])


def text():
    return ''.join(
        ' '.join(map(repr, [*map(float, r[:3]), *map(int, r[3:])])) + '\n' for r in CLOUD
    )


def read(tmp_path, content, **options):
    path = tmp_path / 'a.ply'
    path.write_bytes(content)
    ((_, points),) = read_file(path, **options)
    return points


@pytest.mark.parametrize('binary', [True, False])
@pytest.mark.parametrize(
    'comment',
    [
        'comment Straße'.encode('latin-1'),
        'comment D:\\扫描\\椅.obj'.encode(),
        'obj_info é'.encode('latin-1'),
    ],
)
def test_comments_may_be_of_any_encoding(tmp_path, comment, binary):
    start = head(format_='binary_little_endian' if binary else 'ascii', extra=['@']).encode()
    content = start.replace(b'@', comment) + (ROWS.tobytes() if binary else text().encode())
    for end in (b'\n', b'\n' if binary else b'\r\n'):
        points = read(tmp_path, content.replace(b'\n', end))
        np.testing.assert_array_equal(points, CLOUD)
        assert points.dtype == np.float64


@pytest.mark.parametrize('names', ['X Y Z R G B', 'x Y z RED Green b', 'x y z diffuse_red g b'])
def test_names_may_be_in_any_case(tmp_path, names):
    content = head(names).encode() + ROWS.tobytes()
    for element in (b'element vertex', b'element Vertex'):
        content = content.replace(b'element vertex', element)
        np.testing.assert_array_equal(read(tmp_path, content), CLOUD)
        chosen = read(tmp_path, content, columns=['X', 'Y', 'Z', 'blue', 'red'])
        np.testing.assert_array_equal(chosen, CLOUD[:, [0, 1, 2, 5, 3]])


def test_a_mesh_with_such_a_header_is_sampled(tmp_path):
    for names, comment in (('X Y Z', 'é'), ('x y z', 'é'), ('X Y Z', ''), ('x y z', 'Camel')):
        header = (
            f'ply\nformat ascii 1.0\ncomment {comment}\nelement vertex 3\n'
            + ''.join(f'property float {name}\n' for name in names.split())
            + 'element face 1\nproperty list uchar int vertex_indices\nend_header\n'
        )
        points = read(
            tmp_path,
            header.encode('latin-1') + b'0 0 5\n1 0 5\n0 1 5\n3 0 1 2\n',
            num_mesh_points=50,
        )
        assert points.shape == (50, 3) and (points[:, 2] == 5).all()
        assert (points[:, :2] >= 0).all() and (points[:, :2].sum(1) <= 1).all()


def test_headers_that_lie_and_files_that_are_cut_are_told(tmp_path):
    body, lists = ROWS.tobytes(), 'element face 4|property list uchar int vertex_indices'
    for content, message in (
        (head().encode() + body[:-1], '12 of vertex, 324 bytes or more, and 323 follow'),
        (head(points=10**12).encode() + body, '1000000000000 of vertex'),
        (
            head(points=10**12, format_='ascii').encode() + text().encode(),
            '1000000000000 of vertex',
        ),
        (head(points=-1).encode() + body, '-1 of vertex'),
        (head(format_='ascii').encode() + text().encode()[:-60], ''),
        (head(after=lists).encode() + body + bytes(3), '4 of face'),
        (head(after=lists).encode() + body + bytes(5), ''),
        (head(after=lists.replace('4', str(10**11))).encode() + body, '100000000000 of face'),
        (head()[:90].encode(), 'no end_header'),
        (head().replace('vertex', 'point').encode() + body, 'no element vertex, there are point'),
        (head('a b c d e f').encode() + body, 'no columns x, y, z among a, b'),
        (head().replace('double', 'quad').encode() + body, 'cannot be read'),
        (head().replace('element', 'elephant').encode() + body, 'cannot be read'),
    ):
        rejects(f'a.ply: .*{message}', read, tmp_path, content)


def test_triangles_and_quads_may_be_mixed(tmp_path):
    vertices = [(0, 0), (1, 0), (1, 1), (0, 1), (2, 0)]
    after = 'element face 2|property list uchar int vertex_indices|property uchar flags'
    for order, encoding in (('<', 'binary_little_endian'), ('>', 'binary_big_endian')):
        header = head('x y z', encoding, points=5, after=after)
        body = b''.join(struct.pack(f'{order}3d', *xy, 5) for xy in vertices)
        body += struct.pack(f'{order}B4iBB3iB', 4, 0, 1, 2, 3, 1, 3, 1, 4, 2, 2)
        points = read(tmp_path, header.encode() + body, num_mesh_points=200)
        assert points.shape == (200, 3) and (points[:, 2] == 5).all()
        x, y = points[:, 0], points[:, 1]
        assert ((x >= 0) & (y >= 0) & (y <= 1) & (x + y <= 2)).all()
        assert (x > 1).any() and (x < 0.5).any()
        assert ((x < 1) & (x > y)).any() and ((x < 1) & (x < y)).any()
        rejects('a.ply: ', read, tmp_path, header.encode() + body[:-3], num_mesh_points=9)


def test_byte_order_marks_and_old_line_ends(tmp_path):
    binary, ascii_ = head().encode(), head(format_='ascii').encode() + text().encode()
    for content in (
        binary.replace(b'\n', b'\r') + ROWS.tobytes(),
        ascii_.replace(b'\n', b'\r'),
        MARK + ascii_,
        MARK + ascii_.replace(b'\n', b'\r\n'),
        MARK + binary + ROWS.tobytes(),
    ):
        np.testing.assert_array_equal(read(tmp_path, content), CLOUD)


def test_more_rows_than_the_header_says_are_told(tmp_path):
    content = head(format_='ascii', points=7).encode() + text().encode()
    rejects('a.ply: its header says 7 of vertex, and 12 rows follow', read, tmp_path, content)
    content = head(format_='ascii').encode() + text().encode() + b'\n \n'
    np.testing.assert_array_equal(read(tmp_path, content), CLOUD)
