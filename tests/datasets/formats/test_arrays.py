import os
import zipfile

import h5py
import numpy as np
import pytest

from mmkd3d.datasets.readers import read_arrays, read_file, read_points
from mmkd3d.registry import DATASETS
from tests.helpers import rejects

rng = np.random.default_rng(0)
CLOUD = rng.normal(size=(30, 3))


def read(path, **options):
    return [points for _, points in read_file(path, **options)]


def save(path, *args, **arrays):
    with open(path, 'wb') as file:  # numpy would add a suffix
        np.savez(file, **arrays) if arrays else np.save(file, *args)
    return path


def write_h5(path, **arrays):
    with h5py.File(path, 'w') as file:
        for name, array in arrays.items():
            file[name.replace('__', '/')] = array
    return path


def test_the_content_tells_the_format_of_arrays(tmp_path):
    for suffix in ('npy', 'npz', 'h5', 'hdf5'):
        path = tmp_path / f'a.{suffix}'
        for write in (
            lambda: save(path, CLOUD),
            lambda: save(path, points=CLOUD),
            lambda: write_h5(path, points=CLOUD),
        ):
            write()
            (points,) = read(path)
            np.testing.assert_array_equal(points, CLOUD)
            assert points.dtype == np.float64
    says = 'a.npz is one array .npy., expected an npz or h5'
    rejects(says, read_arrays, save(tmp_path / 'a.npz', CLOUD), dict(points='points'))


@pytest.mark.parametrize('suffix', ['npy', 'npz', 'h5'])
def test_named_fields_are_columns(tmp_path, suffix):
    table = np.zeros(30, [('rgb', 'u1', 3), ('Z', 'f4'), ('t', 'u4'), ('X', 'f8'), ('y', 'f4')])
    for k, name in enumerate(('X', 'y', 'Z')):
        table[name] = CLOUD[:, k]
    table['rgb'], table['t'] = [7, 8, 9], 3
    path = tmp_path / f'a.{suffix}'
    for array, count in ((table, 1), (table.reshape(3, 10), 3)):
        if suffix == 'npy':
            save(path, array)
        else:
            (save if suffix == 'npz' else write_h5)(path, **{'cloud': array, 'other': np.ones(3)})
        found = read(path)
        assert len(found) == count
        points = np.concatenate(found)
        np.testing.assert_allclose(points[:, :3], CLOUD, rtol=1e-6)
        assert points[0, 3:].tolist() == [7, 8, 9, 3]
        (blue, *_) = read(path, columns=['X', 'Y', 'Z', 'b'])
        assert blue[0, 3] == 9


def test_vectors_of_a_table_are_split(tmp_path):
    table = np.zeros(5, [('normals', 'f4', 3), ('xyz', 'f8', 3), ('f', 'f4', 2)])
    table['xyz'], table['normals'], table['f'] = CLOUD[:5], [0, 0, 1], [5, 6]
    (points,) = read(save(tmp_path / 'a.npy', table))
    np.testing.assert_array_equal(points[:, :3], CLOUD[:5])
    assert points[0, 3:].tolist() == [0, 0, 1, 5, 6]
    (points,) = read(tmp_path / 'a.npy', columns=['x', 'y', 'z', 'nz', 'f_1'])
    assert points[0, 3:].tolist() == [1, 6]


@pytest.mark.parametrize('write', [save, write_h5])
def test_columns_in_arrays_of_their_own(tmp_path, write):
    x, y, z = CLOUD.T
    path = write(tmp_path / 'a.npz', z=z, x=x, y=y, red=np.full(30, 9, 'u1'), label=np.array([3]))
    (points,) = read(path)
    np.testing.assert_array_equal(points, np.column_stack([CLOUD, np.full(30, 9)]))


def test_arrays_in_groups_of_h5(tmp_path):
    path = write_h5(tmp_path / 'a.h5', scene__points=CLOUD, scene__label=np.arange(30), g__h__m=[1])
    for key in (None, 'scene/points', '/scene/points'):
        (points,) = read(path, key=key)
        np.testing.assert_array_equal(points, CLOUD)
    assert read_arrays(path, dict(labels='scene/label'))['labels'].tolist() == list(range(30))
    rejects("a.h5: no array 'points', .*'scene/label', 'scene/points'", read, path, key='points')
    write_h5(path, a__points=CLOUD, b__points=CLOUD + 1)
    rejects(r"'a/points': \(30, 3\), 'b/points'.* --key", read, path)
    (points,) = read(path, key='b/points')
    np.testing.assert_array_equal(points, CLOUD + 1)
    many = dict(s__points=CLOUD, s__offset=[0, 10, 30])
    assert [len(points) for points in read(write_h5(path, **many))] == [10, 20]


