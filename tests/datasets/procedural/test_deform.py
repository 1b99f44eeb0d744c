import numpy as np
import pytest

from mmkd3d.datasets.procedural.deform import bend, deform, taper, twist, wave

MOVES = dict(
    bend=lambda p, n, axis: bend(p, n, axis, 0.6),
    twist=lambda p, n, axis: twist(p, n, axis, 1.3),
    taper=lambda p, n, axis: taper(p, n, axis, -0.5, 0.25, 4.0, 1.0),
    wave=lambda p, n, axis: wave(p, n, axis, 0.15, 5.0, 0.3),
    deform=lambda p, n, axis: deform(p, n, np.random.default_rng(ord(axis))),
)


@pytest.fixture
def frames():
    """Points in the unit sphere, each with a normal and two tangents."""
    rng = np.random.default_rng(0)
    points = rng.uniform(-0.57, 0.57, (200, 3))
    turn = np.linalg.qr(rng.normal(size=(200, 3, 3)))[0]
    return points, turn[:, 0], turn[:, 1:]


@pytest.mark.parametrize('axis', 'xyz')
@pytest.mark.parametrize('name', MOVES)
def test_normals_stay_at_right_angles_to_tangents(name, axis, frames):
    points, normals, tangents = frames
    moved, carried = MOVES[name](points, normals, axis)
    np.testing.assert_allclose(np.linalg.norm(carried, axis=1), 1)
    step = 1e-5
    for tangent in tangents.swapaxes(0, 1):
        ahead = MOVES[name](points + step * tangent, normals, axis)[0]
        behind = MOVES[name](points - step * tangent, normals, axis)[0]
        along = (ahead - behind) / (2 * step)
        np.testing.assert_allclose((along * carried).sum(1), 0, atol=1e-7)
    # no reflection: the normal still points to the same side
    out = MOVES[name](points + step * normals, normals, axis)[0] - moved
    assert ((out * carried).sum(1) > 0).all()
    assert np.linalg.norm(moved - points, axis=1).max() > 0.01


def test_zero_strength_changes_nothing(frames):
    points, normals, _ = frames
    for moved, carried in (
        bend(points, normals, 'x', 0.0),
        twist(points, normals, 'y', 0.0),
        taper(points, normals, 'z', 0.0, 0.0, 4.0),
        wave(points, normals, 'y', 0.0, 4.0),
    ):
        np.testing.assert_allclose(moved, points)
        np.testing.assert_allclose(carried, normals)


def test_a_bent_axis_is_a_circle():
    points = np.array([[0, -0.5, 0], [0, 0, 0], [0, 0.5, 0]])
    moved, _ = bend(points, np.tile([1.0, 0, 0], (3, 1)), 'y', 1.0)
    # the axis y bends towards z about the centre (0, 0, 1)
    np.testing.assert_allclose(np.linalg.norm(moved - (0, 0, 1), axis=1), 1)
    np.testing.assert_allclose(moved[1], 0, atol=1e-12)
    assert moved[2, 2] > 0.1
