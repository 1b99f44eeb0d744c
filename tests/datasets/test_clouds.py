"""All clouds in files, in folders, and in arrays of many."""

import re

import numpy as np
import pytest

from mmkd3d.datasets.clouds import list_files, read_clouds

MANY = np.random.default_rng(0).normal(size=(3, 9, 4)).astype('float32')


def check(found, path, expected=MANY):
    assert [name for name, _ in found] == [f'{path.as_posix()}#{i}' for i in range(len(expected))]
    for (_, points), other in zip(found, expected):
        np.testing.assert_array_equal(points, other)


def test_files_are_listed_in_order_with_those_of_sub_folders(tmp_path):
    for name in ('b.ply', 'a.npy', 'sub/c.TXT', 'sub/notes.md', 'z.pth'):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    names = ('a.npy', 'b.ply', 'sub/c.TXT')
    assert list_files([tmp_path]) == [tmp_path / name for name in names]
    listed = list_files([tmp_path / 'b.ply', f'{tmp_path}/**/*.npy'])
    assert [p.name for p in listed] == ['b.ply', 'a.npy']
    (tmp_path / 'empty').mkdir()
    for name in ('empty', 'c.ply', '*.las'):
        says = f'{re.escape(str(tmp_path / name))}: there is no such file'
        with pytest.raises(FileNotFoundError, match=says):
            list_files([tmp_path / 'a.npy', str(tmp_path / name)])


@pytest.mark.parametrize('suffix', ['npy', 'npz', 'h5', 'offset.npz'])
def test_an_array_of_many(suffix, tmp_path):
    path = tmp_path / f'many.{suffix}'
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
        check(read_clouds(path), path, [MANY[0], MANY[0, :0], MANY[1:].reshape(-1, 4)])
        return
    check(read_clouds(path), path)


def test_one_cloud_has_the_name_of_its_file(tmp_path):
    np.savez(tmp_path / 'one.npz', cloud=MANY[0], label=3)
    ((name, points),) = read_clouds(tmp_path / 'one.npz')
    assert name == (tmp_path / 'one.npz').as_posix()
    np.testing.assert_array_equal(points, MANY[0])
    np.savez(tmp_path / 'two.npz', a=MANY[0], b=MANY[1])
    ((_, points),) = read_clouds(tmp_path / 'two.npz', key='b')
    np.testing.assert_array_equal(points, MANY[1])


def test_bad_files_are_named(tmp_path):
    np.savez(tmp_path / 'two.npz', a=MANY[0], b=MANY[1])
    with pytest.raises(ValueError, match="two.npz: expected an array 'poi"):
        read_clouds(tmp_path / 'two.npz')
    with pytest.raises(ValueError, match=r"two.npz: no array 'c'.*'a', 'b'"):
        read_clouds(tmp_path / 'two.npz', key='c')
    np.save(tmp_path / 'deep.npy', MANY[None])
    with pytest.raises(ValueError, match=r'deep.npy.*shape \(1, 3, 9, 4\)'):
        read_clouds(tmp_path / 'deep.npy')
    (tmp_path / 'cut.npz').write_bytes((tmp_path / 'two.npz').read_bytes()[:100])
    with pytest.raises(ValueError, match='cut.npz: cannot be read as .npz'):
        read_clouds(tmp_path / 'cut.npz')
    with pytest.raises(FileNotFoundError, match='none.npz is missing'):
        read_clouds(tmp_path / 'none.npz')
