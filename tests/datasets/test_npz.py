import numpy as np
import pytest

from mmkd3d.registry import DATASETS
from tests.helpers import REPO, rejects

PIPELINE = [dict(type='LoadPoints'), dict(type='PackPoints')]
rng = np.random.default_rng(0)
ARRAYS = dict(
    points=rng.normal(size=(8, 30, 3)).astype(np.float16),
    fine=np.array([0, 0, 1, 1, 2, 2, 2, 3]),
    fine_names=np.array(['a', 'b', 'c', 'd']),
    is_test=np.array([0, 1, 0, 0, 0, 1, 1, 1], dtype=bool),
    model_id=np.arange(100, 108),
    part=rng.integers(5, size=(8, 30)),
)
LABELS = dict(label='fine', names='fine_names')
TEST = dict(split='is_test', split_value=True)


@pytest.fixture
def file(tmp_path):
    np.savez(tmp_path / 'shapes.npz', **ARRAYS)
    return tmp_path / 'shapes.npz'


def build(file, **cfg):
    return DATASETS.build(dict(type='NpzPoints', file=file, **cfg))


def test_split_labels_ids_and_parts_go_together(file):
    data = build(file, **LABELS, **TEST, ids='model_id', parts='part', pipeline=PIPELINE)
    rows = np.flatnonzero(ARRAYS['is_test'])
    assert len(data) == len(rows)
    for k, row in enumerate(rows):
        item = data[k]
        sample = item['data_samples']
        assert sample.sample_id == f'shapes_{100 + row}'
        assert sample.category == ARRAYS['fine_names'][ARRAYS['fine'][row]]
        assert data.metainfo['classes'][sample.gt_label] == sample.category
        assert (sample.gt_parts.numpy() == ARRAYS['part'][row]).all()
        assert (item['inputs']['points'].numpy() == ARRAYS['points'][row]).all()


def test_classes_of_both_splits_or_of_one_alone_are_numbered_anew(file):
    def halves(subset):
        cfg = dict(LABELS, split='is_test', subset_of_classes=subset)
        return (build(file, split_value=value, **cfg) for value in (False, True))

    train, test = halves('in_both_splits')
    assert train.metainfo['classes'] == test.metainfo['classes'] == ('a', 'c')
    assert [train.get_cat_ids(k)[0] for k in range(len(train))] == [0, 1]
    assert [test.get_cat_ids(k)[0] for k in range(len(test))] == [0, 1, 1]
    train, test = halves('in_this_split_only')
    assert train.metainfo['classes'] == ('b',) and test.metainfo['classes'] == ('d',)


def test_small_classes_and_named_classes(file):
    data = build(file, **LABELS, min_per_class=3)
    assert data.metainfo['classes'] == ('c',) and len(data) == 3
    data = build(file, **LABELS, subset_of_classes=['d', 'b'])
    assert data.metainfo['classes'] == ('b', 'd') and len(data) == 3


def test_classes_of_the_config_set_the_order(file):
    wanted = ('c', 'x', 'b', 'a', 'd')
    data = build(file, **LABELS, parts='part', metainfo=dict(classes=wanted), pipeline=PIPELINE)
    assert data.metainfo['classes'] == wanted and data.metainfo['parts']['x'] == ()
    plain = build(file, **LABELS, parts='part')
    assert {k: v for k, v in data.metainfo['parts'].items() if v} == plain.metainfo['parts']
    for k, label in enumerate(ARRAYS['fine']):
        assert wanted[data.get_cat_ids(k)[0]] == ARRAYS['fine_names'][label]
    few = dict(LABELS, subset_of_classes=['b', 'c'])
    data = build(file, **few, metainfo=dict(classes=['c', 'b']))
    assert [data.get_cat_ids(k)[0] for k in range(len(data))] == [1, 1, 0, 0, 0]
    says = "the class 'b' is not one of metainfo.classes, 'c', 'a'"
    rejects(says, build, file, **few, metainfo=dict(classes=['c', 'a']))
    rejects('a list of texts', build, file, **LABELS, metainfo=dict(classes=[1, 2]))


def test_texts_of_h5_files_are_texts(tmp_path):
    h5py = pytest.importorskip('h5py')
    texts = dict(names=['Stühle', 'bed'], ids=list('pqrstuvw'), split=['train', 'test'] * 4)
    with h5py.File(tmp_path / 'shapes.h5', 'w') as file:
        for name, values in dict(texts, points=ARRAYS['points'], label=[0, 1] * 4).items():
            file[name] = values
    keys = dict(label='label', names='names', ids='ids', split='split', split_value='test')
    data = build(tmp_path / 'shapes.h5', **keys, metainfo=dict(classes=['bed', 'Stühle']))
    info = data.get_data_info(0)
    assert (info['sample_id'], info['category'], info['gt_label']) == ('shapes_q', 'bed', 0)


def test_clouds_of_any_size_by_offset(tmp_path):
    points = rng.normal(size=(10, 3))
    np.savez(tmp_path / 'r.npz', xyz=points, part=np.arange(10), offset=np.array([0, 4, 10]))
    data = build('r.npz', data_root=tmp_path, points='xyz', parts='part', offset='offset')
    assert len(data) == 2
    assert data[1]['gt_parts'].tolist() == list(range(4, 10))
    np.testing.assert_allclose(data[0]['points'], points[:4], rtol=1e-6)


PARTS = np.where(rng.random((8, 30)) < 0.5, 0, 1)
PARTS += 2 * ARRAYS['fine'][:, None]  # two per class, with distinct labels
PARTS[0, :4] = -1


