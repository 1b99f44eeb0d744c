import numpy as np
import pytest

from mmkd3d.datasets.scanobjectnn import FILES
from mmkd3d.registry import DATASETS
from tests.helpers import rejects

h5py = pytest.importorskip('h5py')
PIPELINE = [dict(type='LoadPoints'), dict(type='PackPoints')]
rng = np.random.default_rng(0)


def write(path, clouds, labels):
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, 'w') as file:
        file['data'], file['label'] = clouds, labels


def build(root, **cfg):
    return DATASETS.build(dict(type='ScanObjectNN', data_root=root, **cfg))


@pytest.mark.parametrize('variant', FILES)
@pytest.mark.parametrize('inner', ['', 'h5_files'])
def test_the_three_variants_are_read_as_stored(tmp_path, variant, inner):
    for split, name in (('train', 'training'), ('test', 'test')):
        clouds = rng.normal(2, 1, (6, 32, 3)).astype(np.float32)
        labels = rng.integers(15, size=6)
        write(tmp_path / inner / FILES[variant].format(name), clouds, labels)
        data = build(tmp_path, variant=variant, split=split, pipeline=PIPELINE)
        assert len(data) == 6 and len(data.metainfo['classes']) == 15
        for k in range(6):
            item = data[k]
            assert (item['inputs']['points'].numpy() == clouds[k]).all()
            assert item['data_samples'].gt_label == labels[k]


def test_errors_name_the_file(tmp_path):
    rejects("one of .*'pb_t50_rs'", build, tmp_path, variant='hardest')
    says = 'scale75.h5 is missing.*dataset.py info'
    rejects(says, build, tmp_path, error=FileNotFoundError)
    path = tmp_path / FILES['obj_bg'].format('training')
    write(path, np.zeros((2, 4, 3)), [0, 15])
    rejects('objectdataset.h5: label 15 is out', build, tmp_path, variant='obj_bg')
    write(path, np.zeros((2, 4, 3)), [0])
    rejects('2 clouds, 1 labels', build, tmp_path, variant='obj_bg')
    for bad, message in (
        (np.full((2, 4, 3), np.nan), '4 of 4 points'),
        (np.zeros((2, 0, 3)), 'empty'),
    ):
        write(path, bad, [0, 1])
        data = build(tmp_path, variant='obj_bg', pipeline=PIPELINE)
        rejects(f'obj_bg_train_00001: .*{message}', data.__getitem__, 1)
    path.write_bytes(path.read_bytes()[:100])
    rejects('objectdataset.h5: cannot be read', build, tmp_path, variant='obj_bg')
