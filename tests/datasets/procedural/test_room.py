import numpy as np
import pytest

from mmkd3d.datasets import scannet_layout
from mmkd3d.datasets.procedural.rooms import scan as scanning
from mmkd3d.datasets.procedural.rooms.frames import DEPTH_SIZE, intrinsics, look_from, render
from mmkd3d.datasets.procedural.rooms.room import DETECTION_CLASSES, NYU40, build_room

# objects that may touch: those standing on tables, and built-in ones
TOGETHER = (
    {'table', 'desk', 'otherprop', 'chair'},
    {'counter', 'sink'},
    {'window', 'curtain'},
    {'bathtub', 'showercurtrain'},
)


@pytest.fixture(scope='module')
def rooms():
    return [build_room(np.random.default_rng(k)) for k in range(20)]


# fmt: off
ON_FLOOR = {
    'bed', 'chair', 'sofa', 'table', 'door', 'bookshelf', 'desk', 'counter', 'refrigerator',
    'toilet', 'bathtub', 'garbagebin',
}
# fmt: on


def test_furniture_of_every_class_is_in_the_room_on_the_floor_and_apart(rooms):
    assert DETECTION_CLASSES == scannet_layout.CLASSES
    assert tuple(NYU40[c] for c in DETECTION_CLASSES) == scannet_layout.CLASS_IDS
    assert set(DETECTION_CLASSES) <= {item.name for room in rooms for item in room.items}
    for room in rooms:
        assert len(room.items) > 8
        items = [(i.name, i.bounds()) for i in room.items]
        for name, (low, high) in items:
            half = room.size / 2 + 0.11
            assert (np.abs([low, high])[:, [0, 2]] < half[[0, 2]]).all()
            assert name not in ON_FLOOR or abs(low[1]) < 0.06, name
        items = items[5:]  # after the floor and the walls
        for k, (name, (low, high)) in enumerate(items):
            for other, (low2, high2) in items[:k]:
                if not any({name, other} <= group for group in TOGETHER):
                    assert ((low >= high2) | (high <= low2)).any(), (name, other)


def test_a_scan_has_the_asked_points_and_a_seen_floor(rooms):
    rng = np.random.default_rng(0)
    scene = scanning.Scene(rooms[0], rng)
    eyes = scanning.stand_points(rooms[0], 4, rng)
    cloud = scanning.scan(scene, 5000, rng, eyes)
    assert cloud.points.shape == (5000, 3)
    assert (cloud.colors >= 0).all() and (cloud.colors <= 255).all()
    names = [rooms[0].items[i].name for i in np.unique(cloud.item)]
    assert 'floor' in names and 'wall' in names


def test_what_is_behind_a_box_is_not_seen():
    from mmkd3d.datasets.procedural.solids import box, rectangle
    from mmkd3d.datasets.procedural.surface import Surface

    wall = rectangle('wall', (4, 4), (0, 0, -3))
    front = box('box', (1, 1, 1), (0, 0, -1.5))
    rng = np.random.default_rng(0)
    clouds = []
    for k, solid in enumerate((wall, front)):
        points, normals, _ = Surface([solid]).draw(20000, rng)
        n = len(points)
        clouds.append((points, normals, np.zeros((n, 3)), np.full(n, k), np.zeros(n, bool)))
    cloud = scanning.Cloud(*(np.concatenate(x) for x in zip(*clouds)))
    seen = scanning.seen_from(cloud, np.zeros((1, 3)))
    on_wall = cloud.item == 0
    # the front of the box at z = -1 occludes up to 1.5 on the wall at z = -3
    shade = on_wall & (np.abs(cloud.points[:, :2]).max(1) < 1.35)
    lit = on_wall & (np.abs(cloud.points[:, :2]).max(1) > 1.65)
    assert seen[shade].mean() < 0.01 and seen[lit].mean() > 0.95
    back = ~on_wall & (cloud.points[:, 2] < -1.9)
    assert not seen[back].any()


def test_rendered_depth_lies_on_the_surfaces(rooms):
    rng = np.random.default_rng(0)
    scene = scanning.Scene(rooms[1], rng)
    eye = scanning.stand_points(rooms[1], 1, rng)[0]
    pose = look_from(eye, np.arctan2(-eye[0], -eye[2]), 0.3)
    np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-9)
    assert np.linalg.det(pose) == pytest.approx(1)
    assert pose[1, 1] < 0  # image rows go down
    cloud = scene.draw(60000, rng)
    _, depth = render(cloud, pose)
    v, u = np.mgrid[: DEPTH_SIZE[0] : 7, : DEPTH_SIZE[1] : 7].reshape(2, -1)
    z = depth[v, u]
    v, u, z = (x[z > 0] for x in (v, u, z))
    assert len(z) > 500
    camera = np.linalg.solve(intrinsics(DEPTH_SIZE), np.stack([u, v, np.ones_like(u)])) * z
    points = camera.T @ pose[:3, :3].T + pose[:3, 3]
    from scipy.spatial import cKDTree

    gap = cKDTree(cloud.points).query(points)[0]
    assert np.quantile(gap, 0.95) < 0.1
