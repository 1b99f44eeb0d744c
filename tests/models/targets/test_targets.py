"""Targets, from teachers and from caches."""

import pytest
import torch

from mmkd3d.models.targets.text import FeatureBank
from mmkd3d.registry import MODELS
from tests.models.stub_teachers import (
    IMAGE,
    PROMPTS,
    RENDERER,
    TEXT,
    StubImageTeacher,
    StubTextTeacher,
    cloud,
    make_samples,
    picture,
)


@pytest.fixture(autouse=True)
def forget_calls():
    StubTextTeacher.sentences.clear()
    StubImageTeacher.images = 0


def text_target(**kwargs):
    return MODELS.build(dict(dict(type='TextTarget', teacher=TEXT, prompts=PROMPTS), **kwargs))


def image_target(**kwargs):
    return MODELS.build(dict(dict(type='ImageTarget', teacher=IMAGE), **kwargs))


BUILDERS = [text_target, image_target]


@pytest.mark.parametrize('build', BUILDERS)
def test_a_target_has_nothing_to_train_save_or_share(build):
    target = build()
    samples = make_samples(image=picture)
    feats = target.train()(torch.zeros(4, 9, 3), samples)
    assert feats.shape == (4, target.dims) and feats.dtype == torch.float32
    assert not feats.requires_grad
    assert not target.state_dict()
    assert not [*target.parameters(), *target.buffers()]
    assert not any(m.training for m in target.teacher.net.modules())


@pytest.mark.parametrize('build', BUILDERS)
def test_features_are_float32_whatever_the_student_trains_in(build):
    target, again, half = build(), build(), build(precision='bf16')
    samples = make_samples(image=picture)
    torch.manual_seed(0)
    expected = target(torch.zeros(4, 9, 3), samples)
    torch.manual_seed(0)
    with torch.autocast('cpu', torch.bfloat16):
        got = again(torch.zeros(4, 9, 3), samples)
    assert torch.equal(got, expected)
    torch.manual_seed(0)
    got = half(torch.zeros(4, 9, 3), samples)
    assert got.dtype == torch.float32 and not torch.equal(got, expected)
    torch.testing.assert_close(got, expected, atol=0.1, rtol=0.05)
    with pytest.raises(ValueError, match='fp16.*fp8'):
        build(precision='fp8')


def test_text_is_put_into_the_drawn_prompt_and_captions_are_taken_as_they_are():
    got = text_target()(None, make_samples(), torch.tensor([2, 0, 1, 2]))
    teacher, long = MODELS.build(TEXT), 'a model of class 0 with class 0'
    expected = teacher.encode_text([long, 'class 1', 'a class 2.', long])
    torch.testing.assert_close(got, expected)
    captions = [f'shape {{{i}}} of wood' for i in range(3)]
    got = text_target(prompts=None, source='caption')(
        None, make_samples(3, caption=captions.__getitem__)
    )
    torch.testing.assert_close(got, teacher.encode_text(captions))


def test_prompts_are_drawn_evenly_for_each_sample_and_seedable():
    target = text_target()
    samples = make_samples(1) * 3000
    torch.manual_seed(0)
    got = target(None, samples)
    options = target.class_features(['class 0'])[0]  # (P, D)
    drawn = (got[:, None] == options).all(-1)
    assert (drawn.sum(1) == 1).all()
    assert (drawn.float().mean(0) - 1 / 3).abs().max() < 0.04
    assert not torch.equal(target(None, samples), got)
    torch.manual_seed(0)
    assert torch.equal(target(None, samples), got)


def test_the_teacher_reads_each_text_once():
    target = text_target(batch_size=4)
    for _ in range(3):
        target(None, make_samples(4))
    read = StubTextTeacher.sentences
    assert len(read) == len(set(read)) == 3 * len(PROMPTS)
    target(None, make_samples(2, category=lambda i: f'new {i}'))
    features = target.class_features(['class 1', 'new 1', 'chair'])
    assert features.shape == (3, len(PROMPTS), 6)
    assert len(read) == len(set(read)) == 6 * len(PROMPTS)
    expected = text_target().class_features(['chair', 'class 1'])
    torch.testing.assert_close(features[[2, 0]], expected)


