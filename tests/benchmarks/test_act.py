"""The reference mode of ACT's benchmark matches our implementation."""

import copy

import pytest
import torch

from benchmarks.act import Mode, build_model
from benchmarks.published import PublishedMasker, make_published, parts_of
from benchmarks.published_act import FORMS
from mmkd3d.models.layers.quantizer import gumbel_noise

from .forms import check_gradients, gradients_of


def pair(stage):
    """A tiny model with random norm parameters, and its published form."""
    model = build_model(stage, Mode(), quick=True).eval()
    for part in parts_of(model):
        for name, parameter in part.named_parameters(recurse=False):
            if 'Norm' in type(part).__name__:
                parameter.data += 0.3 * torch.randn_like(parameter)
        for name, buffer in part.named_buffers(recurse=False):
            if name in ('running_mean', 'running_var'):
                buffer += 0.3 * torch.rand_like(buffer)
    published = copy.deepcopy(model)
    make_published(published, FORMS)
    return model, published


def clouds(dtype=torch.float32):
    generator = torch.Generator().manual_seed(1)
    return torch.rand(3, 100, 3, generator=generator).to(dtype)


def stage_one_loss(model, noise):
    patches = model.group(clouds(torch.float64))
    preds = model.forward_decoder(model.forward_encoder(patches, noise=noise))
    target = model.forward_target(patches)
    return sum(model.loss_fn(pred.flatten(0, 1), target) for pred in preds)


def stage_two_loss(model, noise):
    mask = torch.arange(16).expand(3, 16) % 4 > 0
    patches = model.group(clouds(torch.float64))
    tokens = model.forward_decoder(model.forward_encoder(patches, mask), patches, mask)
    return model.loss_fn(model.proj(tokens), model.forward_target(patches, mask, noise))


@pytest.mark.parametrize('stage, loss_of', [(1, stage_one_loss), (2, stage_two_loss)])
def test_the_reference_has_our_loss_and_gradients(stage, loss_of):
    noise = gumbel_noise(torch.empty(3, 16, 64)).double()
    losses, gradients = [], []
    for model in pair(stage):
        # Rounding in float32 can swap two nearly equal maxima.
        loss = loss_of(model.double(), noise)
        loss.backward()
        losses.append(loss.detach())
        gradients.append(gradients_of(model))
    torch.testing.assert_close(*losses, rtol=1e-5, atol=0, check_dtype=False)
    check_gradients(*gradients, at_least=40, tolerance=1e-4)


def test_the_reference_teacher_says_the_same_in_train_mode():
    """Uses batch statistics, with prompt dropout disabled."""
    noise, targets = gumbel_noise(torch.empty(3, 16, 64)), []
    for model in pair(2):
        model.teacher.net.transformer.prompt_dropout = 0.0
        model.teacher.net.train()
        patches = model.backbone.group(clouds())
        targets.append(model.teacher.forward_patches(patches, noise))
    torch.testing.assert_close(*targets, rtol=1e-4, atol=1e-5)


def test_every_part_has_its_published_form():
    forms = set()
    for stage in (1, 2):
        _, model = pair(stage)
        forms |= {type(part) for part in parts_of(model)}
    assert not forms & {form.__base__ for form in FORMS}
    assert {*FORMS} <= forms | {PublishedMasker}
    assert type(model.masker) is PublishedMasker


def test_published_masks_hide_the_same_number_in_every_cloud():
    masks = PublishedMasker(0.8)(torch.zeros(5, 64, 3))
    assert (masks.sum(1) == 51).all() and len(masks.unique(dim=0)) == 5
