"""ACT's second stage: the student and its teacher."""

import copy

import pytest
import torch
import torch.nn.functional as F

from mmkd3d.checkpoints import to_published
from mmkd3d.engine.hooks.finite_loss import NonFiniteLossError
from mmkd3d.models.layers.transformer import split_by_mask
from mmkd3d.registry import MODELS
from tests.checkpoints.test_stages import autoencoder, same_weights
from tests.models.pretrainers.test_act_autoencoder import (
    Clouds,
    cloud,
    lent,
    runner,
    stage_one,
    total,
)
from tests.models.pretrainers.test_pretrainers import PARTS, STUDENT
from tests.models.teachers.test_token_transformer import bert


def teacher(checkpoint=None, *, of=None, **kwargs) -> dict:
    return dict(
        type='mmkd3d.ACTTeacher',
        autoencoder=autoencoder() if of is None else of,
        checkpoint=None if checkpoint is None else str(checkpoint),
        random_weights=checkpoint is None,
        **kwargs,
    )


def config(**kwargs) -> dict:
    return dict(
        dict(
            type='mmkd3d.ACT',
            backbone=dict(STUDENT, with_cls_token=True),
            decoder=PARTS['decoder'],
            masker=PARTS['masker'],
            loss=dict(type='mmkd3d.CosineLoss'),
            teacher=teacher(),
        ),
        **kwargs,
    )


def act(**kwargs):
    torch.manual_seed(0)
    return MODELS.build(config(**kwargs))


GLOBAL = dict(shallow_layer=0)
NO_MASK = dict(masker=dict(type='mmkd3d.RandomMasker', ratio=0), decoder=None)
LANGUAGE = dict(teacher=teacher(of=dict(autoencoder(), transformer=lent(bert))))
PLAIN = dict(
    teacher=teacher(of=dict(autoencoder(), transformer=None, decoder_dims=20)),
    loss=dict(type='mmkd3d.SmoothL1Loss'),
)


@pytest.fixture(
    params=[{}, GLOBAL, NO_MASK, LANGUAGE, PLAIN],
    ids=['local', 'global', 'no_mask', 'language', 'plain'],
)
def model(request):
    return act(**request.param)


def step(model, points, seed=0):
    torch.manual_seed(seed)
    losses = model(dict(points=points), mode='loss')
    total(losses).backward()
    return losses


def test_every_parameter_gets_a_gradient(model):
    losses = step(model, cloud())
    assert ('loss_global' in losses) == (model.shallow_layer is not None)
    idle = [
        name for name, p in model.named_parameters() if p.grad is None or p.grad.abs().sum() == 0
    ]
    assert not idle
    assert all(p.grad is None for p in model.teacher.net.parameters())


def test_only_the_published_heads_are_idle():
    model = act(untrained_heads=True, **GLOBAL)
    step(model, cloud())
    idle = {n for n, p in model.named_parameters() if p.grad is None}
    assert idle == {
        f'{name}.{kind}'
        for kind in ('weight', 'bias')
        for name in ('lm_head', 'cls_head.0', 'cls_head.2')
    }
    assert model.lm_head.out_features == 20  # codes of the teacher


@pytest.mark.parametrize('loss', ['CosineLoss', 'L2Loss', 'SmoothL1Loss'])
def test_a_few_steps_lower_the_loss(loss):
    model = act(loss=dict(type=f'mmkd3d.{loss}'), **GLOBAL)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    points, history = cloud(8), []
    for i in range(40):
        optimizer.zero_grad()
        losses = step(model, points, seed=i)
        optimizer.step()
        history.append(total(losses).item())
    assert sum(history[-10:]) < 0.9 * sum(history[:10])


def test_losses_are_loops_over_clouds_and_patches():
    model = act(**GLOBAL).eval()
    torch.manual_seed(4)
    losses = model(dict(points=cloud()), mode='loss')
    torch.manual_seed(4)
    out = model.distil(cloud())
    for name, pred in (('loss_distill', out.pred), ('loss_global', out.pred_global)):
        of_clouds = []
        for a, b in zip(pred, out.target):
            cosines = [x @ y / x.norm() / y.norm() for x, y in zip(a, b)]
            of_clouds.append(1 - sum(cosines) / len(cosines))
        torch.testing.assert_close(losses[name], sum(of_clouds) / 3)
    units = [t / t.norm() for t in out.target.flatten(0, 1)]
    mean = sum(a @ b for a in units for b in units) / len(units) ** 2
    torch.testing.assert_close(losses['target_cone'], mean)


def test_the_teacher_is_in_eval_mode_and_keeps_its_statistics():
    model = act().train()
    before = copy.deepcopy(model.teacher.net.state_dict())
    assert not any(m.training for m in model.teacher.net.modules())
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    step(model, cloud())
    optimizer.step()
    after = model.teacher.net.state_dict()
    assert all(torch.equal(v, before[k]) for k, v in after.items())


