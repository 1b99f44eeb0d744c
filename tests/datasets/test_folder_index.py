"""The kept listing of a large folder follows each change of the folder."""

import os

import numpy as np
import pytest

from mmkd3d.datasets import find, folder_index
from mmkd3d.datasets.find import list_folder


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    monkeypatch.setattr(folder_index, 'LEAST', 1)
    monkeypatch.setattr(folder_index, 'TICK', -60.0)  # folders of a test are new
    for name in ('bed/0.npy', 'bed/1.npy', 'chair/deep/2.npy'):
        path = tmp_path / 'data' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / 'data'


@pytest.fixture
def scans(monkeypatch):
    """Folders that were listed."""
    found, scandir = [], os.scandir
    monkeypatch.setattr(os, 'scandir', lambda path: found.append(str(path)) or scandir(path))
    return found


def kept(root):
    return list(root.parent.glob('cache/mmkd3d/folders/*'))


def test_an_unchanged_folder_is_not_listed_again(root, scans):
    first = list_folder(root)
    assert first.files == ['bed/0.npy', 'bed/1.npy', 'chair/deep/2.npy'] and len(kept(root)) == 1
    del scans[:]
    again = list_folder(str(root))
    assert again.files == first.files and again.links == again.texts == [] and not scans
    assert list_folder(root, ['.ply']).files == [] and scans


@pytest.mark.parametrize(
    'change, wanted',
    [
        (lambda root: (root / 'bed/3.npy').touch(), 'bed/0 bed/1 bed/3 chair/deep/2'),
        (lambda root: (root / 'bed/0.npy').unlink(), 'bed/1 chair/deep/2'),
        (lambda root: (root / 'bed/0.npy').rename(root / 'bed/9.npy'), 'bed/1 bed/9 chair/deep/2'),
        (lambda root: (root / 'bed').rename(root / 'sofa'), 'chair/deep/2 sofa/0 sofa/1'),
        (lambda root: (root / 'chair/deep/2.npy').unlink(), 'bed/0 bed/1'),
        (lambda root: (root / 'also').symlink_to('bed'), 'also/0 also/1 bed/0 bed/1 chair/deep/2'),
    ],
)
def test_each_change_is_noticed(root, change, wanted):
    list_folder(root)
    times = os.stat(root / 'bed')
    change(root)
    if (root / 'bed').exists():  # as after rsync --times
        os.utime(root / 'bed', ns=(times.st_atime_ns, times.st_mtime_ns))
    assert [name.removesuffix('.npy') for name in list_folder(root).files] == wanted.split()


def test_a_text_that_gets_points_is_noticed(root):
    (root / 'bed/a.txt').write_text('to do\n')
    assert list_folder(root).texts == ['bed/a.txt']
    assert list_folder(root).texts == ['bed/a.txt'] and len(kept(root)) == 1
    (root / 'bed/a.txt').write_text('1 2 3\n')
    listing = list_folder(root)
    assert listing.texts == [] and 'bed/a.txt' in listing.files


def test_a_damaged_index_is_made_again(root, scans):
    first = list_folder(root)
    (path,) = kept(root)
    good = path.read_bytes()
    for bad in (b'', good[:100], good.replace(b'bed/0', b'bed/7')):
        path.write_bytes(bad)
        assert list_folder(root) == first
    del scans[:]
    assert list_folder(root).files == first.files and not scans


def test_a_folder_that_may_still_change_is_not_kept(root, monkeypatch):
    monkeypatch.setattr(folder_index, 'TICK', 2.0)
    list_folder(root)
    assert kept(root) == []


def test_small_folders_are_not_kept(root, monkeypatch):
    monkeypatch.setattr(folder_index, 'LEAST', 4)
    list_folder(root)
    assert kept(root) == []


def test_a_cache_that_cannot_be_written_is_told(root, monkeypatch):
    said = []
    monkeypatch.setattr(folder_index, 'print_log', lambda text, *_: said.append(text))
    (root.parent / 'cache').touch()
    assert len(list_folder(root).files) == 3
    assert 'No index of 3 files' in said[0] and 'XDG_CACHE_HOME' in said[0]


def test_only_the_beginning_of_a_text_of_points_is_read(tmp_path, monkeypatch):
    read, judge = [], find.begins_with_points
    monkeypatch.setattr(find, 'begins_with_points', lambda h: read.append(len(h)) or judge(h))
    np.savetxt(tmp_path / 'a.txt', np.ones((999, 3)))
    (tmp_path / 'b.txt').write_text('# a long title\n' * 999 + '1 2 3\n')
    assert list_folder(tmp_path).files == ['a.txt', 'b.txt']
    assert sorted(read)[:2] < [find.FIRST] * 2 and len(read) == 3
