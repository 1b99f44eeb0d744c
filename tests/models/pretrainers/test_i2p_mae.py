"""Point-M2AE and I2P-MAE: targets, losses, odd clouds and settings."""

import pytest
import torch
from mmengine.optim import build_optim_wrapper

from mmkd3d.ops import gather
from tests.models.small_m2ae import build, clouds, decoder, i2p_mae, m2ae, student
from tests.models.steps import check_step, losses_of, odd_clouds, reached
from tests.models.stub_teachers import DENSE
from tests.models.teachers.nets import clip_maps, mobilenet, vit_maps

SALIENCY = dict(type='mmkd3d.SaliencyMasker', ratio=0.6)


def encode(model, points):
    """Patches, teacher maps, decoded tokens and the mask of the patches."""
    patches, maps = model.group(points), model.forward_teacher(points)
    mask = model.draw_mask(points, patches, maps)
    feats = model.forward_encoder(patches, mask)
    tokens = model.forward_decoder(feats, patches, mask)
    return patches, maps, tokens, feats['masks'][model.level]


def test_targets_are_the_features_at_the_points_of_visible_patches():
    model, points = build(i2p_mae()), clouds()
    patches, maps, _, masked = encode(model, points)
    targets = model.forward_semantic(points, patches, masked, maps)
    expected = []
    for b, visible in enumerate((~masked).tolist()):
        for g in (g for g, v in enumerate(visible) if v):
            own = patches[1].point_idx[b, g]
            positions = patches[0].centers[b, own]  # absolute, not relative to the centre
            feats = model.target.features_at(maps, positions.expand(len(points), -1, -1))
            expected.append(feats[b])
    torch.testing.assert_close(targets, torch.stack(expected))
    assert not targets.requires_grad
    # at the finest level, targets are features at the points
    model = build(i2p_mae(2, 2))
    patches, maps = model.group(points), model.forward_teacher(points)
    visible = torch.zeros(patches[0].centers.shape[:2], dtype=torch.bool)
    targets = model.forward_semantic(points, patches, visible, maps)
    expected = model.target.features_at(maps, gather(points, patches[0].point_idx.flatten(1)))
    torch.testing.assert_close(targets.flatten(), expected.flatten())


def test_standardised_maps_have_mean_0_and_variance_1():
    model, points = build(i2p_mae(standardize=True)), clouds()
    plain, maps = model.target.forward_views(points), model.forward_teacher(points)
    feats = maps.feats.transpose(0, 2).flatten(1)  # one row per channel
    torch.testing.assert_close(feats.mean(1), torch.zeros(len(feats)), atol=1e-4, rtol=0)
    moving = plain.feats.transpose(0, 2).flatten(1).var(1) > 1e-3
    assert moving.any()
    variance = feats.var(1, correction=0)[moving]
    torch.testing.assert_close(variance, torch.ones(int(moving.sum())), atol=2e-2, rtol=0)
    assert torch.equal(maps.saliency, plain.saliency)
    model.eval()
    assert not torch.allclose(model.forward_teacher(points).feats, maps.feats)


def test_each_loss_trains_the_student_through_its_own_head():
    for name, own, other in (
        ('loss_chamfer', 'to_points', 'to_feats'),
        ('loss_semantic', 'to_feats', 'to_points'),
    ):
        model = build(i2p_mae())
        model.loss(clouds(), None)[name].backward()
        wanted = {n for n, p in model.named_parameters() if p.requires_grad}
        assert reached(model) == {n for n in wanted if not n.startswith(other)}
        assert any(n.startswith(own) for n in reached(model))


@torch.no_grad()
def test_losses_are_those_of_loops_over_tokens():
    model, points = build(i2p_mae()), clouds()
    torch.manual_seed(3)
    losses = model.loss(points, None)
    torch.manual_seed(3)
    patches, maps, tokens, mask = encode(model, points)
    targets = model.forward_semantic(points, patches, mask, maps)
    forth, back, squares, visible = [], [], [], 0
    for b, row in enumerate(mask.tolist()):
        for g, masked in enumerate(row):
            token = tokens[b, g]
            if masked:
                truth = patches[model.level].points[b, g]
                gaps = torch.cdist(model.to_points(token)[0], truth).square()
                forth += gaps.amin(1).tolist()
                back += gaps.amin(0).tolist()
            else:
                pred = model.to_feats(token).view(4, -1)
                squares += (pred - targets[visible]).square().flatten()
                visible += 1
    chamfer = sum(forth) / len(forth) + sum(back) / len(back)
    assert losses['loss_chamfer'].item() == pytest.approx(chamfer, rel=1e-4)
    torch.testing.assert_close(losses['loss_semantic'], torch.stack(squares).mean())


