"""The reference mode of ReCon's benchmark matches our implementation."""

import pytest
import torch

from benchmarks.published import PublishedMasker, parts_of
from benchmarks.published_recon import FORMS, PublishedRotation
from benchmarks.recon import ReConStep, make_samples, model_config
from benchmarks.step import Case
from mmkd3d.models.data_preprocessor import RandomRotation
from mmkd3d.registry import MODELS

from .forms import check_gradients, gradients_of, with_published

pytest.importorskip('open_clip')
CASE = Case(6, 'cpu', True, torch.get_num_threads(), 'highest')


@pytest.fixture(scope='module')
def pair():
    """A tiny model in train mode, and its published form."""
    torch.manual_seed(0)
    model = MODELS.build(model_config('fp32', quick=True)).train()
    return with_published(model, FORMS)


def test_the_reference_has_our_losses_and_gradients(pair, monkeypatch):
    """Uses the same images, prompts and mask, and includes batch norms."""
    samples = make_samples(CASE)
    prompt_idx = torch.arange(6) * 11 % 60
    points = torch.randn(6, 100, 3).double()
    for sample in samples:
        sample.image = torch.rand(3, 224, 224)
    mask = torch.arange(16).expand(6, 16) % 5 > 1
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
    assert len(losses[0]) == 4 and min(losses[0].values()) > 0
    check_gradients(*gradients, at_least=80, tolerance=1e-5, smallest=1e-6)


def test_every_part_has_its_published_form(pair):
    forms = {type(part) for part in parts_of(pair[1])}
    assert not forms & {form.__base__ for form in FORMS}
    assert {*FORMS} <= forms | {PublishedMasker}
    assert type(pair[1].masker) is PublishedMasker


def test_published_rotation_turns_every_cloud_by_its_own_angle():
    points = torch.eye(3).expand(4, 3, 3)
    turned = PublishedRotation(axis=1)(points)
    assert len(turned.unique(dim=0)) == 4
    torch.testing.assert_close(turned @ turned.mT, points @ points.mT)
    torch.manual_seed(0)
    ours = RandomRotation(axis=1)(points)
    assert torch.equal(turned != 0, ours != 0)
    assert (turned[:, 0, 2] == -turned[:, 2, 0]).all()


def test_a_cached_model_has_no_teacher(tmp_path):
    model = ReConStep().build(ReConStep.modes['ours, cached'], CASE, tmp_path)
    assert model.targets.img.teacher is model.targets.text.teacher is None
    losses = ReConStep().losses(model, CASE)()
    assert model.targets.text.teacher is None  # every category is in the cache
    assert {*losses} == {'loss_chamfer', 'loss_img', 'loss_text', 'loss_contrast'}
