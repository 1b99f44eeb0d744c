"""ReCon's pretraining against the published models."""

import numpy as np
import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.structures import BaseDataElement

from mmkd3d.checkpoints import load_pretrained, to_published
from mmkd3d.checkpoints.sources import our_name
from mmkd3d.models.maskers.base import BlockMasker
from mmkd3d.models.teachers.prompts import load_prompts
from mmkd3d.registry import MODELS
from tests.helpers import given, gradient_atol, load_case, parity_cases, reference_state, thin

CASES = [
    case
    for pattern in ('recon/pretrain*', 'recon/twotower*')
    for case in parity_cases(pattern)
    if 'teachers' not in case.name
]


@MODELS.register_module()
class GivenTarget(nn.Module):
    """Placeholder for a frozen teacher; tests inject its output."""

    def __init__(self, dims):
        super().__init__()
        self.dims, self.teacher = dims, None


def pretrainer(config: dict, dims: dict) -> dict:
    """Our config for a published one."""
    c = config['transformer_config']
    sizes = dict(
        embed_dims=c['trans_dim'],
        depth=c['depth'],
        num_heads=c['num_heads'],
        num_groups=config['num_group'],
        group_size=config['group_size'],
        drop_path_rate=c['drop_path_rate'],
    )
    backbone = dict(type='mmkd3d.ReConTransformer', stop_gradient=True, **sizes)
    if config['NAME'] == 'TwoTower':
        backbone = dict(
            type='mmkd3d.TwoTower',
            masked=dict(type='mmkd3d.PointTransformer', with_cls_token=False, **sizes),
            contrast=dict(
                type='mmkd3d.ReConTransformer',
                plain_blocks=True,
                global_tokens=('img', 'text'),
                **sizes,
            ),
        )
    masker = dict(rand='RandomMasker', block='BlockMasker')[c['mask_type']]
    contrast = config.get('self_contrastive') or None
    return dict(
        type='mmkd3d.ReCon',
        backbone=backbone,
        targets={name: dict(type='mmkd3d.GivenTarget', dims=size) for name, size in dims.items()},
        masker=dict(type=f'mmkd3d.{masker}', ratio=c['mask_ratio']),
        decoder=dict(
            type='mmkd3d.MaskedDecoder',
            embed_dims=c['trans_dim'],
            depth=c['decoder_depth'],
            num_heads=c['decoder_num_heads'],
            drop_path_rate=c['drop_path_rate'],
        ),
        losses=dict(
            chamfer=dict(type='mmkd3d.ChamferLoss', norm=config['loss'].replace('cd', '')),
            img=dict(type='mmkd3d.SmoothL1Loss'),
            text=dict(type='mmkd3d.SmoothL1Loss'),
            contrast=contrast
            and dict(type='mmkd3d.SingleModalContrast', embed_dims=c['trans_dim']),
        ),
    )


def assert_close(got, expected, tolerance, name):
    got = got.detach().numpy()
    assert got.shape == expected.shape, name
    np.testing.assert_allclose(got, expected, tolerance['rtol'], tolerance['atol'], err_msg=name)


def losses_of(model, points, mask, features, categories):
    """Losses for a given mask and given teacher features."""
    samples = [BaseDataElement(metainfo=dict(category=text)) for text in categories]
    with given(model, draw_mask=mask, forward_teachers=features):
        return model.loss(points, samples)


class Case:
    """A published case, and our model with its weights."""

    def __init__(self, path):
        self.manifest, self.arrays = load_case(path)
        self.config = self.manifest['config']
        self.published = reference_state(self.manifest)
        self.given = {
            name: torch.from_numpy(self.arrays[f'{name}_feature']) for name in ('img', 'text')
        }
        dims = {name: x.shape[1] for name, x in self.given.items()}
        self.model = MODELS.build(pretrainer(self.config, dims)).eval()
        self.report = load_pretrained(self.model, self.published, prefix='')
        self.points = torch.from_numpy(self.arrays['points'])
        self.mask = torch.from_numpy(self.arrays['mask'])
        self.source = 'recon_twotower' if self.config['NAME'] == 'TwoTower' else 'recon'

    def losses(self):
        return losses_of(self.model, self.points, self.mask, self.given, self.manifest['text'])


