import json
import pickle
import subprocess
import sys

import numpy as np
import pytest

from mmkd3d.datasets import scannet_layout, toy_rooms
from mmkd3d.datasets.toy_rooms import write_toy_rooms
from tests.datasets.scans import detection, make_scannet, segmentation
from tests.helpers import rejects

ROOMS = dict(num_train=2, num_val=1, num_points=4000, seed=5, frames=2)


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return write_toy_rooms(tmp_path_factory.mktemp('toy') / 'rooms', **ROOMS)


@pytest.fixture(autouse=True)
def forget():
    """Reset the module state, as in a new process."""
    toy_rooms._made.clear()


def infos(root, split='train'):
    return pickle.loads((root / f'scannet_infos_{split}.pkl').read_bytes())


def scene(root, info):
    name = info['lidar_points']['lidar_path']
    points = np.fromfile(root / 'points' / name, np.float32).reshape(-1, 6)
    masks = (
        np.fromfile(root / folder / name, np.int64) for folder in ('semantic_mask', 'instance_mask')
    )
    return points, *masks


def test_layout_is_that_of_the_real_scans(root, data_root, tmp_path):
    make_scannet(data_root, tmp_path)
    for split in ('train', 'val'):
        ours, real = infos(root, split), infos(tmp_path, split)
        assert ours['metainfo'] == real['metainfo']
        for info in ours['data_list']:
            assert set(info) == set(real['data_list'][0])
            assert set(info['lidar_points']) == {'num_pts_feats', 'lidar_path'}
        for name in ('label_weight', 'resampled_scene_idxs'):
            one, two = (np.load(r / 'seg_info' / f'{split}_{name}.npy') for r in (root, tmp_path))
            assert one.dtype == two.dtype and one.ndim == two.ndim
    frames = 'posed_images/scene0000_00/cameras.npz'
    with np.load(root / frames) as ours, np.load(tmp_path / frames) as real:
        assert set(ours) == set(real)
        for key in ours:
            assert ours[key].dtype == real[key].dtype
            assert ours[key].shape[1:] == real[key].shape[1:]
    files = sorted(p.name for p in (root / frames).parent.iterdir())
    assert files == ['00000.jpg', '00000.png', '00020.jpg', '00020.png', 'cameras.npz']


def test_rooms_are_upright_metric_and_square_with_tight_boxes(root):
    for info in infos(root)['data_list']:
        points, semantic, instance = scene(root, info)
        assert len(points) == len(semantic) == len(instance) == 4000
        assert points[:, 3:].min() >= 0 and points[:, 3:].max() <= 255
        matrix = np.array(info['axis_align_matrix'])
        assert not np.allclose(matrix, np.eye(4))
        aligned = scannet_layout.align(points[:, :3].astype(float), matrix)
        boxes = {tuple(np.round(b['bbox_3d'], 6)): b['bbox_label_3d'] for b in info['instances']}
        found = {}
        for k in set(instance.tolist()) - {0}:
            mine = instance == k
            assert len(set(semantic[mine])) == 1
            if semantic[mine][0] in scannet_layout.CLASS_IDS:
                low, high = aligned[mine].min(0), aligned[mine].max(0)
                box = np.round([*(low + high) / 2, *(high - low)], 6)
                found[tuple(box)] = scannet_layout.CLASS_IDS.index(semantic[mine][0])
        assert found == boxes and len(boxes) >= 5
        assert abs(aligned[semantic == 2, 2]).max() < 0.05
        assert 1.8 < aligned[:, 2].max() < 3.0
        size = np.ptp(aligned[:, :2], axis=0)
        assert (size > 1.8).all() and (size < 6.5).all()
        walls = aligned[semantic == 1][:, :2]
        near = np.minimum(np.abs(walls - walls.min(0)), np.abs(walls - walls.max(0))).min(1)
        assert np.quantile(near, 0.95) < 0.03


def test_frames_see_the_scan(root):
    import cv2
    from scipy.spatial import cKDTree

    points, _, _ = scene(root, infos(root)['data_list'][0])
    folder = root / 'posed_images' / 'scene0000_00'
    with np.load(folder / 'cameras.npz') as cameras:
        K, poses = cameras['K_648x484'], cameras['cam2world']
    K = np.diag((320 / 648, 240 / 484, 1)) @ K
    tree = cKDTree(points[:, :3])
    for frame, pose in zip(('00000', '00020'), poses):
        assert cv2.imread(str(folder / f'{frame}.jpg')).shape == (484, 648, 3)
        depth = cv2.imread(str(folder / f'{frame}.png'), -1)
        assert depth.shape == (240, 320) and depth.dtype == np.uint16
        v, u = np.mgrid[:240:9, :320:9].reshape(2, -1)
        z = depth[v, u] / 1000
        rays = np.linalg.solve(K, np.stack([u, v, np.ones_like(u)])) * z
        world = rays.T[z > 0] @ pose[:3, :3].T + pose[:3, 3]
        # the scan is sparse and has holes, but a wrong pose is off by metres
        assert np.median(tree.query(world)[0]) < 0.15


