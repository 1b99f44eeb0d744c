"""Pretraining of I2P-MAE against the published model."""

import numpy as np
import pytest
import torch
import torch.nn as nn

from mmkd3d.checkpoints import load_pretrained, to_published
from mmkd3d.checkpoints.sources import our_name
from mmkd3d.models.targets.dense import ViewFeatures
from mmkd3d.registry import MODELS
from tests.helpers import (
    given,
    gradient_atol,
    load_case,
    parity_cases,
    reference_state,
    reference_tensor,
    thin,
)
from tests.parity.test_i2p_downstream import student
from tests.parity.test_i2p_guidance import Guidance, clip_teacher

PRETRAIN = parity_cases('i2p_mae/pretrain*')
GUIDANCE = parity_cases('i2p_mae/guidance*')
SVM = parity_cases('i2p_mae/linear_svm*')


@MODELS.register_module()
class GivenMaps(nn.Module):
    """Placeholder for a teacher; tests inject its maps."""

    def __init__(self, dims):
        super().__init__()
        self.dense_dims = dims


def pretrainer(config: dict, teacher: dict) -> dict:
    """Our config for a published one."""
    return dict(
        type='mmkd3d.I2PMAE',
        backbone=student(config, index_zero_visible=True),
        decoder=dict(
            type='mmkd3d.M2AEDecoder',
            stage_dims=config['decoder_dims'],
            depths=config['decoder_depths'],
            num_heads=config['num_heads'],
            propagation_depths=config['decoder_up_blocks'][1:],
            drop_path_rate=config['drop_path_rate'],
        ),
        masker=dict(type='mmkd3d.SaliencyMasker', ratio=config['mask_ratio']),
        target=dict(type='mmkd3d.DenseTarget', teacher=teacher, precision='fp32'),
        losses=dict(
            chamfer=dict(type='mmkd3d.ChamferLoss', norm='l2'), semantic=dict(type='mmkd3d.L2Loss')
        ),
    )


def by_cloud(x: torch.Tensor) -> torch.Tensor:
    """(3B, ...), view by view, as (B, 3, ...)."""
    return x.unflatten(0, (3, -1)).transpose(0, 1)


def mask_of(model, scores, noise):
    """Published rule: the tokens ranked first stay visible."""
    order = model.masker.rank(scores, noise).argsort(1, descending=True)
    keep = scores.shape[1] - int(model.masker.ratio * scores.shape[1])
    return order, torch.ones_like(scores, dtype=torch.bool).scatter(1, order[:, :keep], False)


def assert_near(got, expected, atol, name, rtol=0.0):
    got = got.detach().numpy()
    assert got.shape == expected.shape, name
    np.testing.assert_allclose(got, expected, rtol, atol, err_msg=name)


def assert_groups(pyramid, arrays, tolerance):
    for i, level in enumerate(pyramid):
        assert_near(level.centers, arrays[f'center_{i}'], tolerance['center'], f'center_{i}')
        if f'knn_{i}' in arrays:
            np.testing.assert_array_equal(level.point_idx, arrays[f'knn_{i}'])


class Case:
    """A published case, and our model with its weights."""

    def __init__(self, path):
        self.manifest, self.arrays = load_case(path)
        config = self.manifest['config']
        dims = config['clip_config']['feat_dim']
        self.published = reference_state(self.manifest)
        self.config = pretrainer(config, dict(type='mmkd3d.GivenMaps', dims=dims))
        self.model = self.build()
        self.points = torch.from_numpy(self.arrays['points'])
        B, grid = len(self.points), (14, 14)
        saliency = torch.from_numpy(self.arrays['saliency'])
        feats = 128 * reference_tensor(self.manifest['feature_key'], (3 * B, dims, *grid))
        self.feats = feats
        self.seen = ViewFeatures(
            by_cloud(feats),
            by_cloud(saliency.unflatten(1, grid)),
            self.model.target.projector.frame(self.points),
        )
        self.noise = torch.from_numpy(self.arrays['exp_noise'])

    def build(self, **backbone):
        cfg = dict(self.config)
        cfg['backbone'] = dict(cfg['backbone'], **backbone)
        if backbone:
            cfg['decoder'] = dict(cfg['decoder'], **backbone)
        model = MODELS.build(cfg).eval()
        self.report = load_pretrained(model, self.published, prefix='')
        return model

    def forward(self, model):
        """Run all steps from the maps of the teacher to the losses."""
        patches = model.backbone.group(self.points)
        scores = model.target.saliency_at(self.seen, patches[-1].centers)
        _, mask = mask_of(model, scores, self.noise)
        with given(model, forward_teacher=self.seen, draw_mask=mask):
            return patches, scores, mask, model.loss(self.points, None)

    def grad_norms(self, model):
        """Gradient norms, in the order of the published names; -1: no gradient."""
        named = dict(model.named_parameters())
        grads = (named[our_name(key, 'i2p_mae')].grad for key in self.manifest['grad_keys'])
        return torch.tensor([-1.0 if g is None else g.norm() for g in grads])


