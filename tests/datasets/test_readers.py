import re

import numpy as np
import pytest

from mmkd3d.datasets.formats import FORMATS
from mmkd3d.datasets.readers import (
    is_dataset,
    list_files,
    read_clouds,
    read_file,
    read_points,
    select_channels,
)
from tests.helpers import rejects

rng = np.random.default_rng(0)
CLOUD = rng.uniform(-1, 1, (50, 6)).astype(np.float32)
MANY = rng.normal(size=(3, 9, 4)).astype('float32')


def write_ply(path, binary):
    from plyfile import PlyData, PlyElement

    names = ('nx', 'ny', 'nz', 'x', 'y', 'z')  # the reader must move xyz to the front
    rows = np.empty(len(CLOUD), [(n, 'f4') for n in names])
    for name, column in zip(names, CLOUD[:, [3, 4, 5, 0, 1, 2]].T):
        rows[name] = column
    PlyData([PlyElement.describe(rows, 'vertex')], text=not binary).write(path)


def write_pcd(path):
    head = (
        'VERSION .7\nFIELDS x y z a b c\nSIZE 4 4 4 4 4 4\n'
        'TYPE F F F F F F\nCOUNT 1 1 1 1 1 1\nWIDTH 50\nHEIGHT 1\n'
        'VIEWPOINT 0 0 0 1 0 0 0\nPOINTS 50\nDATA binary\n'
    )
    path.write_bytes(head.encode() + CLOUD.tobytes())


def write(path):
    """Write CLOUD in the format given by the suffix."""
    suffix = path.suffix
    if suffix == '.npy':
        np.save(path, CLOUD)
    elif suffix == '.npz':
        np.savez(path, points=CLOUD, other=np.zeros((2, 2)))
    elif suffix == '.h5':
        h5py = pytest.importorskip('h5py')
        with h5py.File(path, 'w') as file:
            file['data'] = CLOUD
            file['label'] = 3
    elif suffix == '.csv':
        np.savetxt(path, CLOUD, delimiter=',', header='x,y,z,a,b,c', comments='')
    elif suffix == '.pts':
        np.savetxt(path, CLOUD, header='50', comments='')
    elif suffix in TEXT_FORMATS:
        np.savetxt(path, CLOUD)
    elif suffix == '.bin':
        CLOUD.tofile(path)
    elif suffix == '.pcd':
        write_pcd(path)
    elif suffix == '.ply':
        pytest.importorskip('plyfile')
        write_ply(path, binary=True)
    return path


TEXT_FORMATS = ('.txt', '.xyz', '.xyzn', '.xyzrgb', '.asc', '.csv', '.pts')
CLOUD_FORMATS = ('.npy', '.npz', '.h5', *TEXT_FORMATS, '.bin', '.pcd', '.ply')
MESH_FORMATS = ('.off', '.obj', '.stl', '.glb')


@pytest.mark.parametrize('suffix', CLOUD_FORMATS)
def test_every_format_gives_the_same_cloud(tmp_path, suffix):
    path = write(tmp_path / f'cloud{suffix}')
    points = read_points(path, load_dim=6)
    assert points.dtype == np.float32
    np.testing.assert_allclose(points, CLOUD, atol=1e-6)
    assert read_points(path, 3, load_dim=6).shape == (50, 3)


@pytest.mark.parametrize('suffix', CLOUD_FORMATS)
def test_a_truncated_file_is_named(tmp_path, suffix):
    path = write(tmp_path / f'cloud{suffix}')
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3 - 1])
    if suffix in TEXT_FORMATS:  # cut within a row
        path.write_bytes(content[: content.rindex(b'\n', 0, -1) + 8])
    with pytest.raises(ValueError, match=f'cloud{suffix}'):
        read_points(path, load_dim=6)


@pytest.mark.parametrize('suffix', MESH_FORMATS)
def test_meshes_are_sampled_by_area_and_seed(tmp_path, suffix):
    trimesh = pytest.importorskip('trimesh')
    path = tmp_path / f'cube{suffix}'
    trimesh.creation.box(bounds=[[0, 0, 0], [1, 1, 1]]).export(path)
    if suffix == '.off':  # ModelNet's files often lack the line break after OFF
        path.write_text(path.read_text().replace('OFF\n', 'OFF', 1))
    points = read_points(path, num_mesh_points=6000, seed=1)
    assert points.shape == (6000, 3)
    on_face = np.isclose(points[:, :, None], [0, 1], atol=1e-6)
    assert on_face.any((1, 2)).all()
    # six faces of equal area: a sixth of the points each
    np.testing.assert_allclose(on_face.mean(0), 1 / 6, atol=0.02)
    again = read_points(path, num_mesh_points=6000, seed=1)
    other = read_points(path, num_mesh_points=6000, seed=2)
    assert (again == points).all() and not (other == points).all()


