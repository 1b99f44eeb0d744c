"""ACT's first stage: what trains, what comes out, what it refuses."""

import copy

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch.utils.data import Dataset

from mmkd3d.models.layers.quantizer import perplexity, uniform_kl
from mmkd3d.registry import MODELS
from tests.checkpoints.test_stages import autoencoder, same_weights
from tests.helpers import REPO, given
from tests.models.teachers.test_prompted_transformer import Lender
from tests.models.teachers.test_token_transformer import beit, bert, clip, mixer


def lent(build) -> dict:
    """A small transformer of some family, between four prompts."""
    num_prompts = 196 - 16 if build is mixer else 4
    return dict(num_prompts=num_prompts, teacher=dict(type=Lender, build=build))


def stage_one(**kwargs):
    torch.manual_seed(0)
    return MODELS.build(dict(autoencoder(), **kwargs))


@pytest.fixture(params=['prompted', 'plain', 'language'])
def model(request):
    options = dict(prompted={}, plain=dict(transformer=None), language=dict(transformer=lent(bert)))
    return stage_one(kl_weight=0.1, **options[request.param])


def cloud(B=3, N=96, channels=3):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(B, N, channels, generator=generator)


def total(losses):
    return sum(v for k, v in losses.items() if k.startswith('loss_'))


def test_every_parameter_gets_a_gradient(model):
    losses = model(dict(points=cloud()), mode='loss')
    total(losses).backward()
    idle = [
        name for name, p in model.named_parameters() if p.grad is None or p.grad.abs().sum() == 0
    ]
    assert not idle


@pytest.mark.parametrize('build', [beit, clip, mixer], ids=lambda build: build.__name__)
def test_all_families_train(build):
    model = stage_one(transformer=lent(build))
    loss = total(model(dict(points=cloud()), mode='loss'))
    loss.backward()
    assert torch.isfinite(loss)
    assert model.quantizer.codebook.grad.abs().sum() > 0


def test_a_few_steps_lower_the_loss_and_move_no_frozen_weight(model):
    frozen = getattr(model.transformer, 'frozen', None)
    before = copy.deepcopy(frozen and frozen.net.state_dict())
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    points, history = cloud(), []
    for step in range(30):
        torch.manual_seed(step)
        losses = model(dict(points=points), mode='loss')
        optimizer.zero_grad()
        total(losses).backward()
        optimizer.step()
        history.append(losses['loss_recon'].item())
    assert sum(history[-5:]) < 0.9 * sum(history[:5])
    if frozen:
        for key, value in frozen.net.state_dict().items():
            assert torch.equal(value, before[key])


def test_losses_are_those_of_their_parts():
    model = stage_one(kl_weight=0.3, transformer=None).eval()
    model.quantizer.temperature = 0.4
    points = cloud()
    torch.manual_seed(5)
    losses = model(dict(points=points), mode='loss')
    patches = model.group(points)
    torch.manual_seed(5)
    encoded = model.forward_encoder(patches)
    recon = 0
    for pred in model.forward_decoder(encoded):  # coarse and fine
        gaps = torch.cdist(pred, patches.points)  # (B, G, K', K)
        recon = recon + (gaps.amin(3).mean() + gaps.amin(2).mean()) / 2
    torch.testing.assert_close(losses['loss_recon'], recon)
    torch.testing.assert_close(losses['loss_kl'], 0.3 * uniform_kl(encoded['logits']))
    codes = encoded['logits'].argmax(-1).flatten()
    assert losses['code_perplexity'] == perplexity(codes.bincount())
    assert losses['temperature'] == pytest.approx(0.4)
    assert torch.equal(model.quantizer.usage, codes.bincount(minlength=20))
    model.kl_weight = 0.0
    assert model(dict(points=points), mode='loss')['loss_kl'] == 0


def test_a_perfect_reconstruction_costs_nothing():
    model = stage_one()
    points = model.group(cloud()).points.flip(2)
    with given(model, forward_decoder=(points, points)):
        assert model.loss(cloud(), None)['loss_recon'] == 0


def test_hard_codes_are_rows_of_the_codebook_and_tokens_are_not(model):
    model.eval()
    patches = model.group(cloud())
    zero = torch.zeros(3, 16, 20)
    with torch.no_grad():
        encoded = model.forward_encoder(patches, hard=True, noise=zero)
    assert encoded['logits'].shape == (3, 16, 20)
    assert encoded['feats'].shape == (3, 16, model.embed_dims)
    codes = model.quantizer.codebook[encoded['logits'].argmax(-1)]
    assert torch.equal(encoded['codes'], codes)
    same = torch.equal(encoded['tokens'], encoded['codes'])
    assert same == (model.transformer is None)


