"""Several renderings of a shape, and their foreground masks."""

import numpy as np
import pytest
import torch
from PIL import Image

from mmkd3d.models.views.rendered_views import RenderedViews
from mmkd3d.registry import TRANSFORMS
from tests.helpers import rejects

VIEWS = ['_001', '_002', '_003']


@pytest.fixture
def folder(tmp_path):
    """A disc on a transparent background, brighter in each view."""
    row, column = np.mgrid[:64, :64]
    disc = (row - 32) ** 2 + (column - 32) ** 2 < 20**2
    for i, view in enumerate(VIEWS):
        image = np.zeros((64, 64, 4), np.uint8)
        image[disc] = (80 * i, 10, 20, 255)
        Image.fromarray(image).save(tmp_path / f'cup{view}.png')
    return tmp_path


def run(folder, **cfg):
    results = dict(sample_id='cup', points=np.random.rand(9, 3).astype(np.float32))
    for step in (
        dict(type='LoadRendering', root=folder, **cfg),
        dict(type='AugmentRendering', size=32, train=False),
        dict(type='PackPoints'),
    ):
        results = TRANSFORMS.build(step)(results)
    return results['data_samples'].image


def test_views_are_stacked_in_their_order(folder):
    images = run(folder, views=VIEWS)
    assert images.shape == (3, 3, 32, 32)
    middle = images[:, :, 16, 16] * 255
    expected = torch.tensor([[80.0 * i, 10, 20] for i in range(3)])
    torch.testing.assert_close(middle, expected, atol=0.6, rtol=0)
    swapped = run(folder, views=VIEWS, channel_order='bgr', keep_alpha=True)
    torch.testing.assert_close(swapped[:, :3], images.flip(1))


def test_alpha_is_a_fourth_channel_over_the_same_white(folder):
    images = run(folder, views=VIEWS, keep_alpha=True)
    assert images.shape == (3, 4, 32, 32)
    torch.testing.assert_close(images[:, :3], run(folder, views=VIEWS))
    assert (images[:, :3, 0, 0] == 1).all() and (images[:, 3, 0, 0] == 0).all()
    assert images[0, 3].mean() == pytest.approx(np.pi * 20**2 / 64**2, abs=0.02)
    pictures = RenderedViews(num_views=3).render(images[None], torch.tensor([[2, 0]]))
    torch.testing.assert_close(pictures.images[0], images[[2, 0], :3])
    assert torch.equal(pictures.foreground[0], images[[2, 0], 3] > 0.5)


def test_a_picture_without_alpha_is_the_shape_everywhere(folder):
    Image.new('RGB', (64, 64), 'red').save(folder / 'cup.png')
    image = run(folder, keep_alpha=True)
    assert image.shape == (4, 32, 32) and (image[3] == 1).all()


def test_what_is_missing_or_does_not_fit_is_named(folder):
    step = TRANSFORMS.build(dict(type='LoadRendering', root=folder, views=[*VIEWS, '_004']))
    says = '1 of 1 shapes.*cup_004.png'
    rejects(says, step.check_items, [dict(sample_id='cup')], error=FileNotFoundError)
    augment = TRANSFORMS.build(dict(type='AugmentRendering'))
    rejects('keep_alpha=False', augment, dict(image=Image.new('RGBA', (9, 9))))
    views, images = RenderedViews(num_views=2), torch.rand(1, 3, 3, 8, 8)
    rejects(r'num_views=2.*\(3, 3, 8, 8\)', views.render, images)
