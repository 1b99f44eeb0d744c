"""What Point-M2AE and I2P-MAE make of odd clouds, teachers and settings."""

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.structures import BaseDataElement

from tests.models.small_m2ae import build, clouds, decoder, i2p_mae, m2ae, student
from tests.models.stub_teachers import DENSE
from tests.models.teachers.test_dense_teachers import clip_vit, mobilenet, timm_vit

METHODS = dict(
    m2ae=m2ae, i2p=i2p_mae, guided=lambda *args, **kw: i2p_mae(*args, semantic_loss=None, **kw)
)
SHAPES = dict(
    fewer_than_groups=clouds(2, 20),  # 32 groups of 8
    as_many_as_a_patch=clouds(2, 8),
    around_the_origin=clouds(2) * 1e-3,  # FPS takes none of them
    at_the_origin=clouds(2) * 0,
    all_points_equal=clouds(2) * 0 + 0.7,
    duplicated=clouds(2, 48).repeat(1, 2, 1),
    two_places=clouds(2, 2).repeat(1, 48, 1),
    flat=clouds(2) * torch.tensor([1.0, 1.0, 0.0]),
    line=clouds(2) * torch.tensor([1.0, 0.0, 0.0]),
    far=clouds(2) + 1e4,
    extra_features=torch.cat([clouds(2), clouds(2, seed=2)], dim=2),
    one_cloud=clouds(1),
)
ODD = pytest.mark.parametrize('points', SHAPES.values(), ids=SHAPES)


def losses_of(net, points):
    return net(dict(points=points), None, mode='loss')


def check_step(net, points):
    """Losses are finite, and so is a gradient of every parameter."""
    losses = losses_of(net.train(), points)
    assert losses and all(torch.isfinite(v) for v in losses.values())
    sum(losses.values()).backward()
    for name, parameter in net.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
    return losses


@ODD
@pytest.mark.parametrize('radii', [None, (0.3, 0.6, 1.2)])
def test_odd_clouds_train(points, radii):
    check_step(build(i2p_mae(backbone=student(radii=radii))), points)


@ODD
def test_odd_clouds_give_features_masks_and_pictures(points):
    net = build(i2p_mae()).eval()
    B = len(points)
    with torch.no_grad():
        feats = net(dict(points=points))
        assert feats.shape == (B, 24) and feats.isfinite().all()
        assert net.extract_feat(points, 'point').isfinite().all()
        xyz = points[..., :3].contiguous()
        mask = net.draw_mask(xyz, net.backbone.group(xyz))
    assert mask.shape == (B, 8) and (mask.sum(1) == 4).all()
    drawn = net(dict(points=points), mode='predict')
    assert len(drawn) == B
    assert all(part.isfinite().all() for out in drawn for part in out.values())


def test_a_cloud_smaller_than_a_patch_is_an_error():
    with pytest.raises(ValueError, match='group_size=8 .* cloud of 7 points'):
        losses_of(build(i2p_mae()), clouds(2, 7))


@pytest.mark.parametrize('value', [torch.nan, torch.inf])
@pytest.mark.parametrize('kind', ['RandomMasker', 'SaliencyMasker'])
def test_points_that_are_not_finite_never_train_a_weight(kind, value):
    """Either it is said here, or the loss stops the run (FiniteLossHook)."""
    points = clouds()
    points[1, 40, 0] = value
    net = build(i2p_mae(masker=dict(type=f'mmkd3d.{kind}', ratio=0.6)))
    try:
        losses = losses_of(net, points)
    except ValueError as error:
        assert 'clouds [1] of the batch is not finite' in str(error)
        assert kind == 'SaliencyMasker' and value != value
    else:
        assert not sum(losses.values()).isfinite()


@pytest.mark.parametrize('dtype', [torch.float64, torch.float16])
def test_clouds_of_other_precisions_train_through_the_preprocessor(dtype):
    net = build(i2p_mae())
    points = clouds().to(dtype)
    data = dict(inputs=dict(points=[*points]))
    data = net.data_preprocessor(data, training=True)
    check_step(net, data['inputs']['points'])


@pytest.mark.parametrize('options', [dict(), dict(radii=(0.5, 1.0, 2.0), embed_masked=False)])
def test_training_under_autocast(options):
    net = build(i2p_mae(backbone=student(**options)))
    torch.manual_seed(1)
    exact = losses_of(net, clouds())
    torch.manual_seed(1)
    with torch.autocast('cpu', torch.bfloat16):
        losses = check_step(net, clouds())
    for name, value in losses.items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, exact[name], rtol=0.05, atol=0)


PYRAMIDS = [(1, 1), (2, 1), (2, 2), (3, 1), (3, 2), (3, 3), (4, 2), (4, 4)]


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('num_levels, num_stages', PYRAMIDS)
def test_any_number_of_levels_trains_without_an_idle_parameter(num_levels, num_stages, method):
    net = build(METHODS[method](num_levels, num_stages))
    losses = check_step(net, clouds())
    assert set(losses) == {'loss_chamfer'} | ({'loss_semantic'} if method == 'i2p' else set())
    idle = [name for name, p in net.named_parameters() if p.requires_grad and not p.grad.any()]
    assert not idle
    frozen = {n for n, p in net.named_parameters() if not p.requires_grad}
    assert frozen == {
        f'backbone.norms.{i}.{name}'
        for i in range(num_levels - num_stages)
        for name in ('weight', 'bias')
    }


