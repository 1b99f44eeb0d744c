"""Stacking and batched augmentation."""

import math

import pytest
import torch
from mmengine.structures import BaseDataElement

from mmkd3d.models.data_preprocessor import (
    PointDataPreprocessor,
    RandomRotation,
    ScaleTranslate,
    SubsamplePoints,
)


def batch(*shapes):
    return dict(
        inputs=dict(points=[torch.randn(*s) for s in shapes]),
        data_samples=[
            BaseDataElement(metainfo=dict(sample_id=f'shape_{i}')) for i in range(len(shapes))
        ],
    )


def test_augmentation_happens_in_training_only():
    data = batch((10, 3), (10, 3))
    model = PointDataPreprocessor([dict(type='mmkd3d.ScaleTranslate')])
    plain = model(data, training=False)['inputs']['points']
    assert torch.equal(plain, torch.stack(data['inputs']['points']))
    assert not torch.equal(model(data, training=True)['inputs']['points'], plain)


def test_clouds_of_different_size_are_an_error_that_names_the_sample():
    with pytest.raises(ValueError, match='shape_1.*SamplePoints'):
        PointDataPreprocessor()(batch((10, 3), (11, 3)))


def test_scale_and_shift_stay_in_their_range_and_leave_features_alone():
    points = torch.rand(500, 2, 5)
    points[:, 0, :3], points[:, 1, :3] = 0, 1
    out = ScaleTranslate(scale=(0.5, 2), shift=0.3)(points)
    shift, scale = out[:, 0, :3], out[:, 1, :3] - out[:, 0, :3]
    assert shift.abs().max() <= 0.3 and shift.std() > 0.1
    assert 0.5 <= scale.min() < 0.6 and 1.9 < scale.max() <= 2
    assert (scale[:, 0] - scale[:, 1]).abs().max() > 0.1
    assert torch.equal(out[..., 3:], points[..., 3:])
    same = ScaleTranslate(isotropic=True, shift=0.0)(points)[:, 1, :3]
    torch.testing.assert_close(same[:, 0], same[:, 2])


@pytest.mark.parametrize('axis, autocast', [(0, False), (1, True), (2, True)])
def test_rotation_keeps_distances_and_its_axis(axis, autocast):
    points = torch.randn(50, 20, 3)
    with torch.autocast('cpu', torch.bfloat16, autocast):
        out = RandomRotation(axis=axis)(points)
    torch.testing.assert_close(out.norm(dim=-1), points.norm(dim=-1))
    torch.testing.assert_close(out[..., axis], points[..., axis])
    assert not torch.allclose(out, points)


def test_rotation_about_y_is_the_published_matrix():
    torch.manual_seed(0)
    angle = torch.empty(1).uniform_(0, 2 * math.pi)
    torch.manual_seed(0)
    out = RandomRotation(axis=1)(torch.eye(3)[None])
    cos, sin = float(angle.cos()), float(angle.sin())
    expected = torch.tensor([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    torch.testing.assert_close(out[0], expected)


def test_a_batch_shares_its_choice_of_points():
    points = torch.arange(50.0)[:, None].expand(3, 50, 4)
    chosen = SubsamplePoints(40)(points)
    assert chosen.shape == (3, 40, 4)
    assert torch.equal(chosen[0], chosen[2])
    index = chosen[0, :, 0]
    assert len(index.unique()) == 40 and not torch.equal(index, index.sort().values)
    assert not torch.equal(SubsamplePoints(40)(points)[0, :, 0], index)
    assert torch.equal(SubsamplePoints(50)(points)[0, :, 0].sort().values, torch.arange(50.0))
    with pytest.raises(ValueError, match='num_points=51.* 50'):
        SubsamplePoints(51)(points)