def test_bad_files_are_named(tmp_path):
    for values, message in (
        (np.zeros((0, 3)), 'empty'),
        (np.full((4, 3), np.nan), '4 of 4 points'),
        (np.array([[0, 0, 0], [0, np.inf, 0]]), 'row 1'),
        (np.zeros((4, 2)), r'\(4, 2\)'),
        (np.zeros((2, 4, 3)), 'one cloud per file'),
        (np.zeros(4), r'shape \(4,\)'),
        (np.zeros((1, 3, 9, 4)), r'shape \(1, 3, 9, 4\)'),
        (np.array([{}], dtype=object), ''),  # pickled arrays are not loaded
    ):
        np.save(tmp_path / 'bad.npy', values)
        rejects(f'bad.npy.*{message}', read_points, tmp_path / 'bad.npy')
    for name in ('a.txt', 'a.doc'):
        (tmp_path / name).write_text(' \n')
    rejects('a.txt: the cloud is empty', read_points, tmp_path / 'a.txt')
    rejects(r'a.doc: unknown format.*\.npy', read_points, tmp_path / 'a.doc')
    rejects('none.npy', read_points, tmp_path / 'none.npy', error=FileNotFoundError)
    path = write(tmp_path / 'a.bin')
    rejects('load_dim', read_points, path)
    rejects('load_dim=7', read_points, path, load_dim=7)
    two = tmp_path / 'two.npz'
    np.savez(two, a=MANY[0], b=MANY[1])
    rejects("two.npz: expected an array 'poi", read_file, two)
    rejects(r"two.npz: no array 'c'.*'a', 'b'", read_file, two, key='c')


def test_missing_channels_are_an_error_or_zeros():
    rejects("column 8, got 6 .* missing='zero'", select_channels, CLOUD, 9, 'a.npy')
    filled = select_channels(CLOUD, 9, 'a.npy', missing='zero')
    assert (filled[:, :6] == CLOUD).all() and not filled[:, 6:].any()
    chosen = select_channels(CLOUD, [0, 1, 2, 5], 'a.npy')
    assert (chosen == CLOUD[:, [0, 1, 2, 5]]).all()


def test_every_known_suffix_has_a_test():
    assert set(FORMATS) == {*CLOUD_FORMATS, *MESH_FORMATS, '.hdf5', '.las', '.laz'}


def test_files_are_listed_in_order_with_those_of_sub_folders(tmp_path):
    (tmp_path / 'sub').mkdir()
    for name in ('b.ply', 'a.npy', 'sub/c.TXT', 'sub/notes.md', 'z.pth'):
        (tmp_path / name).touch()
    assert list_files([tmp_path]) == [tmp_path / n for n in ('a.npy', 'b.ply', 'sub/c.TXT')]
    listed = list_files([tmp_path / 'b.ply', f'{tmp_path}/**/*.npy'])
    assert [p.name for p in listed] == ['b.ply', 'a.npy']
    (tmp_path / 'empty').mkdir()
    for name in ('empty', 'c.ply', '*.las'):
        says = f'{re.escape(str(tmp_path / name))}: no such file'
        files = [tmp_path / 'a.npy', str(tmp_path / name)]
        rejects(says, list_files, files, error=FileNotFoundError)


@pytest.mark.parametrize('suffix', ['npy', 'npz', 'h5', 'offset.npz'])
def test_an_array_of_many(suffix, tmp_path):
    path = tmp_path / f'many.{suffix}'
    expected = MANY
    if suffix == 'npy':
        np.save(path, MANY)
    elif suffix == 'npz':
        np.savez(path, points=MANY, label=np.arange(3))
    elif suffix == 'h5':
        h5py = pytest.importorskip('h5py')
        with h5py.File(path, 'w') as file:
            file['data'], file['label'] = MANY, np.arange(3)
    else:
        np.savez(path, points=MANY.reshape(-1, 4), offset=[0, 9, 9, 27])
        expected = [MANY[0], MANY[0, :0], MANY[1:].reshape(-1, 4)]
    found = read_file(path)
    assert [name for name, _ in found] == [f'{path.as_posix()}#{i}' for i in range(3)]
    for (_, points), other in zip(found, expected):
        np.testing.assert_array_equal(points, other)


def test_one_cloud_has_the_name_of_its_file(tmp_path):
    np.savez(tmp_path / 'one.npz', cloud=MANY[0], label=3)
    ((name, points),) = read_clouds(tmp_path / 'one.npz')
    assert name == (tmp_path / 'one.npz').as_posix()
    np.testing.assert_array_equal(points, MANY[0])
    np.savez(tmp_path / 'two.npz', a=MANY[0], b=MANY[1])
    ((_, points),) = read_clouds(tmp_path / 'two.npz', key='b')
    np.testing.assert_array_equal(points, MANY[1])
    # an offset that is not a valid point index is ignored
    np.savez(tmp_path / 'a.npz', points=CLOUD, offset=[0.5, 2, 3])
    np.testing.assert_array_equal(read_points(tmp_path / 'a.npz'), CLOUD)


def test_data_frames_are_read_by_their_columns():
    pandas = pytest.importorskip('pandas')
    xyz = np.random.default_rng(0).normal(size=(9, 3))
    frame = pandas.DataFrame(dict(z=xyz[:, 2], name='tree', x=xyz[:, 0], r=7, y=xyz[:, 1]))
    wanted = np.column_stack([xyz, np.full(9, 7)]).astype(np.float32)
    for given in (frame, [frame], (frame,)):
        ((name, points),) = read_clouds(given)
        assert name == 'cloud 0'
        np.testing.assert_array_equal(points, wanted)
    ((_, points),) = read_clouds(pandas.DataFrame(xyz))
    np.testing.assert_array_equal(points, xyz.astype(np.float32))
    assert not is_dataset(frame)
    bad = []
    assert len(list(read_clouds([frame, frame[['x', 'y']]], bad=bad))) == 1
    assert 'cloud 1: no columns x, y, z among x, y' in bad[0]