@pytest.mark.parametrize(
    'options',
    [
        dict(norm_levels=()),
        dict(norm_levels=(2,)),
        dict(embed_masked=False),
        dict(index_zero_visible=True),
        dict(pos_scale='scene'),
        dict(fps_rule='mmcv'),
    ],
    ids=str,
)
def test_options_of_the_student_leave_no_parameter_idle(options):
    check_step(build(i2p_mae(backbone=student(**options))), clouds())


def test_teachers_are_in_no_state_dict_optimizer_or_parameter():
    net = build(i2p_mae(masker=dict(type='mmkd3d.SaliencyMasker', ratio=0.6, target=DENSE)))
    parts = {'backbone', 'decoder', 'to_points', 'to_feats'}
    assert {key.split('.')[0] for key in net.state_dict()} == parts
    assert {n.split('.')[0] for n, _ in net.named_parameters()} == parts
    wrapper = build_optim_wrapper(
        net, dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1.0))
    )
    teachers = [net.target.teacher.net, net.masker.target.teacher.net]
    hidden = {id(p) for teacher in teachers for p in teacher.parameters()}
    assert hidden and not hidden & {
        id(p) for group in wrapper.param_groups for p in group['params']
    }
    before = [t.weight.clone() for t in teachers]
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
    check_step(net, clouds())
    optimizer.step()
    assert all(torch.equal(t.weight, b) for t, b in zip(teachers, before))


# Teachers: with attention, without a class token, convolutions.
TEACHERS = dict(
    vit=timm_vit,
    clip=clip_vit,
    no_class_token=lambda: timm_vit(class_token=False, global_pool='avg'),
    mobilenet=mobilenet,
)


@pytest.mark.parametrize('make', TEACHERS.values(), ids=TEACHERS)
def test_any_image_teacher_guides_and_teaches(make):
    net = build(i2p_mae(target=dict(DENSE, teacher=dict(type=make))))
    net.target.projector.size = max(net.target.teacher.size)
    check_step(net, clouds())


def test_attention_that_a_teacher_does_not_have_is_an_error():
    teacher = dict(
        type='mmkd3d.TimmTeacher', model_name='resnet10t', random_weights=True, saliency='attention'
    )
    with pytest.raises(ValueError, match="no class token.*'activation'"):
        build(i2p_mae(target=dict(DENSE, teacher=teacher)))


def test_a_teacher_without_maps_says_so():
    target = dict(DENSE, teacher=dict(type='mmkd3d.StubTextTeacher'))
    with pytest.raises(
        NotImplementedError, match='StubTextTeacher can not make maps of images: choose'
    ):
        losses_of(build(i2p_mae(target=target)), clouds())


def test_a_masker_without_scores_says_what_it_needs():
    saliency = dict(type='mmkd3d.SaliencyMasker', ratio=0.6)
    with pytest.raises(ValueError, match='or a target.*target=dict'):
        losses_of(build(m2ae(masker=saliency)), clouds())
    check_step(build(m2ae(masker=dict(saliency, target=DENSE))), clouds())


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('ratio', [0.0, 0.1])  # of 8 tokens
def test_nothing_masked_is_an_error(method, ratio):
    with pytest.raises(ValueError, match=f'{ratio} masks none of 8 tokens'):
        build(METHODS[method](masker=dict(type='mmkd3d.SaliencyMasker', ratio=ratio)))


def test_nothing_masked_below_by_chance_costs_nothing():
    masker = dict(type='mmkd3d.RandomMasker', ratio=0.125)
    # tokens of all others, among them those of the one that is masked
    cfg = i2p_mae(masker=masker, backbone=student(group_sizes=(8, 4, 16)))
    net = build(cfg)
    losses = check_step(net, clouds())
    assert losses['loss_chamfer'] == 0 and losses['loss_semantic'] > 0
    drawn = net.eval()(dict(points=clouds()), mode='predict')
    assert all(out['pred'].shape == (0, 3) for out in drawn)


@pytest.mark.parametrize('ratio', [0.125, 0.99])
def test_one_masked_or_one_visible_token_is_enough(ratio):
    masker = dict(type='mmkd3d.SaliencyMasker', ratio=ratio)
    check_step(build(i2p_mae(masker=masker)), clouds())