def test_a_table_of_pandas_in_h5(tmp_path):
    # what to_hdf writes for a table of one type
    items = np.array([b'Time', b'X', b'Y', b'Z'])
    values = np.column_stack([np.arange(30), CLOUD])
    table = dict(
        t__axis0=items, t__axis1=np.arange(30), t__block0_items=items, t__block0_values=values
    )
    (points,) = read(write_h5(tmp_path / 'a.h5', **table))
    np.testing.assert_array_equal(points, values[:, [1, 2, 3, 0]])


def test_h5_reads_nothing_outside_the_file(tmp_path):
    path, other = tmp_path / 'a.h5', write_h5(tmp_path / 'other.h5', points=CLOUD)
    with h5py.File(path, 'w') as file:
        where = [('/etc/passwd', 0, 90)]
        file.create_dataset('points', shape=(30, 3), dtype='u1', external=where)
        file['link'] = h5py.ExternalLink(str(other), '/points')
        file['soft'] = h5py.SoftLink('/points')
        layout = h5py.VirtualLayout((30, 3), 'f8')
        layout[:] = h5py.VirtualSource(str(other), 'points', (30, 3))
        file.create_virtual_dataset('virtual', layout)
        file['gone'] = h5py.SoftLink('/nothing')
    for key, message in (
        (None, "array '/points' of shape .* is stored in file '/etc/passwd'"),
        ('link', "'link' is a link to '.*other.h5/points', and links are not"),
        ('soft', "'soft' is a link to '/points'"),
        ('virtual', 'is stored in arrays elsewhere'),
        ('gone', "'gone' is a link"),
        ('link/points', "no array 'link/points'"),
    ):
        rejects(f'a.h5: .*{message}', read, path, key=key)
        if key:
            rejects(f'a.h5: .*{message.split(" of ")[0]}', read_arrays, path, dict(points=key))


def test_python_objects_are_told_and_never_unpickled(tmp_path):
    ran = tmp_path / 'ran'

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(ran),)

    objects = np.empty(2, object)
    objects[:] = [Evil(), CLOUD]
    says = 'a.npy: .* holds Python objects .*dtype object.*never|are not loaded'
    rejects(says, read, save(tmp_path / 'a.npy', objects))
    rejects(says, read, save(tmp_path / 'a.npy', points=objects))
    table = np.zeros(3, [('x', 'f4'), ('y', 'f4'), ('z', 'f4'), ('o', 'O')])
    rejects(says, read, save(tmp_path / 'a.npy', table))
    with h5py.File(tmp_path / 'a.npy', 'w') as file:
        rows = file.create_dataset('points', (3,), dtype=h5py.vlen_dtype('f4'))
        rows[0] = [1, 2, 3]
    rejects('rows of different length', read, tmp_path / 'a.npy', key='points')
    assert not ran.exists()


def npy_header(shape, dtype='<f8', version=1):
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + '\n'
    return (
        b'\x93NUMPY'
        + bytes([version, 0])
        + len(text).to_bytes(2 * version, 'little')
        + text.encode()
    )


@pytest.mark.parametrize(
    'shape', ['(10**12, 3)', '(100000000000, 3)', '(31, 3)', '(9, 9, 9)', '(-1, 3)']
)
def test_counts_of_npy_are_checked_before_memory_is_asked_for(tmp_path, shape):
    content = npy_header(shape) + CLOUD.tobytes()
    (tmp_path / 'a.npy').write_bytes(content)
    rejects('a.npy: ', read, tmp_path / 'a.npy')
    with zipfile.ZipFile(tmp_path / 'a.npz', 'w') as archive:
        archive.writestr('points.npy', content)
    rejects('a.npz: ', read, tmp_path / 'a.npz')


