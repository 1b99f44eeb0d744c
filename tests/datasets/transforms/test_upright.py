"""Converting y-up shapes for indoor models, which are z-up."""

import numpy as np
import pytest

from mmkd3d.registry import TRANSFORMS
from tests.helpers import rejects


def test_axes_turn_without_a_mirror_and_height_is_above_the_floor():
    points = np.random.default_rng(0).uniform(-1, 1, (500, 3))
    points = points.astype(np.float32)
    step = TRANSFORMS.build(dict(type='ToDepthCoordinates', size=1.0))
    got = step(dict(points=points))['points']
    assert got.shape == (500, 4) and got.dtype == np.float32
    rotation = np.linalg.lstsq(points, got[:, :3], rcond=None)[0].T
    assert np.linalg.det(rotation) == pytest.approx(0.5**3)  # scaled by 0.5
    np.testing.assert_allclose(rotation @ [0, 1, 0], [0, 0, 0.5], atol=1e-6)
    # floor height as in mmdetection3d: slightly above the lowest point
    floor = np.percentile(got[:, 2], 0.99)
    np.testing.assert_allclose(got[:, 3], got[:, 2] - floor, atol=1e-6)
    assert (got[:, 3] < 0).sum() == 5
    flat = TRANSFORMS.build(dict(type='ToDepthCoordinates', height=False))
    np.testing.assert_allclose(flat(dict(points=points))['points'], 2 * got[:, :3], atol=1e-6)


def test_points_with_features_or_none_at_all_are_refused():
    step = TRANSFORMS.build(dict(type='ToDepthCoordinates'))
    rejects('got none', step, dict())
    rejects('got 6 columns', step, dict(points=np.zeros((9, 6), np.float32)))