def test_what_a_text_target_can_not_read_is_named():
    with pytest.raises(ValueError, match='category, caption.*description'):
        text_target(source='description')
    with pytest.raises(ValueError, match="templates.*'a chair'"):
        text_target(prompts=['{}', 'a chair'])
    samples = make_samples(9, caption=lambda i: 'x' if i in (1, 3) else None)
    text = '7 of 9 samples have no caption: s0, s2, s4, s5, s6, .*LoadCaptions'
    with pytest.raises(ValueError, match=text):
        text_target(source='caption')(None, samples)
    assert not StubTextTeacher.sentences


def test_loaded_weights_of_the_teacher_replace_what_was_read():
    target, other = text_target(), text_target(teacher=dict(TEXT, seed=1))
    idx = torch.zeros(4, dtype=torch.long)
    before = target(None, make_samples(), idx)
    weights = other.teacher.net.state_dict()
    target.load_state_dict({f'teacher.net.{k}': v for k, v in weights.items()})
    after = target(None, make_samples(), idx)
    assert torch.equal(after, other(None, make_samples(), idx))
    assert not torch.equal(after, before)


def test_a_bank_that_testing_filled_serves_training():
    target = text_target()
    with torch.inference_mode():
        target(None, make_samples(2))
    pred = torch.randn(3, 6, requires_grad=True)
    feats = target(None, make_samples(3))
    torch.nn.functional.smooth_l1_loss(pred, feats).backward()
    assert pred.grad.abs().sum() > 0


def test_a_bank_grows_and_moves():
    bank = FeatureBank((2,))
    expected = torch.randn(100, 2)
    for i in range(100):
        bank.add([f'n{i}'], expected[i : i + 1])
    assert torch.equal(bank.feats[bank.rows([f'n{i}' for i in range(100)])], expected)
    assert len(bank.feats) <= 200
    target = text_target()
    target.to('meta')
    assert target.bank.feats.device.type == 'meta'
    assert target.half().bank.feats.dtype == torch.float32


def test_images_are_those_of_the_samples_or_views_of_the_clean_cloud_or_of_the_points():
    points, teacher = torch.randn(4, 9, 4), MODELS.build(IMAGE)
    expected = teacher(torch.stack([picture(i) for i in range(4)]))['global']
    assert torch.equal(image_target()(points, make_samples(image=picture)), expected)
    target = image_target(renderer=RENDERER, reduce='mean')
    got = target(points, make_samples(view_points=cloud))
    views = MODELS.build(RENDERER)(torch.stack([cloud(i) for i in range(4)]))
    expected = torch.stack([teacher(views[:, v])['global'] for v in range(3)]).mean(0)
    torch.testing.assert_close(got, expected)
    same = make_samples(view_points=lambda i: points[i, :, :3])
    assert torch.equal(target(points, make_samples()), target(points, same))


def test_one_view_in_a_step_and_only_that_is_read():
    target, points = image_target(renderer=RENDERER), torch.zeros(4, 9, 3)
    samples = make_samples(view_points=cloud)
    each = torch.stack([target(points, samples, torch.full((4,), v)) for v in range(3)])
    StubImageTeacher.images = 0
    torch.manual_seed(0)
    got = target(points, samples)
    assert StubImageTeacher.images == 4
    torch.manual_seed(0)
    idx = torch.randint(3, (4,))
    assert len(set(idx.tolist())) > 1
    torch.testing.assert_close(got, each[idx, torch.arange(4)])


def test_what_an_image_target_can_not_see_is_named():
    points = torch.zeros(3, 9, 3)
    with pytest.raises(ValueError, match='LoadRendering.*renderer'):
        image_target()(points, make_samples(3))
    some = make_samples(3, image=lambda i: picture(i) if i else None)
    with pytest.raises(ValueError, match='1 of 3 samples have no image: s0'):
        image_target()(points, some)
    sizes = make_samples(3, view_points=lambda i: torch.zeros(9 + i // 2, 3))
    with pytest.raises(ValueError, match=r'\(9, 3\) for s0.*\(10, 3\) for s2'):
        image_target(renderer=RENDERER)(points, sizes)
    with pytest.raises(ValueError, match="'mean', got 'max'"):
        image_target(reduce='max')
