import numpy as np
import pytest

from mmkd3d.datasets.procedural.shapes import (
    arms,
    bath,
    buildings,
    craft,
    fittings,
    household,
    personal,
    play,
    ships,
    structures,
    tools,
    vehicles,
)
from mmkd3d.datasets.procedural.shapes.catalogue import CATEGORIES

MODULES = (
    arms,
    bath,
    buildings,
    craft,
    fittings,
    household,
    personal,
    play,
    ships,
    structures,
    tools,
    vehicles,
)
NAMES = [
    name for name, c in CATEGORIES.items() if c.build.__module__ in [m.__name__ for m in MODULES]
]


@pytest.mark.parametrize('name', NAMES)
def test_a_made_thing_has_its_parts_and_stands_on_the_floor(name):
    build, parts = CATEGORIES[name]
    seen, sizes = set(), set()
    for seed in range(40):
        if seed > 1 and seen == set(parts):
            break
        solids = build(np.random.default_rng(seed))
        assert 1 < len(solids) < 60
        seen |= {s.part for s in solids}
        if seed > 1:
            continue
        low, high = (np.array(x) for x in zip(*(s.bounds() for s in solids)))
        assert np.isfinite(low).all() and np.isfinite(high).all()
        size = high.max(0) - low.min(0)
        assert abs(low[:, 1].min()) < 0.02 * size.max()
        assert size.min() > 0.001 * size.max()
        assert abs(np.linalg.det([s.matrix for s in solids])).min() > 0
        sizes.add(tuple(size.round(6)))
    assert seen == set(parts)
    assert len(sizes) == 2


def test_a_seed_names_one_thing():
    for name in NAMES[::5]:
        one, two = (CATEGORIES[name].build(np.random.default_rng(3)) for _ in range(2))
        assert [s.part for s in one] == [s.part for s in two]
        for a, b in zip(one, two):
            np.testing.assert_array_equal(a.matrix, b.matrix)
            np.testing.assert_array_equal(a.mesh.corners, b.mesh.corners)
