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
from tests.helpers import given
from tests.models.pretrainers.test_act_autoencoder import (
    Clouds,
    cloud,
    lent,
    odd_clouds,
    runner,
    stage_one,
    total,
)
from tests.models.pretrainers.test_pretrainers import PARTS, STUDENT
from tests.models.teachers.test_token_transformer import bert, mixer


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


def mask_and_noise(B=3):
    torch.manual_seed(7)
    mask = torch.zeros(B, 16, dtype=torch.bool)
    for row in mask:
        row[torch.randperm(16)[:9]] = True
    return mask, 5 * torch.rand(B, 16, 20)


def predictions(model, patches, mask):
    """Of the local and, where there is one, of the global branch."""
    feats = model.forward_encoder(patches, mask)
    preds = [model.proj(model.forward_decoder(feats, patches, mask))]
    if model.shallow_layer is not None:
        preds.append(model.proj(model.forward_global(feats, patches, mask)))
    return preds


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


def test_losses_are_loops_over_clouds_and_patches():
    model, (mask, noise) = act(**GLOBAL).eval(), mask_and_noise()
    patches = model.group(cloud())
    target = model.forward_target(patches, mask, noise)
    with given(model, draw_mask=mask, forward_target=target):
        losses = model(dict(points=cloud()), mode='loss')
    names = ('loss_distill', 'loss_global')
    for name, pred in zip(names, predictions(model, patches, mask)):
        of_clouds = []
        for a, b in zip(pred, target):
            cosines = [x @ y / x.norm() / y.norm() for x, y in zip(a, b)]
            of_clouds.append(1 - sum(cosines) / len(cosines))
        torch.testing.assert_close(losses[name], sum(of_clouds) / 3)
    units = [t / t.norm() for t in target.flatten(0, 1)]
    mean = sum(a @ b for a in units for b in units) / len(units) ** 2
    torch.testing.assert_close(losses['target_cone'], mean)


@pytest.mark.parametrize('train_mode', [False, True])
def test_no_weight_of_the_teacher_changes_and_statistics_only_in_train_mode(train_mode):
    model = act(teacher=teacher(train_mode=train_mode)).train()
    net = model.teacher.net
    before = copy.deepcopy(net.state_dict())
    assert net.patch_embed.first[1].training == train_mode
    assert not any(m.training for m in net.transformer.frozen.net.modules())
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    step(model, cloud())
    optimizer.step()
    moved = {key for key, value in net.state_dict().items() if not torch.equal(value, before[key])}
    statistics = {
        f'patch_embed.{mlp}.1.{name}'
        for mlp in ('first', 'second')
        for name in ('running_mean', 'running_var', 'num_batches_tracked')
    }
    assert moved == (statistics if train_mode else set())
    assert not any(m.training for m in model.eval().teacher.net.modules())


@pytest.mark.parametrize('kwargs', [{}, GLOBAL])
def test_the_student_holds_no_teacher(kwargs):
    model = act(**kwargs)
    names = {'backbone', 'decoder', 'proj', *(['cls_pos'] if kwargs else [])}
    assert {key.split('.')[0] for key in model.state_dict()} == names
    kept = act(teacher=teacher(keep_weights=True)).state_dict()
    assert {key for key in kept if key.startswith('teacher.')} == {
        f'teacher.net.{key}' for key in stage_one().state_dict()
    }


def test_targets_are_the_features_of_the_masked_patches():
    model, (mask, noise) = act().eval(), mask_and_noise()
    patches = model.group(cloud())
    target = model.forward_target(patches, mask, noise)
    feats = model.teacher.net.forward_encoder(patches, hard=True, noise=noise)['feats']
    torch.testing.assert_close(target, split_by_mask(feats, mask)[1], rtol=1e-4, atol=1e-5)
    assert torch.equal(model.forward_target(patches, mask, noise), target)
    assert not torch.equal(model.forward_target(patches, mask), target)


def test_the_global_branch_reads_a_late_class_token_and_shallow_patches():
    model, (mask, _) = act(**GLOBAL).eval(), mask_and_noise()
    patches, student = model.group(cloud()), model.backbone
    centers = patches.centers
    tokens, _ = split_by_mask(student.patch_embed(patches.points), mask)
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
    torch.testing.assert_close(predictions(model, patches, mask)[1], model.proj(masked))


def test_masked_points_do_not_reach_the_prediction():
    model, (mask, noise) = act(**GLOBAL).eval(), mask_and_noise()
    patches = model.group(cloud())
    moved = patches._replace(points=patches.points + 3 * mask[:, :, None, None])
    for a, b in zip(*(predictions(model, p, mask) for p in (patches, moved))):
        torch.testing.assert_close(a, b)
    targets = [model.forward_target(p, mask, noise) for p in (patches, moved)]
    assert not torch.allclose(*targets)