def test_archives_that_unpack_to_memory_without_end_are_refused(tmp_path):
    rows = 1 << 27
    with zipfile.ZipFile(tmp_path / 'a.npz', 'w', zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open('points.npy', 'w', force_zip64=True) as file:
            file.write(npy_header((rows, 3), 'u1'))
            for _ in range(3 * rows >> 23):
                file.write(bytes(1 << 23))
    rejects('would take 402653184 bytes of memory', read, tmp_path / 'a.npz')
    with h5py.File(tmp_path / 'a.h5', 'w') as file:
        file.create_dataset('points', (10**9, 3), dtype='f4', chunks=(1000, 3))
    rejects('a.h5: .*holds no values', read, tmp_path / 'a.h5')
    with h5py.File(tmp_path / 'a.h5', 'w') as file:
        points = file.create_dataset('points', (10**9, 3), dtype='f4', chunks=(1000, 3))
        points[0] = 1
    rejects('a.h5: .*would take 12000000000 bytes', read, tmp_path / 'a.h5')
    rejects('a.h5: .*would take', read_arrays, tmp_path / 'a.h5', dict(points='points'))


OFFSETS = {
    'short': [0, 10, 29],
    'beyond': [0, 10, 31],
    'falling': [0, 20, 10, 30],
    'negative': [0, -5, 30],
    'later': [1, 10, 30],
    'fractions': [0, 10.5, 20, 30],
    'nan': [0, np.nan, 20, 30],
    'text': ['0', '30'],
    'rows': [[0, 30]],
    'none': [],
    'huge': np.array([0, 2**63, 30], dtype=np.uint64),
}


@pytest.mark.parametrize('case', OFFSETS)
def test_offsets_are_validated(tmp_path, case):
    offset = OFFSETS[case]
    path = save(tmp_path / 'a.npz', points=CLOUD, offset=offset)
    says = "a.npz: 'offset' must hold the first point"
    rejects(says, read, path)
    cfg = dict(type='NpzPoints', file=path, offset='offset')
    rejects(says, DATASETS.build, cfg)
    if case != 'text':
        rejects(says, read, write_h5(tmp_path / 'a.npz', points=CLOUD, offset=offset))


def test_an_offset_of_whole_floats_cuts_and_a_translation_does_not(tmp_path):
    path = save(tmp_path / 'a.npz', points=CLOUD, offset=[0.0, 10, 10, 30])
    assert [len(points) for points in read(path)] == [10, 0, 20]
    path = save(tmp_path / 'a.npz', points=CLOUD, offset=[430000.0, 5400000, 0])
    assert [len(points) for points in read(path)] == [30]


def test_other_content_under_the_suffix_of_a_cloud_is_named(tmp_path):
    with zipfile.ZipFile(tmp_path / 'a.npz', 'w') as archive:
        archive.writestr('scan.ply', 'ply')
    rejects('a.npz is a zip archive without arrays.*scan.ply.*Unpack', read, tmp_path / 'a.npz')
    for suffix in ('ply', 'pcd', 'txt', 'npy', 'h5', 'stl', 'glb', 'las', 'bin', 'off'):
        path = tmp_path / f'a.{suffix}'
        for content, message in (
            (b'<!DOCTYPE html><html>', 'is an HTML page.*download failed'),
            (
                b'version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 12\n',
                'git lfs pull',
            ),
            (b'\x1f\x8b\x08\0' + bytes(60), 'is a gzip archive.*Unpack'),
            (b'', 'is an empty file'),
        ):
            path.write_bytes(content)
            rejects(
                f'a.{suffix}: it {message}' if message[:2] == 'is' else message,
                read,
                path,
                load_dim=3,
            )
    os.mkfifo(tmp_path / 'b.ply')  # to open it would wait for a writer
    rejects('b.ply is a FIFO, expected a file', read, tmp_path / 'b.ply')
    rejects('b.ply is a FIFO', read_arrays, tmp_path / 'b.ply', {})


def test_a_text_of_h5_is_read_and_is_no_cloud(tmp_path):
    path = write_h5(tmp_path / 'a.h5', names=['a', 'b'], points=CLOUD, empty=h5py.Empty('f4'))
    assert [bytes(name) for name in read_arrays(path, dict(names='names'))['names']] == [b'a', b'b']
    rejects('a.h5: .*', read_points, path, key='names')
    rejects('a.h5: .*', read_points, path, key='empty')
