"""Convolutional networks of timm as teachers."""

import pytest
import torch

from mmkd3d.registry import MODELS


def teacher(name='resnet10t'):
    return MODELS.build(dict(type='mmkd3d.TimmTeacher', model_name=name, random_weights=True))


def test_tokens_are_the_pixels_of_the_last_map():
    net = teacher()
    images = torch.rand(2, 3, *net.size)
    out = net(images)
    feature_map = net.features(net.prepare(images))
    h, w = out['grid_size']
    assert (h, w) == feature_map.shape[2:]
    row, column = 2, 4
    assert torch.equal(out['tokens'][:, w * row + column], feature_map[:, :, row, column])
    torch.testing.assert_close(out['global'], feature_map.mean(dim=(2, 3)))
    assert net.embed_dims == net.global_dims == 512


def test_features_with_channels_last_are_refused():
    with pytest.raises(ValueError, match=r'\(1, 7, 7, 768\)'):
        teacher('swin_tiny_patch4_window7_224')
