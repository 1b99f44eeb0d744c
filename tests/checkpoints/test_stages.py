"""Embedded teachers, untrained heads, and checkpoints of the wrong stage."""

import copy

import pytest
import torch

from mmkd3d.checkpoints import convert, load_pretrained, split_teacher, stage_of, to_published
from mmkd3d.registry import MODELS
from tests.helpers import rejects
from tests.models.pretrainers.test_pretrainers import PARTS, STUDENT, point_mae

FROZEN = 'teacher.net.transformer.frozen.net.'


def autoencoder(*, keep_teacher: bool = False) -> dict:
    frozen = dict(
        type='mmkd3d.TimmTeacher',
        model_name='vit_tiny_patch16_224',
        random_weights=True,
        model_kwargs=dict(embed_dim=12, depth=2, num_heads=2),
    )
    return dict(
        type='mmkd3d.ACTAutoencoder',
        num_groups=16,
        group_size=8,
        patch_dims=(4, 8),
        encoder_dims=12,
        token_dims=12,
        decoder_dims=12,
        num_codes=20,
        edge_dims=(8, 8, 8, 8, 8),
        transformer=dict(num_prompts=4, keep_teacher=keep_teacher, teacher=frozen),
    )


def act_teacher(keep_teacher=False, **kwargs) -> dict:
    net = autoencoder(keep_teacher=keep_teacher)
    return dict(type='mmkd3d.ACTTeacher', autoencoder=net, random_weights=True, **kwargs)


def act(teacher=None, **kwargs) -> torch.nn.Module:
    return MODELS.build(
        dict(
            type='mmkd3d.ACT',
            backbone=dict(STUDENT, with_cls_token=True),
            decoder=PARTS['decoder'],
            masker=PARTS['masker'],
            loss=dict(type='mmkd3d.CosineLoss'),
            teacher=teacher or act_teacher(),
            **kwargs,
        )
    )


@pytest.fixture(scope='module')
def stage_two():
    """A complete published stage II file with weights unlike a new model's."""
    teacher = act_teacher(keep_teacher=True, keep_weights=True)
    state = act(teacher, untrained_heads=True).state_dict()
    other = {k: v + 0.5 if v.is_floating_point() else v for k, v in state.items()}
    return to_published(other, 'act')