@pytest.fixture(scope='module', params=PRETRAIN, ids=lambda p: p.name)
def case(request):
    return Case(request.param)


def test_i2p_has_the_published_weights(case):
    assert not case.report.missing and not case.report.unexpected
    back = to_published(case.model.state_dict(), 'i2p_mae')
    assert set(back) == set(case.published)
    assert all(torch.equal(back[k], v) for k, v in case.published.items())


@torch.no_grad()
def test_i2p_gives_the_published_tokens(case):
    model, arrays = case.model, case.arrays
    tolerance = case.manifest['tolerance']
    patches, scores, mask, _ = case.forward(model)
    feats = model.forward_encoder(patches, mask)
    decoded = model.forward_decoder(feats, patches, mask)
    masked = feats['masks'][model.level]
    targets = model.forward_semantic(case.points, patches, masked, case.seen)
    assert_near(case.feats[:, ::64, ::4, ::4], arrays['features_check'], 0.0, 'features_check')
    assert_groups(patches, arrays, tolerance)
    assert_near(scores, arrays['spatial_sal'], tolerance['spatial_sal'], 'spatial_sal')
    assert_near(scores.softmax(1), arrays['prob'], tolerance['prob'], 'prob')
    for i, hidden in enumerate(feats['masks']):
        np.testing.assert_array_equal(hidden, arrays[f'mask_{i}'])
        level = feats['levels'][i]
        assert_near(level[..., :4], arrays[f'enc_{i}_c4'], tolerance['enc'], f'enc_{i}_c4')
        if i < len(patches) - 1:
            level = thin(level, arrays[f'enc_{i}'].shape[1])
            assert_near(level, arrays[f'enc_{i}'], tolerance['enc'], f'enc_{i}')
    assert_near(feats['tokens'], arrays['enc_2'], tolerance['enc'], 'enc_2')
    rec = model.to_points(decoded[masked])[::4]
    assert_near(rec, arrays['rec_3d'], tolerance['rec'], 'rec_3d')
    truth = model.forward_target(patches, masked)
    assert_near(truth[::4], arrays['gt_3d'], tolerance['gt_3d'], 'gt_3d')
    pred = model.to_feats(decoded[~masked]).view(targets.shape)
    assert_near(pred[::8, ::4, ::64], arrays['rec_2d'], tolerance['rec'], 'rec_2d')
    assert_near(targets[::8, ::4, ::64], arrays['tgt_2d'], tolerance['tgt_2d'], 'tgt_2d')


@torch.no_grad()
def test_i2p_decodes_as_published(case):
    model, arrays = case.model, case.arrays
    tolerance = case.manifest['tolerance']
    inputs, outputs = [], []

    def listen(module, given, output):
        inputs.append(given[0])
        outputs.append(output[0])

    handles = [stage.register_forward_hook(listen) for stage in model.decoder.stages]
    case.forward(model)
    for handle in handles:
        handle.remove()
    # the published decoder puts visible tokens first at the top level
    masked = torch.from_numpy(arrays['mask_2'])
    order = masked.byte().argsort(dim=1, stable=True)
    top = outputs[0].take_along_dim(order[..., None], 1)
    got = dict(dec_0=top, dec_in_1=inputs[1], dec_1=outputs[1])
    for name, value in got.items():
        value = thin(value, arrays[name].shape[1])
        assert_near(value, arrays[name], tolerance[name], name)


