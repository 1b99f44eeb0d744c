"""The precision that a teacher chooses, and that of caches."""

import pytest
import torch
import torch.nn as nn

import mmkd3d.models.teachers.precision as precision
from mmkd3d.models.targets.cache import CacheWriter, StaleCacheError
from mmkd3d.models.teachers.base import BaseTeacher
from mmkd3d.registry import MODELS
from tests.models.stub_teachers import seeded
from tests.models.teachers.test_prompted_transformer import patches, plain

CPU = torch.device('cpu')


@MODELS.register_module(force=True)
class Reader(BaseTeacher):
    """A linear layer on the mean colour."""

    def __init__(self):
        super().__init__(seeded(nn.Linear(3, 8), 0), 8)

    def forward(self, images):
        return {'global': self.net(images.mean((2, 3)))}

    def reference_feature(self):
        return self.net(torch.linspace(0, 1, 3))


class WithoutReference(Reader):
    reference_feature = BaseTeacher.reference_feature


@pytest.fixture(autouse=True)
def small_is_enough(monkeypatch):
    monkeypatch.setattr(precision, 'MIN_WEIGHTS', 10)
    monkeypatch.setattr(precision, 'has_bf16', lambda device: True)


def test_bf16_is_chosen_where_it_gives_the_same_feature(monkeypatch):
    good, bad = Reader(), Reader()
    state = torch.get_rng_state()
    assert precision.choose_precision(good, CPU) == 'bf16'
    with torch.autocast('cpu', torch.bfloat16):  # around it
        assert precision.choose_precision(good, CPU) == 'bf16'
    monkeypatch.setattr(
        bad,
        'reference_feature',
        lambda: torch.tensor([1.0, -float(torch.is_autocast_enabled('cpu'))]),
    )
    assert precision.choose_precision(bad, CPU) == 'fp32'
    bad.reference_feature = lambda: torch.full((3,), torch.nan)
    assert precision.choose_precision(bad, CPU) == 'fp32'
    monkeypatch.setattr(precision, 'MIN_WEIGHTS', 1000)
    assert precision.choose_precision(good, CPU) == 'fp32'
    monkeypatch.setattr(precision, 'MIN_WEIGHTS', 10)
    monkeypatch.setattr(precision, 'has_bf16', lambda device: False)
    assert precision.choose_precision(good, CPU) == 'fp32'
    assert torch.equal(torch.get_rng_state(), state)


def test_a_teacher_without_a_reference_feature_runs_in_fp32():
    assert precision.choose_precision(WithoutReference(), CPU) == 'fp32'


def image_target(**kwargs):
    return MODELS.build(dict(type='ImageTarget', teacher=dict(type='mmkd3d.Reader'), **kwargs))


def test_a_target_chooses_once_and_is_that_of_the_precision_it_chose():
    images = torch.rand(2, 1, 3, 8, 8)
    views = type('Views', (), dict(images=images))
    target = image_target()
    assert target.precision == 'auto'
    low, full = (image_target(precision=name).read(views) for name in ('bf16', 'fp32'))
    assert torch.equal(target.read(views), low) and not torch.equal(low, full)
    assert target.precision == 'bf16'


@pytest.mark.parametrize('built, native', [('fp32', True), ('bf16', False)])
def test_a_cache_is_read_and_continued_on_any_machine(tmp_path, built, native, monkeypatch):
    monkeypatch.setattr(precision, 'has_bf16', lambda device: native)
    identity = image_target(precision=built).identity()
    writer = CacheWriter(tmp_path, ['a', 'b'], (1, 8), identity=identity)
    writer.write(torch.zeros(2, 1, 8).numpy())
    assert image_target(cache=tmp_path).precision == built
    other = dict(fp32='bf16', bf16='fp32')[built]
    with pytest.raises(StaleCacheError, match=f'{built}.*{other}'):
        image_target(cache=tmp_path, precision=other)
    target = image_target()  # of a build that goes on
    target.adopt_precision(tmp_path)
    assert target.identity() == identity


def test_a_transformer_without_images_compares_tokens():
    model = plain()
    tokens, centers = patches(model)
    low = model(tokens, centers)
    assert model.precision == 'bf16'
    model.precision = 'fp32'
    assert not torch.equal(model(tokens, centers), low)
