"""ACT's two stages against the published models."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper

from mmkd3d.checkpoints import load_pretrained, to_published
from mmkd3d.checkpoints.sources import our_name, published_name
from mmkd3d.models.layers.quantizer import uniform_kl
from mmkd3d.models.maskers.base import BlockMasker
from mmkd3d.ops import chamfer_distance
from mmkd3d.registry import MODELS
from tests.helpers import REPO, given, gradient_atol, load_case, parity_cases, reference_state, thin

KINDS = ('soft', 'hard', 'noisy', 'noisyhard')
FLAT = ('loss', 'gradient', 'noise', 'cls_feature', 'teacher_bn')


def autoencoder(config: dict) -> dict:
    """Our config for a published stage I config."""
    cfg = dict(
        type='mmkd3d.ACTAutoencoder',
        num_groups=config['num_group'],
        group_size=config['group_size'],
        encoder_dims=config['encoder_dims'],
        token_dims=config['tokens_dims'],
        decoder_dims=config['decoder_dims'],
        num_codes=config['num_tokens'],
    )
    if config.get('visual_embed_type', 'none') != 'none':
        cfg['transformer'] = dict(
            num_prompts=config['num_prompt_token'],
            deep_prompts=config['use_deep_prompt'],
            keep_teacher=True,
            precision='fp32',
            teacher=dict(
                type='mmkd3d.TimmTeacher',
                model_name=config['visual_embed_type'],
                random_weights=True,
            ),
        )
    return cfg


def student(config: dict) -> dict:
    """Our config for a published stage II config."""
    c, dvae = config['transformer_config'], config['dvae_config']
    return dict(
        type='mmkd3d.ACT',
        backbone=dict(
            type='mmkd3d.PointTransformer',
            embed_dims=c['embed_dim'],
            depth=c['depth'],
            num_heads=c['num_heads'],
            num_groups=dvae['num_group'],
            group_size=dvae['group_size'],
            drop_path_rate=c['drop_path_rate'],
        ),
        decoder=dict(
            type='mmkd3d.MaskedDecoder',
            embed_dims=c['embed_dim'],
            depth=c['decoder_depth'],
            num_heads=c['decoder_num_heads'],
            drop_path_rate=c['drop_path_rate'],
        ),
        masker=dict(type='mmkd3d.RandomMasker', ratio=c['mask_ratio']),
        loss=dict(type='mmkd3d.CosineLoss'),
        teacher=dict(
            type='mmkd3d.ACTTeacher',
            autoencoder=autoencoder(dvae),
            train_mode=True,
            random_weights=True,
            keep_weights=True,
        ),
        shallow_layer=c['register_shallow_hook'] if c['cls_loss'] else None,
        untrained_heads=True,
    )


def gumbel(manifest: dict, shape: tuple) -> torch.Tensor:
    uniform = np.random.default_rng(manifest.get('noise_seed', 0)).random(shape)
    uniform = uniform.clip(1e-12, 1 - 1e-12)
    return torch.from_numpy(-np.log(-np.log(uniform))).float()


def check(got: dict, arrays: dict, tolerance: dict) -> None:
    """Compare the arrays of a case within their tolerances, thinned like the stored ones."""
    for name in got.keys() & arrays.keys():
        expected = arrays[name]
        value = np.asarray(got[name].detach())
        if value.ndim > 1 and not name.startswith(FLAT):
            value = thin(value, expected.shape[1])
        value = value.reshape(expected.shape) if value.ndim == 0 else value
        assert value.shape == expected.shape, name
        if value.dtype == bool or np.issubdtype(value.dtype, np.integer):
            assert (value == expected).all(), name
            continue
        difference = np.abs(value - expected).max()
        assert tolerance[name] is None or difference <= tolerance[name], (name, difference)


def tolerances(manifest: dict, names) -> dict:
    """Tolerance of each array: the manifest's entry for the longest part of its name."""
    known = dict(
        manifest['tolerance'],
        center=1e-7,
        neighborhood=1e-6,
        noise_head=1e-5,
        logits_max=manifest['tolerance'].get('logits'),
        logits_logsumexp=manifest['tolerance'].get('logits'),
    )
    found = {}
    for name in names:
        parts = [k for k in known if k in name]
        found[name] = known[max(parts, key=len)] if parts else None
    return found


@pytest.fixture(scope='module', params=parity_cases('act/dvae*'), ids=lambda p: p.name)
def stage_one(request):
    manifest, arrays = load_case(request.param)
    published = reference_state(manifest)
    model = MODELS.build(autoencoder(manifest['config'])).eval()
    load_pretrained(model, published, prefix='')
    return manifest, arrays, published, model


def test_autoencoder_has_the_published_weights(stage_one):
    manifest, _, published, model = stage_one
    if 'parameters' in manifest:
        trainable = sum(p.numel() for p in model.parameters())
        assert trainable == manifest['parameters']['trainable']
    source = 'act_autoencoder' if model.transformer is not None else 'act_autoencoder_plain'
    back = to_published(model.state_dict(), source)
    assert set(back) == set(published)
    assert all(torch.equal(back[k], published[k]) for k in published)


