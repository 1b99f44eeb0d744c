"""ACT, stage II: student and teacher.

tests/parity compares predictions, targets, losses and gradients with the published ones.
"""

import copy

import pytest
import torch
import torch.nn.functional as F

from mmkd3d.checkpoints import to_published
from mmkd3d.engine.hooks.finite_loss import NonFiniteLossError
from mmkd3d.models.layers.transformer import split_by_mask
from mmkd3d.registry import MODELS
from tests.checkpoints.test_stages import autoencoder
from tests.helpers import given
from tests.models.pretrainers.test_act_autoencoder import Clouds, check_resumed, runner, stage_one
from tests.models.pretrainers.test_pretrainers import PARTS, STUDENT
from tests.models.steps import check_step, cloud, losses_of, odd_clouds
from tests.models.teachers.nets import bert, lent, mixer


def teacher(checkpoint=None, *, of=None, **kwargs) -> dict:
    return dict(
        type='mmkd3d.ACTTeacher',
        autoencoder=autoencoder() if of is None else of,
        checkpoint=None if checkpoint is None else str(checkpoint),
        random_weights=checkpoint is None,
        **kwargs,
    )


def act(**kwargs):
    torch.manual_seed(0)
    cfg = dict(PARTS, type='mmkd3d.ACT', backbone=dict(STUDENT, with_cls_token=True))
    cfg.update(loss=dict(type='mmkd3d.CosineLoss'), teacher=teacher())
    return MODELS.build(dict(cfg, **kwargs))


GLOBAL = dict(shallow_layer=0)
NO_MASK = dict(masker=dict(type='mmkd3d.RandomMasker', ratio=0), decoder=None)
LANGUAGE = dict(teacher=teacher(of=dict(autoencoder(), transformer=lent(bert))))
PLAIN = dict(
    teacher=teacher(of=dict(autoencoder(), transformer=None, decoder_dims=20)),
    loss=dict(type='mmkd3d.SmoothL1Loss'),
)
SETUPS = {'local': {}, 'global': GLOBAL, 'no mask': NO_MASK, 'language': LANGUAGE, 'plain': PLAIN}


@pytest.fixture(params=SETUPS)
def model(request):
    return act(**SETUPS[request.param])


def mask_and_noise(B=3):
    torch.manual_seed(7)
    mask = torch.zeros(B, 16, dtype=torch.bool)
    for row in mask:
        row[torch.randperm(16)[:9]] = True
    return mask, 5 * torch.rand(B, 16, 20)


def predictions(model, patches, mask):
    """Predictions of the local branch and, if present, of the global branch."""
    feats = model.forward_encoder(patches, mask)
    preds = [model.proj(model.forward_decoder(feats, patches, mask))]
    if model.shallow_layer is not None:
        preds.append(model.proj(model.forward_global(feats, patches, mask)))
    return preds


def test_every_parameter_is_trained_and_none_of_the_teacher(model):
    losses = check_step(model, cloud(), all_reached=True)
    assert ('loss_global' in losses) == (model.shallow_layer is not None)
    assert all(p.grad is None for p in model.teacher.net.parameters())
    assert not any(key.startswith('teacher') for key in model.state_dict())


def test_target_cone_is_the_mean_cosine_of_all_pairs_of_targets():
    model, (mask, noise) = act().eval(), mask_and_noise()
    target = model.forward_target(model.group(cloud()), mask, noise)
    with given(model, draw_mask=mask, forward_target=target):
        losses = losses_of(model, cloud())
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
    check_step(model, cloud())
    optimizer.step()
    moved = {key for key, value in net.state_dict().items() if not torch.equal(value, before[key])}
    statistics = {
        f'patch_embed.{mlp}.1.{name}'
        for mlp in ('first', 'second')
        for name in ('running_mean', 'running_var', 'num_batches_tracked')
    }
    assert moved == (statistics if train_mode else set())
    assert not any(m.training for m in model.eval().teacher.net.modules())