def test_a_teacher_in_train_mode_moves_statistics_and_no_weight():
    model = act(teacher=teacher(train_mode=True)).train()
    before = copy.deepcopy(model.teacher.net.state_dict())
    assert model.teacher.net.patch_embed.first[1].training
    assert not any(m.training for m in model.teacher.net.transformer.frozen.net.modules())
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    step(model, cloud())
    optimizer.step()
    moved = {
        key
        for key, value in model.teacher.net.state_dict().items()
        if not torch.equal(value, before[key])
    }
    assert moved == {
        f'patch_embed.{mlp}.1.{name}'
        for mlp in ('first', 'second')
        for name in ('running_mean', 'running_var', 'num_batches_tracked')
    }
    model.eval()
    assert not any(m.training for m in model.teacher.net.modules())


@pytest.mark.parametrize('kwargs', [{}, GLOBAL])
def test_the_student_holds_no_teacher(kwargs):
    model = act(**kwargs)
    state = model.state_dict()
    assert not [key for key in state if key.startswith('teacher')]
    assert {key.split('.')[0] for key in state} == {
        'backbone',
        'decoder',
        'proj',
        *(['cls_pos'] if kwargs else []),
    }
    kept = act(teacher=teacher(keep_weights=True)).state_dict()
    assert {key for key in kept if key.startswith('teacher.')} == {
        f'teacher.net.{key}' for key in stage_one().state_dict()
    }


def given(B=3):
    torch.manual_seed(7)
    mask = torch.zeros(B, 16, dtype=torch.bool)
    for row in mask:
        row[torch.randperm(16)[:9]] = True
    return mask, 5 * torch.rand(B, 16, 20)


def test_mask_and_noise_that_are_given_are_used():
    model, (mask, noise) = act().eval(), given()
    out = model.distil(cloud(), mask, noise)
    assert torch.equal(out.mask, mask)
    encoded = model.teacher.net.encode(out.patches, hard=True, noise=noise)
    _, target = split_by_mask(encoded.feats, mask)
    torch.testing.assert_close(out.target, target, rtol=1e-4, atol=1e-5)
    again = model.distil(cloud(), mask, noise)
    assert torch.equal(again.pred, out.pred)
    assert torch.equal(again.target, out.target)
    assert not torch.equal(model.distil(cloud(), mask).target, out.target)
    assert not torch.equal(model.distil(cloud(), None, noise).mask, mask)


def test_the_global_branch_reads_a_late_class_token_and_shallow_patches():
    model, (mask, noise) = act(**GLOBAL).eval(), given()
    out, student = model.distil(cloud(), mask, noise), model.backbone
    centers = out.patches.centers
    tokens, _ = split_by_mask(student.patch_embed(out.patches.points), mask)
    x = torch.cat([student.cls_token.expand(3, -1, -1), tokens], dim=1)
    pos = student.pos_embed(split_by_mask(centers, mask)[0])
    pos = torch.cat([student.cls_pos.expand(3, -1, -1), pos], dim=1)
    shallow = student.blocks[0](x + pos)
    last = student.norm(student.blocks[1](shallow + pos))
    decoder = model.decoder
    x = torch.cat([last[:, :1], shallow[:, 1:], decoder.mask_token.expand(3, 9, -1)], 1)
    pos = torch.cat(
        [
            model.cls_pos.expand(3, -1, -1),
            *(decoder.pos_embed(c) for c in split_by_mask(centers, mask)),
        ],
        1,
    )
    masked = decoder.norm(decoder.blocks[0](x + pos))[:, -9:]
    torch.testing.assert_close(out.pred_global, model.proj(masked))


def test_masked_points_do_not_reach_the_prediction():
    model, (mask, noise) = act(**GLOBAL).eval(), given()
    patches = model.backbone.group(cloud())
    outs = []
    for hidden in (0.0, 3.0):
        moved = patches.points + hidden * mask[:, :, None, None]
        model.backbone.group.forward = lambda _, moved=moved: patches._replace(points=moved)
        outs.append(model.distil(cloud(), mask, noise))
    for name in ('pred', 'pred_global'):
        torch.testing.assert_close(*(getattr(o, name) for o in outs))
    assert not torch.allclose(outs[0].target, outs[1].target)


def test_without_a_mask_every_patch_is_predicted():
    model = act(**NO_MASK).eval()
    assert model.decoder is None
    out = model.distil(cloud(), None, torch.zeros(3, 16, 20))
    assert not out.mask.any() and out.pred_global is None
    tokens = model.backbone.encode(out.patches)['tokens']
    torch.testing.assert_close(out.pred, model.proj(tokens))
    target = model.teacher.forward_patches(out.patches, torch.zeros(3, 16, 20))
    assert torch.equal(out.target, target) and not target.requires_grad