def test_reconstructions_are_whole_clouds(model):
    model.eval()
    points = cloud(channels=6)
    zero = torch.zeros(3, 16, 20)
    drawn = model.predict(points, None, noise=zero)
    assert len(drawn) == 3
    for out, xyz in zip(drawn, points[..., :3]):
        assert torch.equal(out['input'], xyz)
        assert out['coarse'].shape == (16 * 8 // 4, 3)
        assert out['pred'].shape == (16 * 8, 3)
    again = model.predict(points, None, noise=zero)
    assert torch.equal(again[0]['pred'], drawn[0]['pred'])
    patches = model.group(points[..., :3].contiguous())
    _, fine = model.forward_decoder(model.forward_encoder(patches, hard=True, noise=zero))
    whole = fine + patches.centers[:, :, None]
    torch.testing.assert_close(drawn[1]['pred'], whole[1].flatten(0, 1))
    assert len(model(dict(points=points), mode='predict')) == 3


def test_features_for_probes_are_not_random(model):
    model.eval()
    points = cloud()
    feats = model.extract_feat(points, 'token')
    assert feats.shape == (3, 16, 12)
    assert torch.equal(feats, model.extract_feat(points, 'token'))
    both = torch.cat([feats.mean(1), feats.amax(1)], dim=1)
    assert torch.equal(model(dict(points=points)), both)
    with pytest.raises(ValueError, match="'global' or 'token', got 'point'"):
        model.extract_feat(points, 'point')


def test_initial_values_survive_the_initialisation_by_the_runner():
    model = stage_one(logit_gain=8.0, code_std=30.0)
    before = copy.deepcopy(model.state_dict())
    model.init_weights()
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert (model.graph_encoder.norm.weight == 8).all()
    assert (model.graph_decoder.norm.weight == 1).all()
    assert 25 < model.quantizer.codebook.std() < 35


class Clouds(Dataset):
    """Clouds from a seed; the one called ``bad`` has a NaN."""

    def __init__(self, bad=None):
        self.clouds = cloud(8)
        if bad is not None:
            self.clouds[bad, 40] = float('nan')

    def __len__(self):
        return 8

    def __getitem__(self, i):
        return dict(
            inputs=dict(points=self.clouds[i]),
            data_samples=BaseDataElement(metainfo=dict(sample_id=f'c{i}')),
        )


def runner(work_dir, model, data=None, hooks=(), **kwargs):
    base = Config.fromfile(REPO / 'configs/_base_/default_runtime.py')
    return Runner(
        model=model,
        work_dir=str(work_dir),
        train_dataloader=dict(
            batch_size=4,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=data or Clouds(),
        ),
        train_cfg=dict(by_epoch=True, max_epochs=2),
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=1e-2)),
        default_hooks=base.default_hooks,
        custom_hooks=base.custom_hooks + list(hooks),
        default_scope='mmkd3d',
        log_level='ERROR',
        randomness=dict(seed=3),
        experiment_name=f'{work_dir.parent.name}_{work_dir.name}',
        **kwargs,
    )


def test_a_resumed_run_ends_as_one_that_was_not_stopped(model, tmp_path):
    hooks = [
        dict(type='mmkd3d.AnnealHook', target=target, start=1.0, end=0.1, length=3)
        for target in ('quantizer.temperature', 'kl_weight')
    ] + [dict(type='mmkd3d.CodebookUsageHook')]
    start = copy.deepcopy(model)
    whole = runner(tmp_path / 'whole', model, hooks=hooks)
    whole.train()
    rest = runner(
        tmp_path / 'rest',
        start,
        hooks=hooks,
        load_from=str(tmp_path / 'whole' / 'epoch_1.pth'),
        resume=True,
    )
    rest.train()
    assert rest.iter == 4 and same_weights(start, model)
    assert start.quantizer.temperature == pytest.approx(0.1)
    saved = torch.load(tmp_path / 'rest' / 'epoch_2.pth', weights_only=True)
    assert not any('frozen' in key for key in saved['state_dict'])


@pytest.mark.parametrize('precision', ['fp32', 'bf16'])
def test_mixed_precision_trains_to_nearly_the_same_loss(precision):
    model = stage_one(kl_weight=0.1)
    model.transformer.precision = precision
    model.transformer.prompt_dropout = 0.0
    values = []
    for low in (False, True):
        torch.manual_seed(2)
        with torch.autocast('cpu', torch.bfloat16, enabled=low):
            values.append(total(model(dict(points=cloud()), mode='loss')))
    torch.testing.assert_close(*values, rtol=0.02, atol=0.0)
    values[1].backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def odd_clouds():
    duplicated = cloud(2)[:, :5].repeat(1, 20, 1)
    few_and_far = cloud(2) * torch.tensor([0.0, 0.0, 1e4])
    return dict(
        one=cloud(1),
        no_more_than_a_patch=cloud(2, N=16),
        duplicated=duplicated,
        origin=torch.zeros(2, 96, 3),
        line=few_and_far,
        tiny=cloud(2) * 1e-12,
    )


@pytest.mark.parametrize('name', odd_clouds())
def test_odd_clouds_give_finite_losses_and_gradients(name):
    model, points = stage_one(kl_weight=0.1), odd_clouds()[name]
    loss = total(model(dict(points=points), mode='loss'))
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())
    drawn = model.eval()(dict(points=points), mode='predict')
    assert all(torch.isfinite(out['pred']).all() for out in drawn)


def test_nan_points_make_a_nan_loss_and_no_crash():
    points = cloud()
    points[1, 40] = float('nan')
    losses = stage_one(kl_weight=0.1)(dict(points=points), mode='loss')
    assert torch.isnan(total(losses))


@pytest.mark.parametrize(
    'options, points, text',
    [
        (dict(), cloud(2, N=7), 'at least group_size=8 points, got 7'),
        (dict(num_groups=3), cloud(2), 'at least 4 patches, got 3'),
        (
            dict(transformer=lent(mixer) | dict(num_prompts=10)),
            cloud(2),
            '196 tokens, got 10 prompts and 16 patches: set num_prompts=180',
        ),
    ],
)
def test_what_does_not_fit_is_an_error(options, points, text):
    model = stage_one(**options)
    with pytest.raises(ValueError, match=text):
        model(dict(points=points), mode='loss')


@pytest.mark.parametrize(
    'options, error, text',
    [
        (dict(group_size=10), ValueError, 'multiple of 4, got 10'),
        (dict(edge_dims=(8, 10, 8)), ValueError, 'multiples of 4, .* got 10'),
        (dict(loss=dict(type='mmkd3d.Chamfr')), KeyError, 'mmkd3d.Chamfr'),
    ],
)
def test_a_wrong_config_is_an_error(options, error, text):
    with pytest.raises(error, match=text):
        stage_one(**options)
