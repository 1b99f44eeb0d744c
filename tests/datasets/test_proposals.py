"""Proposals: what counts as floor or wall, connected points, and what features correct."""

import numpy as np
import pytest

from mmkd3d.datasets import proposals

WIDTH, HEIGHT, RADIUS = 4.0, 2.5, 0.12


def face(low, high, rng, density=250):
    """Points on a rectangle: one of its sides has no length."""
    low, high = np.array(low, float), np.array(high, float)
    area = np.prod(np.sort(high - low)[1:])
    return rng.uniform(low, high, (int(area * density), 3))


def box(low, size, rng):
    """Points on the six sides of a box."""
    low, high = np.array(low, float), np.add(low, size)
    sides = []
    for axis in range(3):
        for value in (low[axis], high[axis]):
            first, last = low.copy(), high.copy()
            first[axis] = last[axis] = value
            sides.append(face(first, last, rng))
    return np.concatenate(sides)


@pytest.fixture
def parts():
    """Shell, two boxes and a flat picture on a wall, as points."""
    rng = np.random.default_rng(0)
    shell = [face((0, 0, 0), (WIDTH, WIDTH, 0), rng)]
    shell += [face((x, 0, 0), (x, WIDTH, HEIGHT), rng) for x in (0, WIDTH)]
    shell += [face((0, y, 0), (WIDTH, y, HEIGHT), rng) for y in (0, WIDTH)]
    boxes = [box((1, 1, 0.1), (0.8, 0.6, 0.9), rng), box((2.5, 2, 0.1), (0.6, 1.0, 0.5), rng)]
    picture = face((0.01, 1.5, 1.2), (0.01, 2.1, 1.8), rng)
    return [np.concatenate(shell), *boxes, picture]


def room_of(parts, feats=None):
    points = np.concatenate(parts)
    visible = np.ones(len(points), dtype=bool)
    return proposals.Room(points, feats, visible), np.repeat(range(4), [*map(len, parts)])


def test_floor_and_walls_are_found_and_furniture_is_not(parts):
    room, part = room_of(parts)
    found = proposals.structure(room.points)
    assert found[part == 0].all() and found[part == 3].all()
    assert not found[(part == 1) | (part == 2)].any()
    far = proposals.structure(room.points + [0, 9, 0])  # seen through a window or not: no matter
    assert (found == far).all()


def test_components_are_those_of_a_loop_over_all_pairs():
    rng = np.random.default_rng(1)
    points, kind = rng.random((60, 3)), rng.integers(2, size=60)
    found = proposals.connected(points, 0.25, kind=kind)
    label = np.arange(60)
    for _ in range(60):
        for i in range(60):
            near = np.linalg.norm(points - points[i], axis=1) <= 0.25
            label[near & (kind == kind[i])] = label[near & (kind == kind[i])].min()
    assert ((found[:, None] == found) == (label[:, None] == label)).all()


def test_surfaces_that_turn_fall_apart():
    rng = np.random.default_rng(2)
    sides = [face((0, 0, 0), (1, 1, 0), rng, 2000), face((0, 0, 0), (0, 1, 1), rng, 2000)]
    points = np.concatenate(sides)
    assert proposals.connected(points, 0.06).max() == 0
    found = proposals.connected(points, 0.06, turn=10)
    main = [np.bincount(part).argmax() for part in np.split(found, [2000])]
    assert main[0] != main[1]
    assert all((part == k).mean() > 0.8 for k, part in zip(main, np.split(found, [2000])))
    unit = np.linalg.norm(proposals.normals(points), axis=1)
    np.testing.assert_allclose(unit, 1)


def test_geometry_finds_what_stands_in_a_room(parts):
    room, part = room_of(parts)
    proposals.things_of_geometry(room, RADIUS)
    assert room.number.max() == 2 and not room.number[part == 3].any()
    for k in (1, 2):
        assert len(set(room.number[part == k])) == 1 and room.number[part == k][0] > 0
    assert not proposals.numbered_things(room.points, part, max_size=0.5).any()
    assert not proposals.numbered_things(room.points, part, min_points=10**6).any()


def test_features_add_pictures_and_drop_what_looks_like_a_wall(parts):
    rng = np.random.default_rng(3)
    plain, part = room_of(parts)
    is_thing = np.array([0, 1, 0, 1.0])[part]  # the second box looks like a wall
    feats = is_thing[:, None] * [4, 0] + rng.normal(0, 0.3, (len(part), 2))
    rooms = []
    for kept in (parts, [*parts[:2], parts[2][:0], parts[3][:0]]):
        count = [*map(len, kept)]
        own = np.concatenate([feats[part == k][: count[k]] for k in range(4)])
        room, _ = room_of(kept, own)
        proposals.things_of_geometry(room, RADIUS)
        rooms.append(room)
    proposals.correct_geometry(rooms, RADIUS, seed=0)
    number = rooms[0].number
    assert number.max() == 2 and not number[part == 2].any()
    assert (number[part == 3] > 0).mean() > 0.9 and (number[part == 1] > 0).all()
    assert rooms[1].number.max() == 1
    proposals.set_labels(rooms, classes=2, seed=0)
    # the box of both rooms is one class, the picture another
    box_label = rooms[0].labels[number[part == 1][0] - 1]
    assert rooms[1].labels.tolist() == [box_label] and len(set(rooms[0].labels)) == 2


def test_features_alone_find_pieces_of_one_kind_and_leave_out_large_ones(parts, monkeypatch):
    monkeypatch.setattr(proposals, 'SAMPLE', 10**6)  # all points, so that the picture is in
    room, part = room_of(parts)
    room.feats = np.eye(3)[np.array([0, 1, 1, 2])[part]]
    room.visible[part == 2] = False
    proposals.things_of_features([room], RADIUS, clusters=3, seed=0)
    assert not room.number[part == 0].any() and not room.number[part == 2].any()
    found = [set(room.number[part == k]) - {0} for k in (1, 3)]
    assert all(len(one) == 1 for one in found) and found[0] != found[1]


def test_sizes_and_mean_features_are_those_of_a_loop(parts):
    room, part = room_of(parts, np.random.default_rng(4).random((sum(map(len, parts)), 5)))
    room.visible[::3] = False
    proposals.things_of_geometry(room, RADIUS)
    for k, (row, mean) in enumerate(zip(proposals.sizes(room), proposals.mean_features(room)), 1):
        mine = room.number == k
        low, high = room.points[mine].min(0), room.points[mine].max(0)
        sides = [max(high[:2] - low[:2]), min(high[:2] - low[:2]), high[2] - low[2]]
        np.testing.assert_allclose(row, [*np.log(sides), low[2], high[2]])
        np.testing.assert_allclose(mean, room.feats[mine & room.visible].mean(0))