def test_masked_points_reach_the_target_and_not_the_prediction():
    model, (mask, noise) = act(**GLOBAL).eval(), mask_and_noise()
    patches = model.group(cloud())
    moved = patches._replace(points=patches.points + 3 * mask[:, :, None, None])
    for a, b in zip(*(predictions(model, p, mask) for p in (patches, moved))):
        torch.testing.assert_close(a, b)
    target = model.forward_target(patches, mask, noise)
    assert not torch.allclose(model.forward_target(moved, mask, noise), target)
    # the target is random unless the noise is given
    assert torch.equal(model.forward_target(patches, mask, noise), target)
    assert not torch.equal(model.forward_target(patches, mask), target)


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
    num = (9 if model.decoder is not None else 16) * 8
    assert len(drawn) == 3
    for out, xyz in zip(drawn, points[..., :3]):
        assert torch.equal(out['input'], xyz)
        assert out['masked'].shape == (num, 3) and out['cosine'].shape == (num,)
        assert out['cosine'].abs().max() <= 1 + 1e-5
        assert torch.cdist(out['masked'], xyz).amin(1).max() < 1e-2  # points of the cloud


def trained_stage_one(**kwargs):
    """Stage I model in which no weight, statistic or code has its initial value."""
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
    # a different memory layout may change the order of summation
    torch.testing.assert_close(target, split_by_mask(feats, mask)[1])
    model.init_weights()  # as the runner does
    assert torch.equal(model.forward_target(patches, mask, noise), target)


@pytest.mark.parametrize('options', [dict(train_mode=True), dict(keep_weights=True)], ids=str)
def test_a_resumed_run_ends_as_one_that_was_not_stopped(options, tmp_path):
    torch.save(trained_stage_one().state_dict(), tmp_path / 'stage1.pth')
    of_file = teacher(tmp_path / 'stage1.pth', **options)
    saved = check_resumed(tmp_path, *(act(teacher=of_file, **GLOBAL) for _ in range(2)))
    held = {key for key in saved if key.startswith('teacher.')}
    kept = {f'teacher.net.{key}' for key in stage_one().state_dict()}
    assert held == (kept if 'keep_weights' in options else set())


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


@pytest.mark.parametrize('name', ['one', 'origin', 'line', 'no_more_than_a_patch'])
def test_odd_clouds_give_finite_losses_and_gradients(name):
    model, points = act(**GLOBAL), odd_clouds()[name]
    check_step(model, points)
    drawn = model.eval()(dict(points=points), mode='predict')
    assert all(torch.isfinite(out['cosine']).all() for out in drawn)


def test_equal_widths_need_no_projection():
    model = act(projection=False, teacher=teacher(of=dict(autoencoder(), decoder_dims=24)))
    assert not [key for key in model.state_dict() if key.startswith('proj')]
    check_step(model, cloud())


MIXED = dict(autoencoder(), transformer=lent(mixer) | dict(num_prompts=10))


@pytest.mark.parametrize(
    'options, text',
    [
        (dict(projection=False), 'width 24, the target 12: set projection=True'),
        (dict(shallow_layer=2), r'in \[0, 2\), got 2'),
        (dict(GLOBAL, backbone=STUDENT), 'with_cls_token=True'),
        (dict(decoder=None), 'need a decoder'),
        (dict(teacher=teacher('no/where.pth')), 'no/where.pth.*Train an act-autoencoder'),
        (
            dict(teacher=dict(teacher(), random_weights=False)),
            'needs the checkpoint of a stage I run',
        ),
        (dict(backbone=dict(STUDENT, num_groups=3)), 'at least 4 patches, got 3'),
        (dict(teacher=teacher(of=MIXED)), 'got 10 prompts and 16 patches: set num_prompts=180'),
        (dict(teacher=lent(bert)['teacher']), 'cannot read patches|cannot'),
    ],
)
def test_parts_that_do_not_fit_are_an_error(options, text):
    with pytest.raises((ValueError, FileNotFoundError, NotImplementedError), match=text):
        losses_of(act(**options), cloud())


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