@pytest.mark.parametrize(
    'options, text',
    [
        (dict(level_dims=(12, 18)), 'one number for each level'),
        (dict(radii=(1.0,)), 'one number for each level'),
        (dict(depths=(1, 1)), 'one number for each level'),
        (dict(num_groups=(32, 16)), 'one number for each level'),
        (dict(group_sizes=(8, 4, 4, 4)), 'one number for each level'),
        (
            dict(level_dims=(), depths=(), num_groups=(), group_sizes=()),
            'one number for each level',
        ),
        (dict(norm_levels=(1, 3)), r'norm_levels lie in 0\.\.2, got \(1, 3\)'),
        (dict(radii=(0.3, -0.6, 1.2)), r'radii.*got \(0\.3, -0\.6, 1\.2\)'),
        (dict(group_sizes=(8, 4, 17)), r'\(8, 4, 17\) for num_groups=\(32, 16'),
        (dict(fps_rule='fastest'), "got 'fastest'"),
    ],
)
def test_a_student_of_settings_that_do_not_fit_is_an_error(options, text):
    with pytest.raises(ValueError, match=text):
        build(student(**options))(clouds())


@pytest.mark.parametrize(
    'cfg, text',
    [
        (decoder(stage_dims=(24, 12)), r'\(24, 12\) for .*\(12, 18, 24\)'),
        (decoder(4), r'\(24, 18, 12, 6\) for .*\(12, 18, 24\)'),
        (decoder(stage_dims=(18, 24)), r'\(18, 24\) for .*\(12, 18, 24\)'),
        (decoder(depths=(1,)), r'got \(24, 18\), \(1,\) and \(1,\)'),
        (decoder(propagation_depths=()), r'got \(24, 18\), \(1, 1\) and \(\)'),
        (decoder(0, propagation_depths=()), r'got \(\), \(\) and \(\)'),
    ],
)
def test_a_decoder_that_does_not_fit_is_an_error(cfg, text):
    with pytest.raises(ValueError, match=text):
        build(m2ae(decoder=cfg))


def classifier(transfer_type):
    linear = transfer_type == 'linear'
    return build(
        dict(
            type='mmkd3d.PointClassifier',
            backbone=student(norm_levels=()),
            head=dict(
                type='mmkd3d.ClsHead',
                in_channels=24,
                num_classes=2,
                norm=True,
                pooling=('mean', 'max'),
                hidden_dims=() if linear else (8,),
            ),
            transfer_type=transfer_type,
        )
    )


@pytest.mark.parametrize('transfer_type', ['full', 'mlp-3', 'linear', 'probe', 'bit-fit'])
def test_what_a_way_of_finetuning_trains_gets_a_gradient(transfer_type):
    net = classifier(transfer_type).train()
    samples = [BaseDataElement(gt_label=torch.tensor(i % 2)) for i in range(3)]
    net(dict(points=clouds()), samples, mode='loss')['loss_cls'].backward()
    trained = {n for n, p in net.named_parameters() if p.requires_grad}
    assert trained == {n for n, p in net.named_parameters() if p.grad is not None}
    assert any(n.startswith('backbone.') for n in trained) == (transfer_type in ('full', 'bit-fit'))


def test_a_side_branch_is_refused():
    with pytest.raises(ValueError, match="'side' .*PointM2AE"):
        classifier('side')


@pytest.fixture(scope='module')
def pretrained(tmp_path_factory):
    """A checkpoint as a run writes it, and the model."""
    path = tmp_path_factory.mktemp('pretrained') / 'epoch_1.pth'
    net = build(i2p_mae())
    for tensor in [*net.parameters(), *net.buffers()]:
        tensor.data += 1 if tensor.dtype == torch.long else 0.01
    torch.save(dict(meta=dict(epoch=1), state_dict=net.state_dict()), path)
    return path, net


def load(path, cfg):
    cfg = dict(cfg, init_cfg=dict(type='Pretrained', checkpoint=str(path)))
    backbone = build(cfg)
    backbone.init_weights()
    return backbone


@pytest.mark.parametrize('norm_levels', [None, (), (0, 2)])
def test_a_pretrained_student_is_filled_whole(pretrained, norm_levels):
    path, net = pretrained
    backbone = load(path, student(norm_levels=norm_levels, radii=(1, 2, 3)))
    expected = net.backbone.state_dict()
    for key, value in backbone.state_dict().items():
        assert torch.equal(value, expected.pop(key)), key
    assert len(expected) == 2 * (3 - len(backbone.norms))


@pytest.mark.parametrize(
    'cfg, text',
    [
        (student(4), r'missing: blocks\.3\.'),
        (student(2), r'unexpected: blocks\.2\.'),
        (student(2, level_dims=(12, 18)), r'unexpected: blocks\.2\.'),
        (student(4, level_dims=(12, 18, 24, 24)), r'missing: blocks\.3\.'),
        (student(level_dims=(12, 18, 30)), r'file \(24,\), module \(30,\)'),
        (student(depths=(1, 2, 1)), r'missing: blocks\.1\.1\.'),
        (student(patch_dims=(8, 12)), r'file \(16,\), module \(12,\)'),
    ],
)
def test_a_checkpoint_of_another_pyramid_is_an_error(pretrained, cfg, text):
    with pytest.raises(ValueError, match=text):
        load(pretrained[0], cfg)
