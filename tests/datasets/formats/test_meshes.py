import json
import struct

import numpy as np
import pytest
import trimesh

from mmkd3d.datasets.readers import read_file
from tests.helpers import rejects

rng = np.random.default_rng(0)
XYZ = rng.normal(size=(12, 3)).astype('f4')
RGB = rng.integers(0, 256, (12, 3)).astype('u1')


def read(path, **options):
    ((_, points),) = read_file(path, **options)
    return points


@pytest.mark.parametrize('suffix', ['obj', 'glb'])
@pytest.mark.parametrize('coloured', [True, False])
def test_points_without_faces(tmp_path, suffix, coloured):
    path = tmp_path / f'a.{suffix}'
    trimesh.PointCloud(XYZ, colors=RGB if coloured else None).export(path)
    if suffix == 'obj':
        colours = RGB / 255 if coloured else np.zeros((12, 0))
        lines = (' '.join(map(str, [*xyz, *c])) for xyz, c in zip(XYZ, colours))
        path.write_text('# points\n' + ''.join(f'v {line}\n' for line in lines))
    points = read(path)
    np.testing.assert_allclose(points[:, :3], XYZ, rtol=1e-6)
    assert points.shape == (12, 6 if coloured else 3)
    if coloured:
        np.testing.assert_array_equal(points[:, 3:], RGB)
        assert read(path, columns=['x', 'y', 'z', 'b'])[4, 3] == RGB[4, 2]


def test_points_of_a_moved_node_of_glb(tmp_path):
    scene = trimesh.Scene()
    for shift in (0, 10):
        move = trimesh.transformations.translation_matrix([shift, 0, 0])
        scene.add_geometry(trimesh.PointCloud(XYZ), transform=move)
    scene.export(tmp_path / 'a.glb')
    expected = np.concatenate([XYZ, XYZ + [10, 0, 0]])
    found = read(tmp_path / 'a.glb')
    order = np.lexsort(found.T), np.lexsort(expected.T)
    np.testing.assert_allclose(found[order[0]], expected[order[1]], rtol=1e-5)


def test_dense_vertices_keep_their_colours(tmp_path):
    lines = [' '.join(map(str, [*xyz, *(c / 255)])) for xyz, c in zip(XYZ, RGB)]
    faces = ''.join(f'f {k + 1} {k + 2} {k + 3}\n' for k in range(10))
    (tmp_path / 'a.obj').write_text(''.join(f'v {line}\n' for line in lines) + faces)
    dense = read(tmp_path / 'a.obj', dense_vertices=True, num_mesh_points=12)
    np.testing.assert_allclose(dense, np.column_stack([XYZ, RGB]), rtol=1e-6)
    assert read(tmp_path / 'a.obj', num_mesh_points=12).shape == (12, 3)


def test_files_that_a_mesh_names_are_not_opened(tmp_path):
    box = trimesh.creation.box()
    box.export(tmp_path / 'a.obj')
    plain = read(tmp_path / 'a.obj', num_mesh_points=100)
    obj = (tmp_path / 'a.obj').read_text()
    (tmp_path / 'a.obj').write_text('mtllib missing.mtl\nusemtl m\n' + obj)
    np.testing.assert_array_equal(read(tmp_path / 'a.obj', num_mesh_points=100), plain)
    scene = dict(
        asset=dict(version='2.0'),
        buffers=[dict(uri='secret.bin', byteLength=36)],
        bufferViews=[dict(buffer=0, byteLength=36)],
        accessors=[dict(bufferView=0, componentType=5126, count=3, type='VEC3')],
        meshes=[dict(primitives=[dict(attributes=dict(POSITION=0), mode=0)])],
        nodes=[dict(mesh=0)],
        scenes=[dict(nodes=[0])],
    )
    np.ones((3, 3), 'f4').tofile(tmp_path / 'secret.bin')
    text = json.dumps(scene).encode()
    text += b' ' * (-len(text) % 4)
    header = b'glTF' + struct.pack('<III', 2, 20 + len(text), len(text)) + b'JSON'
    (tmp_path / 'a.glb').write_bytes(header + text)
    rejects('a.glb: ', read, tmp_path / 'a.glb')


@pytest.mark.parametrize('suffix', ['off', 'stl', 'glb', 'ply', 'ascii.stl'])
@pytest.mark.parametrize('part', [0.3, 0.7, 0.95])
def test_meshes_that_are_cut_are_told(tmp_path, suffix, part):
    path = tmp_path / f'a.{suffix}'
    kind = 'stl_ascii' if suffix == 'ascii.stl' else suffix
    trimesh.creation.icosphere(subdivisions=2).export(path, file_type=kind)
    assert read(path, num_mesh_points=9).shape == (9, 3)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    rejects(f'a.{suffix}: ', read, path)


def test_headers_that_lie_are_told(tmp_path):
    for name, content, message in (
        ('a.off', b'OFF\n1000000000000 5 0\n0 0 0\n', '1000000000000 vertices'),
        (
            'a.off',
            b'OFF4 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n',
            '4 vertices and 1 faces, and 4 lines',
        ),
        ('a.stl', bytes(79) + b'.' + struct.pack('<I', 2**31) + bytes(100), '2147483648 triangles'),
        ('a.obj', b'# nothing\n', 'no faces and no points'),
    ):
        (tmp_path / name).write_bytes(content)
        rejects(f'{name}: .*{message}', read, tmp_path / name)


def test_stl_in_upper_case_and_with_bytes_behind_it(tmp_path):
    box = trimesh.creation.box()
    for suffix, kind in (('.ascii.stl', 'stl_ascii'), ('.stl', 'stl')):
        path = tmp_path / f'a{suffix}'
        box.export(path, file_type=kind)
        wanted, content = read(path, num_mesh_points=9), path.read_bytes()
        path.write_bytes(content.upper() if kind == 'stl_ascii' else content + b'extra')
        np.testing.assert_array_equal(read(path, num_mesh_points=9), wanted)


@pytest.mark.parametrize('suffix', ['obj', 'off'])
def test_a_byte_order_mark_hides_no_vertex(tmp_path, suffix):
    path = tmp_path / f'a.{suffix}'
    trimesh.creation.box().export(path)
    wanted, content = read(path, num_mesh_points=9), path.read_bytes()
    path.write_bytes(b'\xef\xbb\xbf' + content)
    np.testing.assert_array_equal(read(path, num_mesh_points=9), wanted)
    if suffix == 'obj':
        path.write_text('\ufeffv 1 2 3\nv 4 5 6\n')
        np.testing.assert_array_equal(read(path), [[1, 2, 3], [4, 5, 6]])
