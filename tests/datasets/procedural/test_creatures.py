import numpy as np
import pytest

from mmkd3d.datasets.procedural.catalogue import CATEGORIES
from mmkd3d.datasets.procedural.solids import Surface

MODULES = ('creatures', 'animals', 'wildlife', 'plants', 'abstract')
NAMES = [
    name
    for name, category in CATEGORIES.items()
    if getattr(category.build, 'func', category.build).__module__.rpartition('.')[2] in MODULES
]


@pytest.mark.parametrize('name', NAMES)
def test_shapes_vary_and_stand_on_the_floor(name):
    category, sizes, found = CATEGORIES[name], [], set()
    for seed in range(40):
        solids = category.build(np.random.default_rng(seed))
        found |= {s.part for s in solids}
        if seed < 6:
            surface = Surface(solids)
            points, normals, _ = surface.draw(256, np.random.default_rng(0))
            assert np.isfinite(points).all() and np.isfinite(normals).all()
            low, high = (np.array(x) for x in zip(*(s.bounds() for s in solids)))
            assert low[:, 1].min() == pytest.approx(0, abs=1e-6)
            size = high.max(0) - low.min(0)
            assert 0.01 < size.max() < 30 and size.min() > 0.02 * size.max()
            sizes.append((size / size.max()).round(4).tolist())
    assert found == set(category.parts)
    assert np.ptp(sizes, axis=0).max() > 0.1  # not one design made larger or smaller
