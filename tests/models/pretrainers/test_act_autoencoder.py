"""ACT, stage I: training, outputs and invalid settings.

tests/parity compares it with the published model.
"""

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
from tests.models.steps import check_step, cloud, fall_of_loss, losses_of, odd_clouds, total
from tests.models.teachers.nets import beit, bert, clip, lent, mixer


def stage_one(**kwargs):
    torch.manual_seed(0)
    return MODELS.build(dict(autoencoder(), **kwargs))


KINDS = dict(prompted={}, plain=dict(transformer=None), language=dict(transformer=lent(bert)))


@pytest.fixture(params=KINDS)
def model(request):
    return stage_one(kl_weight=0.1, **KINDS[request.param])


def test_every_parameter_but_the_frozen_ones_learns(model):
    check_step(model, cloud(), all_reached=True)
    frozen = getattr(model.transformer, 'frozen', None)
    before = copy.deepcopy(frozen and frozen.net.state_dict())
    assert fall_of_loss(model, cloud(), steps=15, lr=4e-3) < 0.9
    if frozen:
        for key, value in frozen.net.state_dict().items():
            assert torch.equal(value, before[key])


@pytest.mark.parametrize('build', [beit, clip, mixer], ids=lambda build: build.__name__)
def test_other_families_of_transformers_train(build):
    model = stage_one(transformer=lent(build))
    check_step(model, cloud())
    assert model.quantizer.codebook.grad.abs().sum() > 0


def test_losses_are_those_of_their_parts():
    model = stage_one(kl_weight=0.3, transformer=None).eval()
    model.quantizer.temperature = 0.4
    points = cloud()
    torch.manual_seed(5)
    losses = losses_of(model, points)
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
    assert losses_of(model, points)['loss_kl'] == 0
    perfect = patches.points.flip(2)
    with given(model, forward_decoder=(perfect, perfect)):
        assert model.loss(points, None)['loss_recon'] == 0


def test_hard_codes_are_rows_of_the_codebook_and_make_whole_clouds(model):
    model.eval()
    points, zero = cloud(channels=6), torch.zeros(3, 16, 20)
    patches = model.group(points)
    with torch.no_grad():
        encoded = model.forward_encoder(patches, hard=True, noise=zero)
    assert encoded['feats'].shape == (3, 16, model.embed_dims)
    assert torch.equal(encoded['codes'], model.quantizer.codebook[encoded['logits'].argmax(-1)])
    # a transformer changes the codes
    assert torch.equal(encoded['tokens'], encoded['codes']) == (model.transformer is None)
    drawn = model.predict(points, None, noise=zero)
    for out, xyz in zip(drawn, points[..., :3]):
        assert torch.equal(out['input'], xyz)
        assert out['coarse'].shape == (16 * 8 // 4, 3)
    whole = model.forward_decoder(encoded)[1] + patches.centers[:, :, None]
    torch.testing.assert_close(torch.stack([d['pred'] for d in drawn]), whole.flatten(1, 2))
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
    """Seeded clouds; the one with index ``bad`` has a NaN."""

    def __init__(self, bad=None):
        self.clouds = cloud(8)
        if bad is not None:
            self.clouds[bad, 40] = float('nan')

    def __len__(self):
        return 8

    def __getitem__(self, i):
        sample = BaseDataElement(metainfo=dict(sample_id=f'c{i}'))
        return dict(inputs=dict(points=self.clouds[i]), data_samples=sample)


def runner(work_dir, model, data=None, hooks=(), **kwargs):
    base = Config.fromfile(REPO / 'configs/_base_/default_runtime.py')
    sampler = dict(type='DefaultSampler', shuffle=False)
    loader = dict(batch_size=4, num_workers=0, sampler=sampler, dataset=data or Clouds())
    return Runner(
        model=model,
        work_dir=str(work_dir),
        train_dataloader=loader,
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


def check_resumed(folder, first, second, **kwargs):
    """Check that ``second``, resumed after an epoch, ends as ``first``; return its checkpoint."""
    runner(folder / 'whole', first, **kwargs).train()
    resume = dict(load_from=str(folder / 'whole' / 'epoch_1.pth'), resume=True)
    rest = runner(folder / 'rest', second, **resume, **kwargs)
    rest.train()
    assert rest.iter == 4 and same_weights(first, second)
    return torch.load(folder / 'rest' / 'epoch_2.pth', weights_only=True)['state_dict']


def test_a_resumed_run_ends_as_one_that_was_not_stopped(model, tmp_path):
    hooks = [
        dict(type='mmkd3d.AnnealHook', target=target, start=1.0, end=0.1, length=3)
        for target in ('quantizer.temperature', 'kl_weight')
    ] + [dict(type='mmkd3d.CodebookUsageHook')]
    rest = copy.deepcopy(model)
    saved = check_resumed(tmp_path, model, rest, hooks=hooks)
    assert rest.quantizer.temperature == pytest.approx(0.1)
    assert not any('frozen' in key for key in saved)


@pytest.mark.parametrize('precision', ['fp32', 'bf16'])
def test_mixed_precision_trains_to_nearly_the_same_loss(precision):
    model = stage_one(kl_weight=0.1)
    model.transformer.precision = precision
    model.transformer.prompt_dropout = 0.0
    values = []
    for low in (False, True):
        torch.manual_seed(2)
        with torch.autocast('cpu', torch.bfloat16, enabled=low):
            values.append(total(losses_of(model, cloud())))
    torch.testing.assert_close(*values, rtol=0.02, atol=0.0)
    values[1].backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize('name', odd_clouds())
def test_odd_clouds_give_finite_losses_and_gradients(name):
    model, points = stage_one(kl_weight=0.1), odd_clouds()[name]
    check_step(model, points)
    drawn = model.eval()(dict(points=points), mode='predict')
    assert all(torch.isfinite(out['pred']).all() for out in drawn)


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
        (dict(group_size=10), None, 'multiple of 4, got 10'),
        (dict(edge_dims=(8, 10, 8)), None, 'multiples of 4, .* got 10'),
        (dict(loss=dict(type='mmkd3d.Chamfr')), None, 'mmkd3d.Chamfr'),
    ],
)
def test_what_does_not_fit_is_an_error(options, points, text):
    with pytest.raises((ValueError, KeyError), match=text):
        losses_of(stage_one(**options), points)
