import numpy as np
import pytest

from mmkd3d.datasets.procedural import solids
from mmkd3d.datasets.procedural.shapes import fixtures, furniture, things
from mmkd3d.datasets.procedural.shapes.catalogue import CATEGORIES, part_table
from mmkd3d.datasets.procedural.surface import Surface

NAMES = (
    'door window picture curtain shower_curtain counter refrigerator bathtub wash_stand '
    'inset_sink toilet garbage_bin'
)
FIXTURES = [getattr(fixtures, name) for name in NAMES.split()]
EVERYDAY = dict(list(CATEGORIES.items())[:16])  # tests of their own cover the others
BUILDERS = [c.build for c in EVERYDAY.values()] + FIXTURES


def draw(*parts, n=20000, seed=0):
    return Surface(list(parts)).draw(n, np.random.default_rng(seed))


def test_box_points_are_on_its_faces_by_area():
    points, normals, _ = draw(solids.box('b', (1, 2, 4), (0, 1, 0)))
    local = (points - (0, 1, 0)) / (0.5, 1, 2)
    side = np.abs(np.abs(local) - 1) < 1e-9
    assert side.any(1).all() and (np.abs(local) < 1 + 1e-9).all()
    # faces normal to x, y and z: 2 x (2x4, 1x4, 1x2) square metres
    np.testing.assert_allclose(side.mean(0), [8 / 14, 4 / 14, 2 / 14], atol=0.015)
    assert ((normals * local).sum(1) > 0.99).all()


@pytest.mark.parametrize(
    'solid, area',
    [
        (solids.ellipsoid('s', (1, 1, 1), (0, 0, 0)), 4 * np.pi),
        (solids.cylinder('s', 0.5, 2, (0, 0, 0)), 2.5 * np.pi),
        (solids.cylinder('s', 0.5, 2, (0, 0, 0), ends=(False, False)), 2 * np.pi),
        (solids.rod('s', (0, 0, 0), (0, 3, 4), 0.1), 0.1 * 10.2 * np.pi),
        (solids.ring('s', 1, 0.2, (0, 0, 0)), 4 * np.pi**2 * 0.2),
        (solids.rectangle('s', (2, 3), (0, 0, 0)), 6.0),
        (solids.bowl('s', (1, 1, 1), (0, 0, 0)), 2 * np.pi),
    ],
)
def test_area_is_that_of_the_round_body(solid, area):
    assert Surface([solid]).area == pytest.approx(area, rel=0.03)


def test_normals_of_a_sphere_point_outwards_after_a_stretch():
    ball = solids.ellipsoid('s', (1, 2, 3), (1, 0, 0), rotate=solids.rotation(0.7))
    points, normals, _ = draw(ball)
    back = (points - (1, 0, 0)) @ solids.rotation(0.7)
    expected = back / np.square((1, 2, 3)) @ solids.rotation(0.7).T
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert (normals * expected).sum(1).min() > 0.97
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1)


def test_no_point_is_inside_another_solid():
    one = solids.box('a', (1, 1, 1), (0, 0, 0))
    two = solids.cylinder('b', 0.4, 1, (0.5, 0, 0))
    three = solids.ellipsoid('c', (0.5, 0.5, 0.5), (0, 0.6, 0))
    points, _, owner = draw(one, two, three)
    for k in range(3):
        mine = points[owner == k]
        assert len(mine)
        if k != 0:
            assert not (np.abs(mine) < 0.49).all(1).any()
        if k != 1:
            assert not (
                (np.hypot(mine[:, 0] - 0.5, mine[:, 2]) < 0.39) & (np.abs(mine[:, 1]) < 0.49)
            ).any()
        if k != 2:
            far = np.linalg.norm(mine - (0, 0.6, 0), axis=1)
            assert far.min() > 0.49


def test_touching_solids_do_not_hide_each_other():
    below = solids.box('a', (1, 1, 1), (0, 0, 0))
    above = solids.box('b', (1, 1, 1), (0, 1, 0))
    points, _, owner = draw(below, above)
    top = (owner == 0) & (points[:, 1] > 0.5 - 1e-9)
    assert top.mean() == pytest.approx(1 / 12, abs=0.01)


def test_builders_vary_and_stand_on_the_floor():
    for build in BUILDERS:
        shapes = []
        for seed in range(300):  # every seed must build
            made = build(np.random.default_rng(seed))
            if seed > 5:
                continue
            low, high = (np.array(x) for x in zip(*(s.bounds() for s in made)))
            shapes.append((high.max(0) - low.min(0)).round(6).tolist())
            # exceptions: airplanes fly, and the rim of an inset sink is at 0
            if build not in (things.airplane, fixtures.inset_sink):
                assert -0.07 < low[:, 1].min() < 0.35
            assert np.isfinite(shapes[-1]).all()
        assert len({tuple(s) for s in shapes}) == 6


def test_parts_are_those_of_the_catalogue():
    for category in CATEGORIES.values():
        builds = [category.build(np.random.default_rng(seed)) for seed in range(30)]
        assert {s.part for made in builds for s in made} == set(category.parts)
    table, names = part_table()
    ids = [i for row in table.values() for i in row]
    assert ids == list(range(len(names))) and len(set(names)) == len(names)
    assert names[table['mug'][1]] == 'mug handle'
    for build, part, most in ((furniture.chair, 'arm', 35), (things.bottle, 'cap', 40)):
        builds = [build(np.random.default_rng(k)) for k in range(40)]  # the part is optional
        assert 5 < sum(any(s.part == part for s in made) for made in builds) < most