def test_the_teacher_sees_each_cloud_once_in_a_step(monkeypatch):
    model, calls = build(i2p_mae()), []
    teacher = model.target.teacher
    see = teacher.forward_dense
    monkeypatch.setattr(teacher, 'forward_dense', lambda x: calls.append(len(x)) or see(x))
    model.loss(clouds(4), None)
    assert calls == [12]


ODD = {**odd_clouds(), 'fewer_than_groups': clouds(2, 20)}  # 32 groups of 8


@pytest.mark.parametrize('points', ODD.values(), ids=ODD)
def test_odd_clouds_train_and_give_features_and_pictures(points):
    check_step(build(i2p_mae(backbone=student(radii=(0.3, 0.6, 1.2)))), points)
    net, B = build(i2p_mae()).eval(), len(points)
    with torch.no_grad():
        feats = net(dict(points=points))
        assert feats.shape == (B, 24) and feats.isfinite().all()
        assert net.extract_feat(points, 'point').isfinite().all()
        mask = net.draw_mask(points, net.group(points))
    assert mask.shape == (B, 8) and (mask.sum(1) == 4).all()
    drawn = net(dict(points=points), mode='predict')
    assert len(drawn) == B
    assert all(part.isfinite().all() for out in drawn for part in out.values())


def test_points_that_are_not_finite_never_train_a_weight():
    """Either the masker raises an error, or the loss stops the run (FiniteLossHook)."""
    points = clouds()
    points[1, 40, 0] = torch.nan
    with pytest.raises(ValueError, match=r'clouds \[1\] of the batch is not finite'):
        losses_of(build(i2p_mae()), points)
    net = build(i2p_mae(masker=dict(type='mmkd3d.RandomMasker', ratio=0.6)))
    assert not sum(losses_of(net, points).values()).isfinite()


def test_training_under_autocast():
    net = build(i2p_mae(backbone=student(radii=(0.5, 1.0, 2.0), embed_masked=False)))
    torch.manual_seed(1)
    exact = losses_of(net, clouds())
    torch.manual_seed(1)
    with torch.autocast('cpu', torch.bfloat16):
        losses = check_step(net, clouds())
    for name, value in losses.items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, exact[name], rtol=0.05, atol=0)


@pytest.mark.parametrize(
    'make, num_levels, num_stages',
    [
        (i2p_mae, 1, 1),
        (m2ae, 2, 1),
        (i2p_mae, 3, 1),
        (lambda *args: i2p_mae(*args, semantic=False), 3, 2),
        (i2p_mae, 4, 4),
    ],
)
def test_any_number_of_levels_trains_without_an_idle_parameter(make, num_levels, num_stages):
    net = build(make(num_levels, num_stages))
    losses = check_step(net, clouds(), all_reached=True)
    heads = {n.split('.')[0] for n, _ in net.named_parameters()}
    assert ('loss_semantic' in losses) == ('to_feats' in heads)
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
    net = build(i2p_mae(masker=dict(SALIENCY, target=DENSE)))
    parts = {'backbone', 'decoder', 'to_points', 'to_feats'}
    assert {key.split('.')[0] for key in net.state_dict()} == parts
    assert {n.split('.')[0] for n, _ in net.named_parameters()} == parts
    cfg = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1.0))
    groups = build_optim_wrapper(net, cfg).param_groups
    teachers = [net.target.teacher.net, net.masker.target.teacher.net]
    hidden = {id(p) for teacher in teachers for p in teacher.parameters()}
    assert hidden and not hidden & {id(p) for group in groups for p in group['params']}


# Teachers with attention, without a class token, and convolutional.
TEACHERS = dict(
    vit=vit_maps,
    clip=clip_maps,
    no_class_token=lambda: vit_maps(class_token=False, global_pool='avg'),
    mobilenet=mobilenet,
)


@pytest.mark.parametrize('make', TEACHERS.values(), ids=TEACHERS)
def test_any_image_teacher_guides_and_teaches(make):
    net = build(i2p_mae(target=dict(DENSE, teacher=dict(type=make))))
    net.target.projector.size = max(net.target.teacher.size)
    check_step(net, clouds())


