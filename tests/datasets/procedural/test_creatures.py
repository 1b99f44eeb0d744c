import numpy as np
import pytest

from mmkd3d.datasets.procedural.shapes.catalogue import CATEGORIES
from mmkd3d.datasets.procedural.surface import Surface

MODULES = 'creatures animals wildlife sea_life insects plants abstract'.split()
NAMES = [
    name
    for name, category in CATEGORIES.items()
    if getattr(category.build, 'func', category.build).__module__.rpartition('.')[2] in MODULES
]


def corners(solids):
    return np.concatenate([s.mesh.corners.reshape(-1, 3) @ s.matrix.T + s.shift for s in solids])


@pytest.mark.parametrize('name', NAMES)
def test_shapes_vary_and_stand_on_the_floor(name):
    category, sizes, found = CATEGORIES[name], [], set()
    for seed in range(40):
        solids = category.build(np.random.default_rng(seed))
        found |= {s.part for s in solids}
        points = corners(solids)
        size = np.ptp(points, axis=0)
        sizes.append((size / size.max()).round(4).tolist())
        assert points[:, 1].min() == pytest.approx(0, abs=1e-6)
        assert 0.01 < size.max() < 40 and size.min() > 0.01 * size.max()
        if seed < 2:
            points, normals, _ = Surface(solids).draw(64, np.random.default_rng(0))
            assert np.isfinite(points).all() and np.isfinite(normals).all()
        if seed > 12 and found == set(category.parts):
            break
    assert found == set(category.parts)
    # not one design made larger or smaller
    assert np.ptp(sizes, axis=0).max() > 0.15


def test_people_take_different_poses():
    heights, spans = [], []
    for seed in range(30):
        solids = CATEGORIES['human'].build(np.random.default_rng(seed))
        hands = [corners([s]).mean(0) for s in solids if s.part == 'hand']
        top = corners([s for s in solids if s.part == 'head'])[:, 1].max()
        assert len(hands) == 2 and sum(s.part == 'leg' for s in solids) == 2
        heights.append(max(h[1] for h in hands) / top)
        spans.append(np.linalg.norm(hands[0] - hands[1]) / top)
    assert min(heights) < 0.5 and max(heights) > 0.95  # hanging and raised
    assert max(spans) > 2 * min(spans)