def test_without_a_mask_every_patch_is_predicted():
    model = act(**NO_MASK).eval()
    patches, noise = model.group(cloud()), torch.zeros(3, 16, 20)
    mask = model.draw_mask(cloud(), patches)
    assert model.decoder is None and not mask.any()
    (pred,) = predictions(model, patches, mask)
    torch.testing.assert_close(pred, model.proj(model.backbone.encode(patches)['tokens']))
    target = model.forward_target(patches, mask, noise)
    assert torch.equal(target, model.teacher.forward_patches(patches, noise))
    assert not target.requires_grad


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
    mask, noise = mask_and_noise()
    patches = model.group(cloud())
    target = model.forward_target(patches, mask, noise)
    with torch.no_grad():
        feats = net.forward_encoder(patches, hard=True, noise=noise)['feats']
    # another place in memory may mean another order of summation
    torch.testing.assert_close(target, split_by_mask(feats, mask)[1])
    model.init_weights()  # as the runner does
    assert torch.equal(model.forward_target(patches, mask, noise), target)


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
    model, (mask, noise) = act(**GLOBAL).eval(), mask_and_noise()
    model.teacher.net.transformer.precision = precision
    losses = []
    for low in (False, True):
        with torch.autocast('cpu', torch.bfloat16, enabled=low):
            # strong noise, so that rounding changes no code
            target = model.forward_target(model.group(cloud()), mask, 100 * noise)
            assert target.dtype == torch.float32
            with given(model, draw_mask=mask, forward_target=target):
                losses.append(model.loss(cloud(), None)['loss_distill'])
    torch.testing.assert_close(*losses, rtol=0.02, atol=0.0)


def test_standardised_targets_have_no_common_part():
    targets = []
    for model in (act(standardize=True).train(), act().train()):
        patches = model.group(cloud(8))
        targets.append(model.forward_target(patches, model.draw_mask(cloud(8), patches)))
    mean, spread = (f(dim=(0, 1)) for f in (targets[0].mean, targets[0].std))
    assert mean.abs().max() < 0.3 and abs(spread.mean() - 1) < 0.3
    cones = [F.normalize(t, dim=-1).mean((0, 1)).square().sum() for t in targets]
    assert cones[0] < cones[1]


@pytest.mark.parametrize('name', odd_clouds())
def test_odd_clouds_give_finite_losses_and_gradients(name):
    model, points = act(**GLOBAL), odd_clouds()[name]
    losses = step(model, points)
    assert torch.isfinite(total(losses))
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())
    drawn = model.eval()(dict(points=points), mode='predict')
    assert all(torch.isfinite(out['cosine']).all() for out in drawn)


@pytest.mark.parametrize(
    'options, error, text',
    [
        (dict(projection=False), ValueError, 'width 24, the target 12: set projection=True'),
        (dict(shallow_layer=2), ValueError, r'in \[0, 2\), got 2'),
        (dict(GLOBAL, backbone=STUDENT), ValueError, 'with_cls_token=True'),
        (dict(decoder=None), ValueError, 'need a decoder'),
        (dict(teacher=teacher('no/where.pth')), FileNotFoundError, 'no/where.pth'),
        (
            dict(teacher=dict(teacher(), random_weights=False)),
            ValueError,
            'needs the checkpoint of a stage I run',
        ),
    ],
)
def test_a_wrong_config_is_an_error(options, error, text):
    with pytest.raises(error, match=text):
        act(**options)


def test_equal_widths_need_no_projection():
    of = dict(autoencoder(), decoder_dims=24)
    model = act(projection=False, teacher=teacher(of=of))
    assert not [key for key in model.state_dict() if key.startswith('proj')]
    assert torch.isfinite(total(step(model, cloud())))


@pytest.mark.parametrize(
    'options, error, text',
    [
        (dict(backbone=dict(STUDENT, num_groups=3)), ValueError, 'at least 4 patches, got 3'),
        (
            dict(
                teacher=teacher(
                    of=dict(autoencoder(), transformer=lent(mixer) | dict(num_prompts=10))
                )
            ),
            ValueError,
            'got 10 prompts and 16 patches: set num_prompts=180',
        ),
        (dict(teacher=lent(bert)['teacher']), NotImplementedError, 'can not read patches|cannot'),
    ],
)
def test_a_teacher_that_does_not_fit_is_an_error(options, error, text):
    model = act(**options)
    with pytest.raises(error, match=text):
        model(dict(points=cloud()), mode='loss')


@pytest.mark.parametrize(
    'make, text',
    [
        (lambda: act().state_dict(), 'pretraining .stage II. file.*stage I file'),
        (
            lambda: trained_stage_one(num_codes=24).state_dict(),
            r'quantizer.codebook: file \(24, 12\), module \(20, 12\)',
        ),
        (lambda: stage_one(transformer=None).state_dict(), 'missing: transformer.deep_prompt_pos'),
        (
            lambda: dict(stage_one().state_dict(), **{'transformer.fingerprint': torch.tensor(1)}),
            'another frozen transformer',
        ),
    ],
)
def test_a_file_that_is_not_this_teacher_is_an_error(make, text, tmp_path):
    torch.save(make(), tmp_path / 'file.pth')
    with pytest.raises(ValueError, match=f'(?s){text}'):
        act(teacher=teacher(tmp_path / 'file.pth'))
