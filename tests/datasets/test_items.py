"""Items that are made when they are asked for."""

import pickle

import pytest
from mmengine.dataset import BaseDataset

from mmkd3d.datasets.items import FileItems
from mmkd3d.datasets.toy_shapes import ToyShapes

NAMES = ['bed/a.npy', 'chair/ä b.tar.ply', 'chair/\udcff.npy']


def items():
    return FileItems('/data', NAMES, [0, 1, 1], ['bed', 'chair'])


def test_items_are_those_of_a_list():
    ids = ['bed/a', 'chair/ä b.tar', 'chair/\udcff']
    wanted = [
        dict(path=f'/data/{name}', sample_id=sample, gt_label=label, category=category)
        for name, sample, label, category in zip(NAMES, ids, (0, 1, 1), ('bed', 'chair', 'chair'))
    ]
    for found in (items(), pickle.loads(pickle.dumps(items()))):
        assert list(found) == wanted and found[-1] == wanted[-1] and found[1:] == wanted[1:]
        with pytest.raises(IndexError):
            found[3]
    assert dict(FileItems('/data', NAMES)[0]) == dict(path='/data/bed/a.npy', sample_id='bed/a')
    assert len(FileItems('/data', [])) == 0


def test_a_data_set_and_its_subsets_have_the_same_items():
    make = dict(num_samples=20, num_points=8)
    data = ToyShapes(**make)
    wanted = [data.get_data_info(i)['sample_id'] for i in range(20)]
    assert isinstance(data, BaseDataset) and not data.serialize_data
    for part in (data.get_subset([3, 5]), ToyShapes(**make, indices=[3, 5])):
        assert [part.get_data_info(i)['sample_id'] for i in range(2)] == [wanted[3], wanted[5]]
    data.get_subset_(-4)
    assert [data.get_data_info(i)['sample_id'] for i in range(4)] == wanted[-4:]
