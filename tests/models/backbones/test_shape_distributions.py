"""Shape distributions against loops, and what they do not depend on."""

import numpy as np
import torch

import mmkd3d
from mmkd3d.models.backbones.shape_distributions import BINS, PAIRS, ShapeDistributions
from tests.helpers import rejects
from tests.models.steps import cloud


def test_histograms_are_those_of_numpy():
    points = cloud(2)
    found = ShapeDistributions().extract_feat(points).numpy()
    generator = torch.Generator().manual_seed(0)
    idx = torch.randint(points.shape[1], (3, PAIRS), generator=generator).numpy()
    for feature, shape in zip(found, points.numpy()):
        shape = shape - shape.mean(0)
        shape /= np.linalg.norm(shape, axis=1).max()
        a, b, c = shape[idx]
        near, far = b - a, c - a
        length = np.linalg.norm(near, axis=1), np.linalg.norm(far, axis=1)
        cosine = (near * far).sum(1) / np.maximum(length[0] * length[1], 1e-8)
        for k, (values, low, high) in enumerate(
            [
                (np.linalg.norm(shape, axis=1), 0, 1),
                (length[0], 0, 2),
                (cosine, -1, 1),
                (shape[:, 1], -1, 1),
            ]
        ):
            expected = np.histogram(values, BINS, (low, high))[0] / len(values)
            part = feature[k * BINS : (k + 1) * BINS]
            assert np.abs(part - expected).sum() < 0.01  # values at the edge of a bin
            assert part.sum() == np.float32(1)


def test_moving_and_scaling_change_nothing():
    points, model = cloud(3), ShapeDistributions()
    moved = model.extract_feat(points * 2 + 5)
    assert (moved - model.extract_feat(points)).abs().sum(1).max() < 0.01
    rejects("level='global', got 'token'", model.extract_feat, points, 'token')


def test_it_is_a_student_of_a_shipped_config():
    student = mmkd3d.load_student('shape-distributions')
    assert student.extract_feat(cloud(2)).shape == (2, 4 * BINS)