def test_rooms_are_written_once_for_the_same_parameters(root, tmp_path):
    before = {p: p.stat().st_mtime_ns for p in root.rglob('*')}
    write_toy_rooms(root, **ROOMS)
    assert before == {p: p.stat().st_mtime_ns for p in root.rglob('*')}
    small = dict(num_train=1, num_val=1, num_points=500)
    out = write_toy_rooms(tmp_path / 'r', seed=0, **small)
    scan = out / 'points' / 'scene0000_00.bin'
    one = scan.read_bytes()
    assert one != (out / 'points' / 'scene5000_00.bin').read_bytes()
    rejects('in use', write_toy_rooms, out, seed=1, **small)
    toy_rooms._made.clear()  # as in a new process
    write_toy_rooms(out, seed=1, **small)
    assert scan.read_bytes() != one
    toy_rooms._made.clear()
    stamp = out / toy_rooms.STAMP  # as if killed while writing
    stamp.write_text(json.dumps(dict(json.loads(stamp.read_text()), complete=False)))
    scan.write_bytes(b'half')
    write_toy_rooms(out, seed=0, **small)
    assert scan.read_bytes() == one
    (tmp_path / 'thesis.txt').write_text('mine')
    says = 'not a folder of toy rooms'
    rejects(says, write_toy_rooms, tmp_path, error=FileExistsError, **small)
    assert (tmp_path / 'thesis.txt').read_text() == 'mine'


@pytest.mark.slow
def test_the_module_needs_no_mmdet3d():
    code = (
        'import sys; sys.modules["mmdet3d"] = None\n'
        'from mmkd3d.registry import DATASETS\n'
        'assert DATASETS.get("ToyRooms")\n'
        'assert "mmdet" not in sys.modules'
    )
    subprocess.run([sys.executable, '-c', code], check=True)


def test_stock_data_sets_read_the_folder(root):
    pytest.importorskip('mmdet3d')
    align = [
        dict(type='mmdet3d.GlobalAlignment', rotation_axis=2),
        dict(type='mmdet3d.PointSegClassMapping'),
    ]

    data = detection(root, align, type='ToyRooms', rooms=ROOMS)
    assert type(data).__name__ == 'ScanNetDataset' and len(data) == 2
    item = data[0]
    points, sample = item['inputs']['points'], item['data_samples']
    boxes = sample.gt_instances_3d.bboxes_3d
    inside = boxes.enlarged_box(1e-3).points_in_boxes_all(points).bool()
    for k, label in enumerate(sample.gt_instances_3d.labels_3d):
        mine = sample.gt_pts_seg.pts_semantic_mask[inside[:, k]]
        assert (mine == int(label)).sum() >= toy_rooms.MIN_POINTS
    data = segmentation(root, type='ToyRoomsSeg', rooms=ROOMS, columns=6)
    mask = data[0]['data_samples'].gt_pts_seg.pts_semantic_mask
    assert {0, 1} <= set(mask.tolist()) <= set(range(21))


@pytest.fixture(scope='module')
def lived_in(tmp_path_factory):
    rooms = dict(num_train=6, num_val=1, num_points=8000, seed=1, lived_in=True)
    return write_toy_rooms(tmp_path_factory.mktemp('lived_in') / 'rooms', **rooms), rooms


def test_lived_in_rooms_are_crowded_and_seen_unevenly(lived_in, root):
    names, uneven = set(), {}
    for folder in (lived_in[0], root):
        uneven[folder] = []
        for info in infos(folder)['data_list']:
            points, semantic, instance = scene(folder, info)
            aligned = scannet_layout.align(
                points[:, :3].astype(float), np.array(info['axis_align_matrix'])
            )
            floor = aligned[semantic == 2]
            assert len(floor) and abs(floor[:, 2]).max() < 0.2
            cells = np.floor(floor[:, :2] / 0.5)
            counts = np.unique(cells, axis=0, return_counts=True)[1]
            uneven[folder].append(counts.std() / counts.mean())
            if folder == lived_in[0]:
                assert (semantic == 40).any() and len(info['instances']) >= 4  # clutter, things
                names |= {i['bbox_label_3d'] for i in info['instances']}
                sizes = np.array([i['bbox_3d'][3:] for i in info['instances']])
                assert (sizes > 0).all() and sizes.max() < 4
    assert len(names) >= 10
    assert np.mean(uneven[lived_in[0]]) > 1.3 * np.mean(uneven[root])


def test_lived_in_rooms_depend_on_seed_and_index_alone(lived_in, tmp_path):
    out, rooms = lived_in
    again = write_toy_rooms(tmp_path / 'r', **dict(rooms, num_train=2))
    for name in ('scene0000_00.bin', 'scene0001_00.bin'):
        files = [
            folder / kind / name for kind in scannet_layout.FOLDERS[:3] for folder in (out, again)
        ]
        assert all(a.read_bytes() == b.read_bytes() for a, b in zip(files[::2], files[1::2]))
    assert len({p.read_bytes() for p in (out / 'points').iterdir()}) == 7


def test_things_of_lived_in_rooms_have_the_sizes_of_things():
    from mmkd3d.datasets.procedural.rooms import lived_in as made

    rng = np.random.default_rng(0)
    for name, kinds in made.FURNITURE.items():
        low, high = made.furniture(name, rng).bounds()
        limits = [limit for pair in kinds.values() for limit in pair]
        assert low[1] == pytest.approx(0) and min(limits) <= high[1] <= max(limits)
    for _ in range(20):
        assert 0.08 <= np.ptp(made.clutter(rng).bounds(), axis=0).max() < 0.45