def same_weights(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(a[k].equal(b[k]) for k in a)


def test_a_stage_two_file_fills_student_teacher_and_its_transformer(stage_two):
    model = act()
    assert not any('net.' in key for key in model.state_dict())
    report = load_pretrained(model, stage_two, prefix='')
    assert not report.missing and not report.unexpected
    assert {key.split('.')[0] for key in report.left_out} == {'lm_head', 'cls_head'}
    net = model.teacher.net
    assert net.quantizer.codebook.equal(stage_two['dvae_tokenizer.codebook'])
    norm = net.transformer.frozen.net.norm.weight
    assert norm.equal(stage_two['dvae_tokenizer.visual_embed.1.weight'])
    assert f'{FROZEN}norm.weight' in report.loaded


@pytest.mark.parametrize('keep', [False, True])
def test_a_file_may_lack_the_teacher_or_its_frozen_transformer(keep):
    model = act(act_teacher(keep_weights=keep))
    before = copy.deepcopy(model.teacher.net)
    report = load_pretrained(model, act().state_dict(), prefix='')
    assert not report.missing
    assert {k.split('.')[0] for k in report.loaded} == {'backbone', 'decoder', 'proj'}
    assert same_weights(model.teacher.net, before)
    state = act(act_teacher(keep_weights=True)).state_dict()
    assert not any(key.startswith(FROZEN) for key in state)
    model = act(act_teacher(keep_teacher=keep))
    load_pretrained(model, state, prefix='')
    assert model.teacher.net.quantizer.codebook.equal(state['teacher.net.quantizer.codebook'])


def test_half_a_teacher_or_one_of_another_kind_is_an_error(stage_two):
    for part in ('proj_post.bias', 'visual_embed.0.1.norm1.bias'):
        state = {k: v for k, v in stage_two.items() if k != f'dvae_tokenizer.{part}'}
        rejects(r'missing: teacher\.net\.', load_pretrained, act(), state, prefix='')
    state = dict(stage_two)
    state['dvae_tokenizer.visual_embed.0.2.norm1.bias'] = torch.ones(12)
    rejects('unexpected: .*blocks.2.norm1.bias', load_pretrained, act(), state, prefix='')
    beside = dict(point_mae().state_dict(), **{'teacher.net.a': torch.ones(1)})
    rejects('unexpected: teacher.net.a', load_pretrained, point_mae(), beside, prefix='')
    assert 'teacher.net.a' in load_pretrained(MODELS.build(STUDENT), beside).left_out


def test_untrained_heads_are_left_out_only_where_they_were_published(stage_two):
    ours, meta = convert(stage_two, 'act')
    report = load_pretrained(act(), dict(state_dict=ours, meta=meta), prefix='')
    assert 'lm_head.weight' in report.left_out
    rejects('unexpected: cls_head.0.bias', load_pretrained, act(), ours, prefix='')
    model = act(untrained_heads=True)
    report = load_pretrained(model, stage_two, prefix='')
    assert not report.left_out and 'lm_head.weight' in report.loaded
    without = {k: v for k, v in stage_two.items() if 'lm_head' not in k}
    rejects('missing: lm_head.bias', load_pretrained, model, without, prefix='')


def test_a_stage_two_file_serves_student_and_teacher_alone(stage_two):
    backbone = MODELS.build(dict(STUDENT, with_cls_token=True))
    report = load_pretrained(backbone, stage_two)
    assert not report.missing and not report.unexpected
    # The class token's position embedding comes from the encoder, not from the decoder.
    assert backbone.cls_pos.equal(stage_two['ACT_encoder.cls_pos'])
    plain = MODELS.build(STUDENT)
    rejects('unexpected: cls_pos', load_pretrained, plain, stage_two)
    load_pretrained(plain, stage_two, allow_unexpected=['cls_'])
    teacher = MODELS.build(autoencoder())
    load_pretrained(teacher, stage_two, prefix='teacher.net.')
    assert teacher.quantizer.codebook.equal(stage_two['dvae_tokenizer.codebook'])
    stage_one = to_published(split_teacher(convert(stage_two, 'act')[0])[1], 'act_autoencoder')
    again = MODELS.build(autoencoder())
    load_pretrained(again, stage_one, prefix='teacher.net.')
    assert same_weights(teacher, again)


def classifier() -> torch.nn.Module:
    backbone = dict(STUDENT, with_cls_token=True)
    head = dict(type='mmkd3d.ClsHead', in_channels=24, num_classes=3)
    return MODELS.build(dict(type='mmkd3d.PointClassifier', backbone=backbone, head=head))


def test_a_file_of_the_wrong_stage_is_called_by_its_stage(stage_two, tmp_path):
    student, teacher = split_teacher(convert(stage_two, 'act')[0])
    student = {k: v for k, v in student.items() if 'head' not in k}
    one, two = 'stage I file.*', 'pretraining .stage II. file.*'
    stage_one, tuned = MODELS.build(autoencoder()), classifier().state_dict()
    inner = "with prefix='teacher.net.'"
    for module, file, prefix, text in (
        (act().backbone, teacher, 'backbone.', one + "'backbone.': of a pretraining .stage II. or"),
        (act(), teacher, '', one + two),
        (classifier(), teacher, '', one + 'of a finetuned model.$'),
        (stage_one, student, 'teacher.net.', two + 'stage I file.*' + inner),
        (stage_one, stage_two, '', two + inner),
        (stage_one, tuned, '', 'a finetuned model.*stage I file'),
        (classifier(), student, '', two + "a finetuned model.*with prefix='backbone.'"),
        (act(), tuned, '', 'a finetuned model.*' + two + "with prefix='backbone.'"),
    ):
        rejects(f'This is .*{text}', load_pretrained, module, file, prefix=prefix)
    wrong = dict(student, **{'proj.bias': torch.ones(3)})
    rejects('Build the module with the sizes', load_pretrained, act(), wrong, prefix='')
    assert stage_of(act().backbone.state_dict()) is None
    assert stage_of(point_mae().state_dict()) == 'pretrain'
    path = tmp_path / 'stage1.pth'
    torch.save(dict(state_dict=teacher), path)
    backbone = MODELS.build(dict(STUDENT, init_cfg=dict(type='Pretrained', checkpoint=str(path))))
    rejects('stage1.pth(.|\n)*a stage I file', backbone.init_weights)
