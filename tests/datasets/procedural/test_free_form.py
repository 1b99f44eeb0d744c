import numpy as np
import pytest

from mmkd3d.datasets.procedural import free_form
from mmkd3d.datasets.procedural.free_form import Bar, curve, tube, tubes
from mmkd3d.datasets.procedural.shapes.wildlife import fin
from mmkd3d.datasets.procedural.surface import Surface

PATH = [(0, 0, 0), (0, 1, 0), (0, 1.5, 0.8), (0, 1.4, 2)]
ANGLE = np.linspace(0, 2 * np.pi, 13)[:-1]
RING = np.stack([np.cos(ANGLE), 0 * ANGLE, np.sin(ANGLE)], axis=1)
STAR = np.stack([np.cos(ANGLE), np.sin(ANGLE)], 1) * np.where(np.arange(12) % 2, 0.5, 1)[:, None]
PROFILE = [(0, 0), (0.4, 0.1), (0.6, 0.5), (0.5, 0.9), (0, 1)]
RNG = np.random.default_rng(0)
FINE = dict(steps=24, sides=16)
BODIES = dict(
    tube=tube('b', PATH, [0.3, 0.2, 0.25, 0.1], **FINE),
    flat=tube('b', PATH, [[0.3, 0.2], [0.2, 0.4], [0.25, 0.1], [0.1, 0.1]], **FINE),
    ring=tube('b', RING, 0.2, side=(0, 1, 0), closed=True, **FINE),
    blob=free_form.blob('b', (1, 0.5, 2), (1, 2, 3), RNG, fine=(25, 49)),
    box_like=free_form.superellipsoid('b', (1, 2, 1), (0, 0, 0), power=(0.5, 0.7)),
    diamond=free_form.superellipsoid('b', (1, 1, 1), (0, 0, 0), power=(1.5, 1.6)),
    revolved=free_form.revolved('b', curve(PROFILE, 20), sides=24, ribs=3, depth=0.1),
    star=free_form.extrusion('b', STAR, 0.4, taper=0.8),
)


def faces(solid):
    """Centres, unit normals of the triangles, stored normals; areas."""
    corners = solid.mesh.corners @ solid.matrix.T + solid.shift
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(normal, axis=1) / 2
    keep = area > 1e-3 * area.max()
    stored = (solid.mesh.normals @ np.linalg.inv(solid.matrix))[keep].mean(1)
    stored /= np.linalg.norm(stored, axis=1, keepdims=True)
    return corners[keep].mean(1), normal[keep] / (2 * area[keep, None]), stored, area[keep]


@pytest.mark.parametrize('name', BODIES)
def test_normals_agree_with_the_triangles_and_point_outwards(name):
    centre, normal, stored, area = faces(BODIES[name])
    cosine = np.abs((normal * stored).sum(1))
    assert (cosine * area).sum() / area.sum() > 0.98 and cosine.min() > 0.7
    # by the divergence theorem the flux of x is three times the volume
    flux = ((centre * stored).sum(1) * area).sum()
    shifted = (((centre + 5) * stored).sum(1) * area).sum()
    assert flux > 0.1 and shifted == pytest.approx(flux, rel=0.15)


@pytest.mark.parametrize('name', ['tube', 'flat', 'ring', 'blob', 'box_like', 'diamond'])
def test_inside_is_below_the_surface(name):
    solid = BODIES[name]
    points, normals, _ = Surface([solid]).draw(1000, np.random.default_rng(0))
    back = np.linalg.inv(solid.matrix).T
    assert solid.mesh.inside((points - 0.05 * normals - solid.shift) @ back).mean() > 0.97
    assert solid.mesh.inside((points + 0.03 * normals - solid.shift) @ back).mean() < 0.03


def test_a_straight_tube_has_the_area_of_a_capsule():
    bar = tube('b', [(0, 0, 0), (0, 1, 0), (0, 2, 0)], 0.3, sides=32)
    assert Surface([bar]).area == pytest.approx(2 * np.pi * 0.3 * (2 + 2 * 0.3), rel=0.05)
    flat = tube('b', [(0, 0, 0), (0, 2, 0)], 0.3, sides=32, cap=0.05)
    assert Surface([flat]).area == pytest.approx(2 * np.pi * 0.3 * (2 + 0.3), rel=0.02)


def test_many_tubes_are_those_made_one_by_one():
    bars = [Bar('a', PATH, 0.2), Bar('b', PATH[:2], [0.1, 0.3], side=(0, 0, 1), cap=0.1, flat=2.0)]
    for bar, together in zip(bars, tubes(bars)):
        alone = tubes([bar])[0]
        np.testing.assert_allclose(together.mesh.corners, alone.mesh.corners, atol=1e-12)
        np.testing.assert_allclose(together.mesh.normals, alone.mesh.normals, atol=1e-12)
        assert together.part == bar.part


def test_a_curve_goes_through_its_points():
    np.testing.assert_allclose(curve(PATH, 7)[::2], PATH, atol=1e-12)
    closed = curve(RING, 25, closed=True)
    np.testing.assert_allclose(closed[::2], np.concatenate([RING, RING[:1]]), atol=1e-12)


@pytest.mark.parametrize('tip', [(1, 0.2, 0), (-1, 0.2, 0)])
def test_faces_of_a_fin_look_away_from_each_other(tip):
    low, high = (faces(s) for s in fin('f', (0, 0, 0), tip, 0.5, 0.2))
    assert low[2][:, 1].mean() < -0.5 and high[2][:, 1].mean() > 0.5
    assert low[0][:, 1].mean() < high[0][:, 1].mean()
