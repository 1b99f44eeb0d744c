"""tools/prepare_data/propose_boxes.py: from rooms without labels to a data set for detectors."""

import pickle

import numpy as np
import pytest
from mmdet3d.datasets import ScanNetDataset

from mmkd3d.datasets import scannet_layout as layout
from mmkd3d.datasets.toy_rooms import write_toy_rooms
from tests.helpers import rejects
from tools.prepare_data import propose_boxes


@pytest.fixture(scope='module')
def rooms(tmp_path_factory):
    root = tmp_path_factory.mktemp('rooms') / 'toy'
    return write_toy_rooms(root, num_train=3, num_val=1, num_points=20000, frames=4)


def propose(rooms, *words):
    propose_boxes.main([str(rooms), *words])
    out = rooms / f'proposals_{words[words.index("--use") + 1] if "--use" in words else "geometry"}'
    return out, pickle.loads((out / 'scannet_infos_train.pkl').read_bytes())['data_list']


def test_things_of_rooms_become_annotations_that_scannet_data_sets_read(rooms, capsys):
    out, infos = propose(rooms)
    printed = capsys.readouterr().out
    recall, precision = (float(word[:-1]) for word in printed.split() if word.endswith('%'))
    assert recall > 40 and precision > 60 and len(infos) == 3
    data = ScanNetDataset(
        str(out), 'scannet_infos_train.pkl', pipeline=[], metainfo=dict(classes=layout.CLASSES)
    )
    one = data.get_data_info(0)
    points = np.fromfile(one['lidar_points']['lidar_path'], np.float32).reshape(-1, 6)
    instances = np.fromfile(one['pts_instance_mask_path'], np.int64)
    semantics = np.fromfile(one['pts_semantic_mask_path'], np.int64)
    assert len(points) == len(instances) == len(semantics)
    aligned = layout.align(points[:, :3].astype(float), np.array(infos[0]['axis_align_matrix']))
    for number, instance in enumerate(infos[0]['instances'], 1):
        mask = instances == number
        np.testing.assert_allclose(
            instance['bbox_3d'][3:], np.ptp(aligned[mask], axis=0), atol=1e-4
        )
        assert set(semantics[mask]) == {layout.CLASS_IDS[instance['bbox_label_3d']]}


def test_the_annotations_of_the_rooms_are_not_used(rooms, tmp_path):
    _, first = propose(rooms)
    path = rooms / 'scannet_infos_train.pkl'
    content = pickle.loads(path.read_bytes())
    for info in content['data_list']:
        info['instances'] = []
        del info['pts_semantic_mask_path'], info['pts_instance_mask_path']
    (rooms / 'bare.pkl').write_bytes(pickle.dumps(content))
    _, second = propose(rooms, '--ann-file', 'bare.pkl')
    assert first == second


def test_the_teacher_looks_at_frames(rooms, monkeypatch, capsys):
    monkeypatch.setattr(propose_boxes, 'SIZE', (96, 128))
    for use in ('teacher', 'both'):
        _, infos = propose(
            rooms, '--use', use, '--random-weights', '--out', str(rooms / f'proposals_{use}')
        )
        labels = {i['bbox_label_3d'] for info in infos for i in info['instances']}
        assert len(labels) > 5


def test_wrong_commands_say_what_is_wrong(rooms, tmp_path):
    stop = dict(error=SystemExit)
    rejects('--radius is more than 0', propose, rooms, '--radius', '0', **stop)
    rejects('for --use teacher', propose, rooms, '--random-weights', **stop)
    rejects('is missing', propose, tmp_path / 'none', **stop)