@pytest.fixture(scope='module', params=CASES, ids=lambda p: p.name)
def case(request):
    return Case(request.param)


def test_recon_has_the_published_weights(case):
    assert not case.report.missing and not case.report.unexpected
    back = to_published(case.model.state_dict(), case.source)
    assert set(back) == set(case.published)
    assert all(torch.equal(back[k], v) for k, v in case.published.items())


@torch.no_grad()
def test_recon_gives_the_published_features(case):
    model, arrays = case.model, case.arrays
    layers = []
    blocks = getattr(model.backbone, 'contrast', model.backbone).blocks
    handles = [b.register_forward_hook(lambda m, i, x: layers.append(x[:, :3])) for b in blocks]
    patches = model.group(case.points)
    out = model.forward_encoder(patches, case.mask)
    for handle in handles:
        handle.remove()
    embed = getattr(model.backbone, 'masked', model.backbone).patch_embed
    tokens = embed(patches.points)
    decoded = model.forward_decoder(out, patches, case.mask)
    global_tokens = out['global_tokens']
    got = dict(
        center=patches.centers,
        tokens_strided=tokens,
        vis_strided=out['tokens'],
        decoder_out_strided=decoded,
        rebuild_points=model.to_points(decoded).unflatten(0, decoded.shape[:2]),
        **{f'{name}_token': x for name, x in global_tokens.items()},
        **{f'{name}_pred': model.proj[name](global_tokens[name]) for name in case.given},
    )
    if 'global_tokens_per_layer' in arrays:
        got['global_tokens_per_layer'] = torch.stack(layers)
    if model.contrast is not None:
        projected = model.contrast.proj(global_tokens['cls'])
        z = F.normalize(projected, dim=-1)
        got.update(smc_projection=projected, smc_similarity=z @ z.T)
        kinds = np.array(case.manifest['text'])
        assert ((kinds[:, None] == kinds) == arrays['smc_select']).all()
    for name, value in got.items():
        expected = arrays[name]
        if name.endswith('_strided'):
            value = thin(value, expected.shape[1])
        assert_close(value, expected, case.manifest['tolerance'], name)
    elsewhere = {
        'points',
        'mask',
        'neighborhood',
        'block_start',
        'smc_select',
        'img_feature',
        'text_feature',
    }
    rest = {n for n in arrays if not n.startswith(('loss', 'grad'))}
    assert rest <= {*got, *elsewhere}


def test_recon_cuts_the_published_patches_and_masks_them(case):
    arrays = case.arrays
    patches = case.model.backbone.group(case.points)
    # The order of points within a patch is arbitrary.
    ours, theirs = (
        np.sort(x.view('f4,f4,f4'), axis=2)
        for x in (patches.points.numpy(), arrays['neighborhood'])
    )
    difference = ours.view('f4') - theirs.view('f4')
    assert np.abs(difference).max() <= 1e-6
    if 'block_start' not in arrays:
        return
    start = torch.from_numpy(arrays['block_start'])
    distances = BlockMasker.distances(patches.centers, start)
    mask = torch.zeros_like(case.mask)
    count = int(case.model.masker.ratio * mask.shape[1])
    mask.scatter_(1, distances.argsort(dim=1)[:, :count], True)
    assert torch.equal(mask, case.mask)


def test_recon_gives_the_published_losses(case):
    losses = case.losses()
    names = dict(
        loss_mdm='loss_chamfer',
        loss_csc_img='loss_img',
        loss_csc_text='loss_text',
        loss_smc='loss_contrast',
    )
    for name, ours in names.items():
        if name in case.arrays:
            assert_close(losses.pop(ours), case.arrays[name], case.manifest['tolerance'], name)
    assert not losses
    assert_close(
        sum(case.losses().values()),
        case.arrays['loss_total'],
        case.manifest['tolerance'],
        'loss_total',
    )


