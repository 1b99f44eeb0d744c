"""The reference mode of ACT's benchmark matches our implementation."""

import pytest
import torch

from benchmarks.published import PublishedMasker
from mmkd3d.models.layers.quantizer import gumbel_noise

from .forms import check_forms, check_gradients, gradients_of, small_model, with_published

NAMES = {1: 'act_autoencoder', 2: 'act'}


def pair(stage):
    """A small model in eval mode, and its published form."""
    model, _ = small_model(NAMES[stage])
    return with_published(model.eval(), NAMES[stage])


def clouds(dtype):
    generator = torch.Generator().manual_seed(1)
    return torch.rand(3, 100, 3, generator=generator).to(dtype)


def stage_one_loss(model, noise):
    patches = model.group(clouds(torch.float64))
    preds = model.forward_decoder(model.forward_encoder(patches, noise=noise))
    target = model.forward_target(patches)
    return sum(model.loss_fn(pred.flatten(0, 1), target) for pred in preds)


def stage_two_loss(model, noise):
    mask = torch.arange(32).expand(3, 32) % 4 > 0
    patches = model.group(clouds(torch.float64))
    tokens = model.forward_decoder(model.forward_encoder(patches, mask), patches, mask)
    return model.loss_fn(model.proj(tokens), model.forward_target(patches, mask, noise))


@pytest.mark.parametrize('stage, loss_of', [(1, stage_one_loss), (2, stage_two_loss)])
def test_the_reference_has_our_loss_and_gradients(stage, loss_of):
    noise = gumbel_noise(torch.empty(3, 32, 16)).double()
    losses, gradients = [], []
    for model in pair(stage):
        loss = loss_of(model, noise)
        loss.backward()
        losses.append(loss.detach())
        gradients.append(gradients_of(model))
    torch.testing.assert_close(*losses, rtol=1e-5, atol=0, check_dtype=False)
    check_gradients(*gradients, at_least=40, tolerance=1e-4)


def test_the_reference_teacher_says_the_same_in_train_mode():
    """Uses batch statistics, with prompt dropout disabled."""
    noise, targets = gumbel_noise(torch.empty(3, 32, 16)).double(), []
    for model in pair(2):
        model.teacher.net.transformer.prompt_dropout = 0.0
        model.teacher.net.train()
        patches = model.backbone.group(clouds(torch.float64))
        targets.append(model.teacher.forward_patches(patches, noise))
    torch.testing.assert_close(*targets, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('stage', [1, 2])
def test_every_part_has_its_published_form(stage):
    _, published = pair(stage)
    unused = {'PublishedMasker', 'PublishedCosineLoss'} if stage == 1 else set()
    assert check_forms(published, NAMES[stage]) == unused


def test_published_masks_hide_the_same_number_in_every_cloud():
    masks = PublishedMasker(0.8)(torch.zeros(5, 64, 3))
    assert (masks.sum(1) == 51).all() and len(masks.unique(dim=0)) == 5
