"""Which files of a folder are point clouds."""

import os

import numpy as np
import pytest

from mmkd3d.datasets import find
from mmkd3d.datasets.find import files_in, list_files, may_hold_points
from tests.helpers import rejects

CLOUD = np.random.default_rng(0).normal(size=(9, 3))


def save(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, CLOUD)


def names(files, root):
    return [path.relative_to(root).as_posix() for path in files]


@pytest.fixture
def root(tmp_path):
    save(tmp_path / 'data/bed/0.npy')
    save(tmp_path / 'disk/deep/1.npy')
    return tmp_path / 'data'


def test_links_to_folders_and_files_are_followed(root):
    (root / 'chair').symlink_to(root.parent / 'disk')
    (root / 'bed/2.npy').symlink_to(root.parent / 'disk/deep/1.npy')
    wanted = ['bed/0.npy', 'bed/2.npy', 'chair/deep/1.npy']
    assert names(files_in(root), root) == wanted
    assert names(list_files([root]), root) == wanted
    assert names(list_files([root / '**/*.npy']), root) == wanted
    assert names(list_files([root / '**']), root) == wanted
    assert names(list_files([root / '*']), root) == wanted
    assert names(list_files([root / '*/*.npy']), root) == wanted[:2]


def test_cycles_of_links_end(root):
    for name in ('bed/up', 'bed/self', 'loop'):
        (root / name).symlink_to(root)
    (root / 'bed/disk').symlink_to(root.parent / 'disk')
    (root.parent / 'disk/back').symlink_to(root / 'bed')
    (root / 'bed/all').symlink_to(root.parent)  # contains the folder
    (root / 'bed/everything').symlink_to('/')
    wanted = ['bed/0.npy', 'bed/disk/deep/1.npy']
    assert names(files_in(root), root) == wanted
    assert names(list_files([f'{root}/**/*.npy']), root) == wanted


def test_broken_links_are_named(root):
    (root / 'gone').symlink_to('/nowhere/chair')
    missing = dict(error=FileNotFoundError)
    rejects('gone is a link to /nowhere/chair, which does not', files_in, root, **missing)
    (root / 'gone').unlink()
    (root / 'bed/9.npy').symlink_to('/nowhere/9.npy')  # named by whoever reads it
    assert names(files_in(root), root) == ['bed/0.npy', 'bed/9.npy']


def test_hidden_files_and_metadata_are_left_out(root):
    for junk in (
        '.ipynb_checkpoints/0.npy',
        'bed/.ipynb_checkpoints/0-checkpoint.npy',
        '__MACOSX/bed/._0.npy',
        '__MACOSX/bed/0.npy',
        'bed/._0.npy',
        '.cache/deep/0.npy',
    ):
        save(root / junk)
    wanted = ['bed/0.npy']
    assert names(files_in(root), root) == wanted
    for pattern in ('**/*.npy', '*/*.npy', '*', '**'):
        assert names(list_files([root / pattern]), root) == wanted
    # what is asked for by its name is taken
    assert len(list_files([root / '.cache'])) == len(list_files([root / '.cache/*/*.npy'])) == 1
    assert len(list_files([root / 'bed/._0.npy'])) == 1


def test_text_without_points_is_left_out_and_told(root, monkeypatch):
    said = []
    monkeypatch.setattr(find, 'print_log', lambda text, *_: said.append(text))
    for name in ('README.txt', 'bed/labels.csv', 'bed/signature.asc'):
        (root / name).write_text('shapes of our lab, 2024\nbed 0\n')
    np.savetxt(root / 'bed/3.txt', CLOUD)
    assert names(files_in(root), root) == ['bed/0.npy', 'bed/3.txt']
    (text,) = said
    assert '3 text files without points are left out' in text and 'README.txt' in text
    assert list_files([root / 'README.txt'])  # by its name


@pytest.mark.parametrize(
    'text, holds',
    [
        ('0.1 -2e-3 3\n', True),
        ('x,y,z\n1,2,3\n', True),
        ('\n\n// made by a scanner\n12\n1 2 3 255 0 0\n', True),
        ('1,5;2,5;3,5\n', True),
        ('\ufeff1 2 3\n', True),
        ('', True),  # damaged: told by whoever reads it
        ('chair_0001\nchair_0002\n', False),
        ('version 1 2 3\n', False),
        ('0\n1\n2\n', False),
        ('name,x,y,z\n' + 'tree,1.5,2,3\n' * 9, True),
        ('t;x;y;z\n' + '2020-01-01T10:00:00;1,5;2;3\n' * 9, True),
        ('"id","x","y","z"\n' + '"p1","1","2","3"\n' * 9, True),
        ('1|2|3\n', True),
        ('# a long title\n' * 9999 + '1 2 3\n', True),
        ('name,points,faces,holes\n' + 'tree,15,2,3\n' * 9, False),
        ('Made in 2019, 2020, and 2021\nby 3 of us in 4 labs of 5\n', False),
        ('%PDF-1.4\x00\x01', False),
    ],
)
def test_what_counts_as_a_text_of_points(text, holds, tmp_path):
    encodings = ('utf-8', 'utf-16') if text else ('utf-8',)
    for encoding in encodings:
        (tmp_path / 'a.txt').write_bytes(text.encode(encoding))
        assert may_hold_points(tmp_path / 'a.txt') == holds, encoding


def test_utf_16_without_a_mark_is_text(tmp_path):
    (tmp_path / 'a.txt').write_bytes(('1.5\t2\t3\n' * 9).encode('utf-16-le'))
    assert may_hold_points(tmp_path / 'a.txt')


def test_a_folder_that_may_not_be_read_is_named(root, monkeypatch):
    def refuse(folder):
        raise PermissionError(13, 'Permission denied', str(folder))

    monkeypatch.setattr(os, 'scandir', refuse)
    rejects('data cannot be read: Permission denied', files_in, root)


def test_a_pipe_is_no_file(root):
    os.mkfifo(root / 'bed/pipe.txt')
    assert names(files_in(root), root) == ['bed/0.npy']