def test_parts_of_a_class_are_those_of_both_splits(tmp_path):
    part = PARTS.copy()
    part[0, part[0] == 1] = 0  # label 1 is only in the test split
    file = tmp_path / 'shapes.npz'
    np.savez(file, **dict(ARRAYS, part=part, start=np.arange(0, 10, 2)))
    for split in (False, True):
        cfg = dict(LABELS, parts='part', split='is_test', subset_of_classes='in_both_splits')
        data = build(file, split_value=split, **cfg)
        assert data.metainfo['parts'] == dict(a=(0, 1), c=(4, 5))
        assert set(data.metainfo['parts']) == set(data.metainfo['classes'])
    part[ARRAYS['fine'] == 0] = 0
    np.savez(file, **dict(ARRAYS, part=part, start=np.arange(0, 10, 2)))
    seen = build(file, **LABELS, parts='part').metainfo['parts']
    assert seen['a'] == (0,)
    told = build(file, **LABELS, parts='part', part_offset='start')
    assert told.metainfo['parts'] == dict(seen, a=(0, 1))
    assert 'parts' not in build(file, **LABELS).metainfo


def test_shapes_without_a_label_are_of_one_class(tmp_path):
    np.savez(tmp_path / 'mugs.npz', points=ARRAYS['points'], part=PARTS[5:6].repeat(8, 0))
    data = build(tmp_path / 'mugs.npz', parts='part', pipeline=PIPELINE)
    assert data.metainfo['classes'] == ('mugs',)
    assert data.metainfo['parts'] == dict(mugs=(4, 5))
    assert data[7]['data_samples'].gt_label == 0


def test_errors_name_the_file_and_the_fix(file, tmp_path):
    rejects('none.npz', build, tmp_path / 'none.npz', error=FileNotFoundError)
    rejects("shapes.npz: no array 'lable'.*fine", build, file, label='lable')
    rejects('different length.*fine_names|label', build, file, label='fine_names')
    rejects('no shape is left', build, file, split='is_test', split_value=7)
    rejects(r"no class \['z'\]", build, file, **LABELS, subset_of_classes=['z'])
    np.savez(file, **dict(ARRAYS, fine=ARRAYS['fine'] + 1))
    rejects('shapes.npz: label 4 is out of range, expected 0..3', build, file, **LABELS)
    np.savez(file, **dict(ARRAYS, fine_names=np.array(['a', 'a', 'c', 'd'])))
    rejects("shapes.npz: the class 'a' is there twice", build, file, **LABELS)
    parts = dict(LABELS, parts='part', part_offset='start')
    for arrays, message in (
        (dict(start=np.arange(0, 8, 2)), "'start' must hold.*4 classes"),
        (dict(start=np.array([0, 2, 2, 4, 6])), r'rising, got \[0, 2, 2, 4'),
        (dict(part=PARTS[::-1]), r'class 0: part label 4 .* \[0, 1\]'),
        (dict(part=PARTS + 0.5), 'part label 0.5 is out of range'),
        (dict(part=PARTS[:, :9]), r'shape 0 has 30 points and part .*\(9,\)'),
    ):
        np.savez(file, **dict(ARRAYS, part=PARTS, start=np.arange(0, 10, 2)) | arrays)
        rejects(f'shapes.npz.*{message}', build, file, **parts)
    for bad, message in (
        (np.full((8, 30, 3), np.nan), 'shapes_2: 30 of 30 points'),
        (np.zeros((8, 0, 3)), 'shapes_2: the cloud is empty'),
        (np.zeros((8, 30, 2)), r'shapes_2: expected points.*\(30, 2\)'),
    ):
        np.savez(file, **dict(ARRAYS, points=bad))
        rejects(message, build(file, pipeline=PIPELINE).__getitem__, 2)
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    rejects('shapes.npz: cannot be read.*trunc', build, file)


def test_the_21_class_protocol_of_the_real_shapes(data_root):
    from mmengine.config import Config

    cfg = Config.fromfile(REPO / 'configs/_base_/datasets/psb_21.py')
    sizes = {}
    for split in ('train', 'val'):
        dataset = cfg[f'{split}_dataloader'].dataset
        dataset.file = str(data_root / 'psb_1809.npz')
        data = DATASETS.build(dataset)
        assert len(data.metainfo['classes']) == 21
        sizes[split] = len(data)
        assert data[0]['inputs']['points'].shape == (1024, 3)
        labels = [data.get_cat_ids(k)[0] for k in range(len(data))]
        assert set(labels) == set(range(21))
    assert sizes == dict(train=368, val=369)
    cfg = Config.fromfile(REPO / 'configs/_base_/datasets/psb.py')
    cfg.train_dataloader.dataset.file = str(data_root / 'psb_1809.npz')
    assert len(DATASETS.build(cfg.train_dataloader.dataset)) == 904


def test_few_labels_are_drawn_of_each_class(file):
    labels = ARRAYS['fine']

    def chosen(**cfg):
        data = build(file, **LABELS, ids='model_id', **cfg)
        return [int(data.get_data_info(k)['sample_id'][-3:]) - 100 for k in range(len(data))]

    rows = chosen(shots=2, draw=3)
    assert np.bincount(labels[rows]).tolist() == [2, 2, 2, 1]  # class 3 has one shape
    rng = np.random.default_rng(3)  # as few_label_accuracy draws
    same = [rng.permutation(np.flatnonzero(labels == k))[:2] for k in range(4)]
    assert rows == sorted(np.concatenate(same))
    assert len({tuple(chosen(shots=1, draw=k)) for k in range(9)}) > 1
    assert chosen(shots=9) == chosen()
    assert chosen(shots=1000000) == chosen()
    for shots in (0, -1, 1.5, True, '2'):
        rejects(
            f'at least 1 shape of each class, got {shots!r}', build, file, **LABELS, shots=shots
        )
    rejects('shots=2 needs a label for every shape', build, file, shots=2)