def test_a_masker_without_scores_says_what_it_needs():
    with pytest.raises(ValueError, match='or a target.*target=dict'):
        losses_of(build(m2ae(masker=SALIENCY)), clouds())
    check_step(build(m2ae(masker=dict(SALIENCY, target=DENSE))), clouds())


def test_one_masked_or_one_visible_token_is_enough_and_one_must_be_masked():
    for ratio in (0.125, 0.99):
        check_step(build(i2p_mae(masker=dict(SALIENCY, ratio=ratio))), clouds())
    with pytest.raises(ValueError, match='0.1 masks none of 8 tokens'):
        build(i2p_mae(masker=dict(SALIENCY, ratio=0.1)))
    # nothing is masked below: other patches contain all tokens of the masked one
    masker = dict(type='mmkd3d.RandomMasker', ratio=0.125)
    net = build(i2p_mae(masker=masker, backbone=student(group_sizes=(8, 4, 16))))
    losses = check_step(net, clouds())
    assert losses['loss_chamfer'] == 0 and losses['loss_semantic'] > 0
    drawn = net.eval()(dict(points=clouds()), mode='predict')
    assert all(out['pred'].shape == (0, 3) for out in drawn)


POINT_MAE = dict(type='mmkd3d.PointMAE', loss=dict(type='mmkd3d.ChamferLoss'))
POINT_MAE.update({k: m2ae()[k] for k in ('backbone', 'decoder', 'masker')})
PLAIN = m2ae(backbone=dict(type='mmkd3d.PointTransformer'))


@pytest.mark.parametrize(
    'cfg, text',
    [
        (student(depths=(1, 1)), 'one number for each level'),
        (student(norm_levels=(1, 3)), r'norm_levels .* 0\.\.2, got \(1, 3\)'),
        (student(radii=(0.3, -0.6, 1.2)), r'radii.*got \(0\.3, -0\.6, 1\.2\)'),
        (student(group_sizes=(8, 4, 17)), r'\(8, 4, 17\) for num_groups=\(32, 16'),
        (m2ae(decoder=decoder(stage_dims=(24, 12))), r'\(24, 12\) for .*\(12, 18, 24\)'),
        (m2ae(decoder=decoder(4)), r'\(24, 18, 12, 6\) for .*\(12, 18, 24\)'),
        (m2ae(decoder=decoder(depths=(1,))), r'got \(24, 18\), \(1,\) and \(1,\)'),
        (PLAIN, 'M2AE is for hierarchical students, got PointTransformer'),
        (POINT_MAE, 'PointMAE is for plain students, got PointM2AE'),
    ],
)
def test_settings_that_do_not_fit_are_an_error(cfg, text):
    with pytest.raises(ValueError, match=text):
        build(cfg)


@pytest.fixture(scope='module')
def pretrained(tmp_path_factory):
    """Checkpoint as saved by a run, and its model."""
    path = tmp_path_factory.mktemp('pretrained') / 'epoch_1.pth'
    net = build(i2p_mae())
    for tensor in [*net.parameters(), *net.buffers()]:
        tensor.data += 1 if tensor.dtype == torch.long else 0.01
    torch.save(dict(meta=dict(epoch=1), state_dict=net.state_dict()), path)
    return path, net


def load(path, **options):
    cfg = dict(student(**options), init_cfg=dict(type='Pretrained', checkpoint=str(path)))
    backbone = build(cfg)
    backbone.init_weights()
    return backbone


@pytest.mark.parametrize('norm_levels', [None, (), (0, 2)])
def test_a_pretrained_student_is_filled_whole(pretrained, norm_levels):
    path, net = pretrained
    backbone = load(path, norm_levels=norm_levels, radii=(1, 2, 3))
    expected = net.backbone.state_dict()
    for key, value in backbone.state_dict().items():
        assert torch.equal(value, expected.pop(key)), key
    assert len(expected) == 2 * (3 - len(backbone.norms))


@pytest.mark.parametrize(
    'options, text',
    [
        (dict(num_levels=4), r'missing: blocks\.3\.'),
        (dict(num_levels=2), r'unexpected: blocks\.2\.'),
        (dict(level_dims=(12, 18, 30)), r'file \(24,\), module \(30,\)'),
        (dict(depths=(1, 2, 1)), r'missing: blocks\.1\.1\.'),
    ],
)
def test_a_checkpoint_of_another_pyramid_is_an_error(pretrained, options, text):
    with pytest.raises(ValueError, match=text):
        load(pretrained[0], **options)