def test_i2p_has_the_published_gradients(case):
    model, arrays = case.model, case.arrays
    tolerance = case.manifest['tolerance']
    model.zero_grad()
    *_, losses = case.forward(model)
    for ours, theirs in (('loss_chamfer', 'loss_3d'), ('loss_semantic', 'loss_2d')):
        assert_near(losses[ours], arrays[theirs], 0.0, theirs, tolerance['loss_rtol'])
    sum(losses.values()).backward()
    assert_near(
        case.grad_norms(model),
        arrays['grad_norm'],
        gradient_atol(arrays['grad_norm'], tolerance['grad_norm_atol']),
        'grad_norm',
        tolerance['grad_norm_rtol'],
    )


def test_i2p_trains_as_published(case):
    arrays, tolerance = case.arrays, case.manifest['tolerance']
    model = case.build(drop_path_rate=0.0).train()
    *_, losses = case.forward(model)
    for ours, theirs in (('loss_chamfer', 'train_loss_3d'), ('loss_semantic', 'train_loss_2d')):
        assert_near(losses[ours], arrays[theirs], 0.0, theirs, tolerance['train_loss_rtol'])
    sum(losses.values()).backward()
    assert_near(
        case.grad_norms(model),
        arrays['train_grad_norm'],
        gradient_atol(arrays['train_grad_norm'], tolerance['grad_norm_atol']),
        'train_grad_norm',
        tolerance['grad_norm_rtol'],
    )
    norm = model.backbone.embeds[1].first[1]
    for name in ('mean', 'var'):
        assert_near(
            getattr(norm, f'running_{name}'),
            arrays[f'train_running_{name}'],
            tolerance['train_running'],
            name,
        )


@pytest.mark.parametrize('path', SVM, ids=lambda p: p.name)
@torch.no_grad()
def test_i2p_gives_the_published_svm_feature(path):
    manifest, arrays = load_case(path)
    tolerance = manifest['tolerance']
    net = MODELS.build(student(manifest['config'], index_zero_visible=True)).eval()
    load_pretrained(net, reference_state(manifest))
    points = torch.from_numpy(arrays['points'])
    assert_near(net.extract_feat(points), arrays['feature'], tolerance['feature'], 'feature')
    patches = net.group(points)
    assert_groups(patches, arrays, tolerance)
    nothing = torch.zeros(patches[-1].centers.shape[:2], dtype=torch.bool)
    out = net.encode(patches, nothing)
    for i, (level, hidden) in enumerate(zip(out['levels'], out['masks'])):
        np.testing.assert_array_equal(hidden, arrays[f'mask_{i}'])
        assert_near(level[..., :4], arrays[f'enc_{i}_c4'], tolerance['enc'], f'enc_{i}_c4')
        assert_near(
            thin(level, arrays[f'enc_{i}'].shape[1]),
            arrays[f'enc_{i}'],
            tolerance['enc'],
            f'enc_{i}',
        )


@pytest.mark.slow
@pytest.mark.parametrize('path', GUIDANCE, ids=lambda p: p.name)
@torch.no_grad()
def test_i2p_from_points_to_losses(path, monkeypatch):
    guidance = Guidance(path)
    manifest, arrays = guidance.manifest, guidance.arrays
    model = MODELS.build(
        pretrainer(manifest['config'], clip_teacher(manifest['config']['clip']))
    ).eval()
    # the published file includes its teacher, which is not loaded
    load_pretrained(model, reference_state(manifest), prefix='')
    model.target = guidance.target
    monkeypatch.setattr(torch.Tensor, 'exponential_', lambda *args, **kwargs: arrays['exp_noise'])
    points = arrays['points']
    patches = model.backbone.group(points)
    assert_groups(patches, {k: v.numpy() for k, v in arrays.items()}, guidance.tolerance)
    mask = model.draw_mask(points, patches)
    for i, hidden in enumerate(model.backbone.encode(patches, mask)['masks']):
        assert torch.equal(hidden, arrays[f'mask_{i}'])
    losses = model.loss(points, None)
    for ours, theirs in (('loss_chamfer', 'loss_3d'), ('loss_semantic', 'loss_2d')):
        assert_near(
            losses[ours], arrays[theirs].numpy(), 0.0, theirs, guidance.tolerance['loss_rtol']
        )