@pytest.mark.parametrize('kind', KINDS)
@torch.no_grad()
def test_autoencoder_gives_the_published_numbers(stage_one, kind):
    manifest, arrays, _, model = stage_one
    points = torch.from_numpy(arrays['points'])
    patches = model.group(points)
    shape = (*patches.centers.shape[:2], len(model.quantizer.codebook))
    noise = gumbel(manifest, shape)
    noise_head = noise[0, 0, :8]
    model.quantizer.temperature = 0.5 if kind == 'noisy' else 1.0
    if not kind.startswith('noisy'):
        noise = torch.zeros(shape)
    hard = kind.endswith('hard')
    encoded = model.forward_encoder(patches, hard=hard, noise=noise)
    folded = model.forward_decoder(encoded)
    centers = patches.centers[:, :, None]
    whole = {n: (x + centers).flatten(1, 2) for n, x in zip(('coarse', 'fine'), folded)}
    logits = encoded['logits']
    with given(model, group=patches, forward_encoder=encoded):
        losses = model.loss(points, None)
    got = dict(
        center=patches.centers,
        neighborhood=patches.points,
        noise_head=noise_head,
        patch_features=model.patch_embed(patches.points),
        logits=logits[..., :: shape[2] // arrays['logits'].shape[2]],
        logits_max=logits.amax(-1),
        logits_argmax=logits.argmax(-1),
        logits_logsumexp=logits.logsumexp(-1),
    )
    of_kind = dict(
        teacher_tokens=encoded['tokens'],
        features=encoded['feats'],
        coarse=whole['coarse'],
        fine=whole['fine'],
        loss_recon=losses['loss_recon'],
        loss_kl=uniform_kl(logits),
    )
    if model.transformer is not None:
        of_kind.update(
            codebook_mix=encoded['codes'],
            transformer_out=model.transformer.read(
                model.transformer.proj_pre(encoded['codes']), patches.centers
            ),
        )
    if kind == 'hard':
        for norm in ('l1', 'l2'):
            of_kind[f'cd{norm}'] = chamfer_distance(whole['fine'], points, norm=norm)
            of_kind[f'cd{norm}_coarse'] = chamfer_distance(whole['coarse'], points, norm=norm)
    got.update({f'{kind}_{name}': v for name, v in of_kind.items()})
    expected = {n for n in arrays if n.startswith(f'{kind}_')}
    if not expected:
        pytest.skip('the case has no such numbers')
    others = tuple(f'{other}_' for other in KINDS if other != kind)
    assert {n for n in arrays if not n.startswith(others)} - {'points'} <= set(got)
    tolerance = tolerances(manifest, got)
    for name in got:
        if name.endswith('codebook_mix'):
            tolerance[name] = manifest['tolerance'].get('codebook_mix')
        if '_cdl' in name:
            tolerance[name] = manifest['tolerance'].get('cdl')
    check(got, arrays, tolerance)
    drawn = model.predict(points, None, noise=noise)
    if hard:
        assert torch.equal(torch.stack([d['pred'] for d in drawn]), whole['fine'])


@pytest.fixture(scope='module', params=parity_cases('act/pretrain*'), ids=lambda p: p.name)
def stage_two(request):
    manifest, arrays = load_case(request.param)
    published = reference_state(manifest)
    model = MODELS.build(student(manifest['config'])).eval()
    load_pretrained(model, published, prefix='')
    return manifest, arrays, published, model


def test_student_and_teacher_have_the_published_weights(stage_two):
    manifest, _, published, model = stage_two
    if 'parameters' in manifest:
        trainable = sum(p.numel() for p in model.parameters())
        assert trainable == manifest['parameters']['trainable']
    back = to_published(model.state_dict(), 'act')
    assert set(back) == set(published)
    assert all(torch.equal(back[k], published[k]) for k in published)


def test_a_student_without_its_teacher_is_a_small_file(stage_two):
    model = stage_two[3]
    model.teacher.keep_weights = False
    assert not [k for k in model.state_dict() if k.startswith('teacher.')]
    model.teacher.keep_weights = True


def step(model, points, mask, noise) -> dict:
    """Predictions, targets and the loss for a given mask and noise."""
    patches = model.group(points)
    target = model.forward_target(patches, mask, noise)
    feats = model.forward_encoder(patches, mask)
    preds = [model.proj(model.forward_decoder(feats, patches, mask))]
    if model.shallow_layer is not None:
        preds.append(model.proj(model.forward_global(feats, patches, mask)))
    with given(model, draw_mask=mask, forward_target=target):
        losses = model.loss(points, None)
    loss = sum(value for name, value in losses.items() if name.startswith('loss_'))
    return dict(preds=preds, target=target, loss=loss)


@torch.no_grad()
def test_student_gives_the_published_numbers(stage_two):
    manifest, arrays, _, model = stage_two
    points, mask = (torch.from_numpy(arrays[n]) for n in ('points', 'mask'))
    backbone, teacher = model.backbone, model.teacher
    patches = backbone.group(points)
    shape = (*mask.shape, len(teacher.net.quantizer.codebook))
    zero, noise = torch.zeros(shape), gumbel(manifest, shape)
    out, noisy = step(model, points, mask, zero), step(model, points, mask, noise)
    pred, expected = out['preds'][0], out['target']
    visible = backbone.encode(patches, mask)
    whole = backbone.encode(patches)
    target = teacher.forward_patches(patches, zero)
    encoded = teacher.net.forward_encoder(patches, hard=True, noise=zero)
    seed = torch.full((len(points),), 17)
    block = BlockMasker(manifest['config']['transformer_config']['mask_ratio'])
    block.order = lambda centers, *_: block.distances(centers, seed)

    got = dict(
        center=patches.centers,
        neighborhood=patches.points,
        block_mask=block(patches.centers),
        tokens=backbone.patch_embed(patches.points),
        encoder_out=torch.cat([visible['cls_token'][:, None], visible['tokens']], 1),
        student=pred,
        teacher=target,
        teacher_noisy=teacher.forward_patches(patches, noise),
        teacher_argmax=encoded['logits'].argmax(-1),
        noise_head=noise[0, 0, :8],
        cosine=torch.cosine_similarity(pred, expected, dim=-1),
        loss=out['loss'],
        loss_noisy=noisy['loss'],
        loss_l2=MODELS.build(dict(type='mmkd3d.L2Loss'))(pred, expected),
        loss_smoothl1=MODELS.build(dict(type='mmkd3d.SmoothL1Loss'))(pred, expected),
        cls_feature=model.cls_head(whole['cls_token']),
    )
    inputs = []
    hook = model.decoder.blocks.register_forward_pre_hook(lambda _, args: inputs.append(args))
    step(model, points, mask, zero)
    hook.remove()
    got['decoder_in'], got['decoder_pos'] = inputs[0]
    if model.shallow_layer is not None:
        got['student_global'] = out['preds'][1]
        got['decoder_in_global'], got['decoder_pos_global'] = inputs[1]
    tolerance = tolerances(manifest, got)
    check(got, arrays, tolerance)
    rest = set(arrays) - set(got) - {'points', 'mask'}
    assert rest <= {'teacher_train_mode', 'teacher_bn_mean', 'gradient_norms', 'gradient_total'}


@torch.no_grad()
def test_teacher_in_train_mode_gives_the_published_numbers(stage_two):
    manifest, arrays, published, model = stage_two
    teacher = model.teacher
    patches = model.backbone.group(torch.from_numpy(arrays['points']))
    zero = torch.zeros(*patches.centers.shape[:2], len(teacher.net.quantizer.codebook))
    teacher.net.transformer.prompt_dropout = 0.0
    teacher.train()
    got = dict(teacher_train_mode=teacher.forward_patches(patches, zero))
    got['teacher_bn_mean'] = teacher.net.patch_embed.first[1].running_mean
    check(got, arrays, tolerances(manifest, got))
    teacher.eval()
    load_pretrained(model, published, prefix='')


def test_gradients_are_the_published_ones(stage_two):
    manifest, arrays, _, model = stage_two
    model.zero_grad()
    points, mask = (torch.from_numpy(arrays[n]) for n in ('points', 'mask'))
    zero = torch.zeros(*mask.shape, len(model.teacher.net.quantizer.codebook))
    step(model, points, mask, zero)['loss'].backward()
    gradients = {published_name(n, 'act'): p.grad for n, p in model.named_parameters()}
    idle = {n for n, g in gradients.items() if g is None}
    assert idle == set(manifest.get('trainable_without_gradient', idle))
    relative = manifest['tolerance'].get('gradient_norms_relative')
    if relative is None or 'gradient_names' not in manifest:
        pytest.skip('the case has no gradients')
    norms = [float(gradients[n].norm()) for n in manifest['gradient_names']]
    expected = arrays['gradient_norms']
    np.testing.assert_allclose(norms, expected, rtol=relative, atol=gradient_atol(expected))
    whole = torch.stack([g.norm() for g in gradients.values() if g is not None]).norm()
    np.testing.assert_allclose(float(whole), arrays['gradient_total'], rtol=relative)


def test_weight_decay_groups_are_the_published_ones(stage_two):
    manifest, _, _, model = stage_two
    if 'weight_decay_groups' not in manifest:
        pytest.skip('the case has no groups of weight decay')
    schedule = Config.fromfile(REPO / 'configs/_base_/schedules/pretrain_300e.py')
    wrapper = build_optim_wrapper(model, schedule.optim_wrapper)
    names = {id(p): published_name(n, 'act') for n, p in model.named_parameters()}
    decayed = {True: set(), False: set()}
    for group in wrapper.param_groups:
        for parameter in group['params']:
            if id(parameter) not in names:
                continue  # mmengine's own parameter, which holds the base settings
            decayed[group['weight_decay'] > 0].add(names[id(parameter)])
    assert decayed[True] == set(manifest['weight_decay_groups']['decay'])
    assert decayed[False] == set(manifest['weight_decay_groups']['no_decay'])
    assert our_name('mask_token', 'act') == 'decoder.mask_token'
