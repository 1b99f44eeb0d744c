"""The reference mode of ReCon's benchmark matches our implementation."""

import pytest
import torch

from benchmarks.published_recon import PublishedRotation
from mmkd3d.models.data_preprocessor import RandomRotation

from .forms import check_forms, check_gradients, gradients_of, small_model, with_published

pytest.importorskip('open_clip')


@pytest.fixture(scope='module')
def models():
    """A small model in train mode, its published form, and samples."""
    torch.manual_seed(0)
    model, batch = small_model('recon')
    return *with_published(model, 'recon'), batch['data_samples']


def test_the_reference_has_our_losses_and_gradients(models, monkeypatch):
    """Uses the same images, prompts and mask, and includes batch norms."""
    *pair, samples = models
    prompt_idx = torch.zeros(6, dtype=torch.long)
    points = torch.randn(6, 100, 3).double()
    mask = torch.arange(32).expand(6, 32) % 5 > 1
    losses, gradients = [], []
    for model in pair:
        features = dict(
            img=model.targets.img(points, samples),
            text=model.targets.text(points, samples, prompt_idx),
        )
        monkeypatch.setattr(model, 'forward_teachers', lambda *_, found=features: found)
        monkeypatch.setattr(model, 'draw_mask', lambda *_: mask)
        found = model.loss(points, samples)
        sum(found.values()).backward()
        losses.append({name: loss.detach() for name, loss in found.items()})
        gradients.append(gradients_of(model))
    torch.testing.assert_close(*losses, rtol=1e-5, atol=0, check_dtype=False)
    assert len(losses[0]) == 3 and min(losses[0].values()) > 0
    check_gradients(*gradients, at_least=80, tolerance=1e-5, smallest=1e-6)


def test_every_part_has_its_published_form(models):
    assert not check_forms(models[1], 'recon')


def test_published_rotation_turns_every_cloud_by_its_own_angle():
    points = torch.eye(3).expand(4, 3, 3)
    turned = PublishedRotation(axis=1)(points)
    assert len(turned.unique(dim=0)) == 4
    torch.testing.assert_close(turned @ turned.mT, points @ points.mT)
    torch.manual_seed(0)
    ours = RandomRotation(axis=1)(points)
    assert torch.equal(turned != 0, ours != 0)
    assert (turned[:, 0, 2] == -turned[:, 2, 0]).all()