def test_modes_return_what_they_promise(model):
    model.eval()
    points = cloud(channels=5)
    assert model(dict(points=points)).shape == (3, 48)
    drawn = model(dict(points=points), mode='predict')
    masked = 9 if model.decoder is not None else 16
    assert len(drawn) == 3
    for out, xyz in zip(drawn, points[..., :3]):
        assert torch.equal(out['input'], xyz)
        assert out['masked'].shape == (masked * 8, 3)
        assert out['cosine'].shape == (masked * 8,)
        assert out['cosine'].abs().max() <= 1 + 1e-5
        gaps = torch.cdist(out['masked'], xyz).amin(1)
        assert gaps.max() < 1e-2  # they are points of the cloud


def trained_stage_one(**kwargs):
    """No weight, statistic or code has the value it is built with."""
    net = stage_one(**kwargs)
    for value in net.state_dict().values():
        if value.is_floating_point():
            value += 0.1 * torch.rand_like(value)
    if net.transformer is not None:
        frozen = MODELS.build(dict(autoencoder(), **kwargs)).transformer.frozen
        net.transformer.frozen.net.load_state_dict(frozen.net.state_dict())
    return net.eval()


@pytest.mark.parametrize('form', ['light', 'with_frozen', 'of_a_run', 'published', 'stage_two'])
def test_a_stage_one_file_is_the_teacher_it_was(form, tmp_path):
    keep = form != 'light'
    net = trained_stage_one(**autoencoder(keep_teacher=keep))
    state = net.state_dict()
    assert any('frozen' in key for key in state) == keep
    file = dict(
        light=state,
        with_frozen=state,
        of_a_run=dict(meta=dict(epoch=3), state_dict=state),
        published=to_published(state, 'act_autoencoder') if keep else None,
        stage_two={f'teacher.net.{key}': v for key, v in state.items()},
    )[form]
    torch.save(file, tmp_path / 'stage1.pth')
    model = act(teacher=teacher(tmp_path / 'stage1.pth')).train()
    mask, noise = given()
    out = model.distil(cloud(), mask, noise)
    with torch.no_grad():
        feats = net.encode(out.patches, hard=True, noise=noise).feats
    # another place in memory may mean another order of summation
    torch.testing.assert_close(out.target, split_by_mask(feats, mask)[1])
    model.init_weights()  # as the runner does
    assert torch.equal(model.distil(cloud(), mask, noise).target, out.target)


@pytest.mark.parametrize(
    'options', [dict(), dict(train_mode=True), dict(keep_weights=True)], ids=str
)
def test_a_resumed_run_ends_as_one_that_was_not_stopped(options, tmp_path):
    torch.save(trained_stage_one().state_dict(), tmp_path / 'stage1.pth')
    of_file = teacher(tmp_path / 'stage1.pth', **options)
    whole = runner(tmp_path / 'whole', act(teacher=of_file, **GLOBAL))
    whole.train()
    rest = runner(
        tmp_path / 'rest',
        act(teacher=of_file, **GLOBAL),
        load_from=str(tmp_path / 'whole' / 'epoch_1.pth'),
        resume=True,
    )
    rest.train()
    assert rest.iter == 4 and same_weights(rest.model, whole.model)
    saved = torch.load(tmp_path / 'rest' / 'epoch_2.pth', weights_only=True)
    held = any(key.startswith('teacher.') for key in saved['state_dict'])
    assert held == ('keep_weights' in options)


@pytest.mark.parametrize('build', [stage_one, act])
def test_a_nan_point_stops_the_run_and_is_named(build, tmp_path):
    model = build()
    run = runner(tmp_path / 'nan', model, Clouds(bad=6))
    with pytest.raises(NonFiniteLossError, match='loss.*nan.*c4, c5, c6, c7'):
        run.train()
    assert run.iter == 1
    assert all(torch.isfinite(p).all() for p in model.parameters())


@pytest.mark.parametrize('precision', ['fp32', 'bf16'])
def test_mixed_precision_gives_nearly_the_same_loss(precision):
    model = act(**GLOBAL).eval()
    model.teacher.net.transformer.precision = precision
    mask, noise = given()
    noise = 100 * noise  # so that rounding changes no code
    outs = []
    for low in (False, True):
        with torch.autocast('cpu', torch.bfloat16, enabled=low):
            out = model.distil(cloud(), mask, noise)
            outs.append(model.distill(out.pred, out.target))
        assert out.target.dtype == torch.float32
    torch.testing.assert_close(*outs, rtol=0.02, atol=0.0)


def test_standardised_targets_have_no_common_part():
    model = act(standardize=True).train()
    out = model.distil(cloud(8), noise=None)
    mean, spread = (f(dim=(0, 1)) for f in (out.target.mean, out.target.std))
    assert mean.abs().max() < 0.3 and abs(spread.mean() - 1) < 0.3
    plain = act().train().distil(cloud(8)).target
    cones = [F.normalize(t, dim=-1).mean((0, 1)).square().sum() for t in (out.target, plain)]
    assert cones[0] < cones[1]
