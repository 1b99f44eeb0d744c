import numpy as np
import pytest

from mmkd3d.datasets import folder
from mmkd3d.registry import DATASETS
from tests.helpers import rejects

PIPELINE = [dict(type='LoadPoints'), dict(type='PackPoints')]


def write(path, n=5):
    path.parent.mkdir(parents=True, exist_ok=True)
    points = np.random.default_rng(0).normal(size=(n, 3))
    np.save(path, points) if path.suffix == '.npy' else np.savetxt(path, points)


@pytest.fixture
def root(tmp_path):
    for name in ('cup/b.npy', 'cup/a.npy', 'bowl/deep/c.txt', 'bowl/d.npy'):
        write(tmp_path / name)
    (tmp_path / 'cup' / 'readme.md').write_text('not a shape')
    return tmp_path


def build(root, **cfg):
    return DATASETS.build(dict(type='PointCloudFolder', data_root=root, **cfg))


def ids(data):
    return [data.get_data_info(k)['sample_id'] for k in range(len(data))]


def test_sub_folders_are_classes_in_alphabetical_order(root):
    data = build(root, pipeline=PIPELINE)
    assert ids(data) == ['bowl/d', 'bowl/deep/c', 'cup/a', 'cup/b']
    assert data.metainfo['classes'] == ('bowl', 'cup')
    samples = [data[k]['data_samples'] for k in range(4)]
    assert [int(s.gt_label) for s in samples] == [0, 0, 1, 1]
    assert samples[3].category == 'cup' and data.get_cat_ids(3) == [1]


def test_classes_of_the_config_set_the_order(root):
    data = build(root, metainfo=dict(classes=('cup', 'plate', 'bowl')))
    assert [data.get_cat_ids(k) for k in range(4)] == [[2], [2], [0], [0]]
    says = "d.npy: the folder 'bowl' is not one of the classes of the config, 'cup'.*file_list"
    rejects(says, build, root, metainfo=dict(classes=('cup',)))


def test_splits_are_no_classes(root):
    for names in (('train', 'test'), ('Train', 'val', 'test')):
        inner = root / '_'.join(names)
        for name in names:
            write(inner / name / 'cup/a.npy')
        rejects('seem to be splits.*such as .*[Tt]rain; or', build, inner)
        assert len(build(inner, classes=False)) == len(names)
        assert build(inner, metainfo=dict(classes=names)).metainfo['classes'] == names
    write(inner / 'boat/a.npy')
    write(inner / 'train/b.npy')
    assert 'train' in build(inner).metainfo['classes']


def test_files_that_differ_in_the_suffix_only_are_told(root):
    write(root / 'cup/a.xyz')
    rejects('a.npy and .*a.xyz differ in the suffix only.*extensions', build, root)
    assert ids(build(root, extensions='.npy')) == ['bowl/d', 'cup/a', 'cup/b']


def test_a_flat_folder_has_no_labels(root):
    data = build(root / 'cup', pipeline=PIPELINE)
    assert ids(data) == ['a', 'b'] and 'classes' not in data.metainfo
    assert not hasattr(data[0]['data_samples'], 'gt_label')
    rejects('a.npy is not in the folder of a class', build, root / 'cup', classes=True)


def test_a_stray_shape_beside_the_classes_is_named(root):
    write(root / 'e.npy')
    for classes in ('auto', True):
        says = "e.npy is not in the folder of a class, as other shapes are: 'bowl', 'cup'"
        rejects(says, build, root, classes=classes)
    assert ids(build(root, classes=False)) == ['bowl/d', 'bowl/deep/c', 'cup/a', 'cup/b', 'e']
    (root / 'list.txt').write_text('cup/b.npy\nbowl/d.npy\n')  # names a part of the folder
    assert build(root, file_list=root / 'list.txt').metainfo['classes'] == ('bowl', 'cup')


def test_junk_makes_no_class_and_no_shape(root, monkeypatch):
    for name in ('.ipynb_checkpoints/0.npy', '__MACOSX/cup/._a.npy', 'cup/._a.npy'):
        write(root / name)
    for name in ('README.txt', 'cup/license.txt'):
        (root / name).write_text('shapes of our lab\n')
    (root / 'vase').symlink_to(root / 'cup')
    (root / 'plate').mkdir()
    (root / 'plate/notes.md').touch()
    said = []
    monkeypatch.setattr(folder, 'print_log', lambda text, *_: said.append(text))
    data = build(root)
    assert "no shapes in the folders 'plate'" in said[0] and len(said) == 1
    assert data.metainfo['classes'] == ('bowl', 'cup', 'vase')
    assert ids(data) == ['bowl/d', 'bowl/deep/c', 'cup/a', 'cup/b', 'vase/a', 'vase/b']
    (root / 'cup/z.npy').symlink_to('/nowhere/z.npy')
    rejects('z.npy is missing: it is a link', build, root, error=FileNotFoundError)


def test_a_list_sets_shapes_and_order(root):
    assert ids(build(root, extensions=['.TXT'])) == ['bowl/deep/c']
    (root / 'list.txt').write_text('cup/b.npy\nbowl/d.npy\n\n')
    data = build(root, file_list=root / 'list.txt')
    assert ids(data) == ['cup/b', 'bowl/d']
    (root / 'list.txt').write_text('cup/z.npy\n')
    (root / 'list.txt').write_text('cup/b.npy\n', encoding='utf-8-sig')
    assert ids(build(root, file_list=root / 'list.txt')) == ['cup/b']
    (root / 'list.txt').write_text('cup/b.npy\n', encoding='utf-16')
    rejects('list.txt: expected a text in UTF-8', build, root, file_list=root / 'list.txt')
    (root / 'list.txt').write_text('cup/z.npy\n')
    says = 'z.npy is missing.*list.txt'
    rejects(says, build, root, file_list=root / 'list.txt', error=FileNotFoundError)


def test_missing_empty_and_bad_files_are_named(tmp_path):
    rejects('nowhere', build, tmp_path / 'nowhere', error=FileNotFoundError)
    rejects('no file with one of .*npy', build, tmp_path)
    (tmp_path / 'cup').mkdir()
    np.save(tmp_path / 'cup/a.npy', np.full((3, 3), np.nan))
    data = build(tmp_path, pipeline=PIPELINE)
    rejects('cup/a.npy: 3 of 3 points', data.__getitem__, 0)