@pytest.mark.parametrize('kind', ['total', 'mdm', 'global'])
def test_recon_gradients_go_where_the_published_ones_go(case, kind):
    if 'grad_keys' not in case.manifest or f'grad_l2_{kind}' not in case.arrays:
        pytest.skip('the case has no such gradients')
    losses = case.losses()
    chamfer = losses.pop('loss_chamfer')
    loss = dict(
        total=chamfer + sum(losses.values()), mdm=chamfer, **{'global': sum(losses.values())}
    )[kind]
    case.model.zero_grad()
    loss.backward()
    ours = dict(case.model.named_parameters())
    expected = case.arrays[f'grad_l2_{kind}']
    names = [our_name(key, case.source) for key in case.manifest['grad_keys']]
    assert set(names) == set(ours)
    grads = [ours[name].grad for name in names]
    norms = np.array([0.0 if grad is None else grad.norm().item() for grad in grads])
    assert (norms[expected == 0] == 0).all()
    tolerance = case.manifest['tolerance']
    atol = gradient_atol(expected, tolerance['atol'])
    np.testing.assert_allclose(norms, expected, tolerance['grad_rtol'], atol)


@pytest.mark.slow
@pytest.mark.parametrize('path', parity_cases('recon/pretrain*_teachers'), ids=lambda p: p.name)
@torch.no_grad()
def test_recon_with_its_teachers_gives_the_published_losses(path):
    manifest, arrays = load_case(path)
    cfg = pretrainer(manifest['config'], {})
    cfg['targets'] = dict(
        img=dict(
            type='mmkd3d.ImageTarget',
            precision='fp32',
            teacher=dict(
                type='mmkd3d.TimmTeacher',
                model_name='vit_base_patch16_224.orig_in21k',
                pre_logits=True,
                random_weights=True,
                mean=(0, 0, 0),  # images of the case are already normalised
                std=(1, 1, 1),
            ),
        ),
        text=dict(
            type='mmkd3d.TextTarget',
            precision='fp32',
            teacher=dict(
                type='mmkd3d.OpenClipTextTeacher',
                model_name='ViT-B-32-quickgelu',
                random_weights=True,
            ),
        ),
    )
    model = MODELS.build(cfg).eval()
    report = load_pretrained(model, reference_state(manifest), prefix='')
    assert not report.missing and not report.unexpected
    templates = load_prompts('recon-60-v1')
    prompts = torch.tensor(
        [
            [t.replace('{}', text) for t in templates].index(said)
            for text, said in zip(manifest['text'], manifest['prompts'])
        ]
    )
    tokens = model.targets['text'].teacher.tokenize(manifest['prompts'])
    assert torch.equal(tokens.int(), torch.from_numpy(arrays['tokens']))
    samples = [
        BaseDataElement(metainfo=dict(category=text), image=image)
        for text, image in zip(manifest['text'], torch.from_numpy(arrays['image']))
    ]
    points = torch.from_numpy(arrays['points'])
    mask = torch.from_numpy(arrays['mask'])
    global_tokens = model.forward_encoder(model.group(points), mask)['global_tokens']
    said = dict(
        img=model.targets['img'](points, samples),
        text=model.targets['text'](points, samples, prompt_idx=prompts),
    )
    losses = losses_of(model, points, mask, said, manifest['text'])
    got = dict(
        img_feature=said['img'],
        text_feature=said['text'],
        img_pred=model.proj['img'](global_tokens['img']),
        text_pred=model.proj['text'](global_tokens['text']),
        loss_mdm=losses['loss_chamfer'],
        loss_csc_img=losses['loss_img'],
        loss_csc_text=losses['loss_text'],
        loss_total=sum(losses.values()),
    )
    assert {*got, 'points', 'image', 'mask', 'tokens'} == set(arrays)
    for name, value in got.items():
        assert_close(value, arrays[name], manifest['tolerance'], name)
