"""ReCon: what teaches what, and what can be left out."""

import math

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.structures import BaseDataElement

from mmkd3d.models.losses.modal_contrast import supervised_contrast
from mmkd3d.registry import MODELS


@MODELS.register_module()
class ConstantTarget(nn.Module):
    """The same feature for all, drawn once."""

    def __init__(self, dims):
        super().__init__()
        self.dims, self.teacher = dims, None
        self.feature = torch.randn(dims)

    def forward(self, points, data_samples):
        return self.feature.expand(len(points), -1)


SIZES = dict(
    embed_dims=32,
    depth=3,
    num_heads=2,
    drop_path_rate=0.0,
    num_groups=16,
    group_size=8,
    patch_dims=(8, 16),
)


def recon(tokens=('cls', 'img', 'text'), stop_gradient=True, **kwargs):
    """A small model; tests change one thing."""
    torch.manual_seed(0)
    cfg = dict(
        type='mmkd3d.ReCon',
        backbone=dict(
            type='mmkd3d.ReConTransformer',
            global_tokens=tokens,
            stop_gradient=stop_gradient,
            **SIZES,
        ),
        targets=dict(
            img=dict(type='ConstantTarget', dims=6), text=dict(type='ConstantTarget', dims=5)
        ),
        masker=dict(type='mmkd3d.RandomMasker', ratio=0.5),
        cross_modal=dict(type='mmkd3d.SmoothL1Loss'),
        decoder=dict(type='mmkd3d.MaskedDecoder', embed_dims=32, depth=1, num_heads=2),
        reconstruct=dict(type='mmkd3d.ChamferLoss'),
        contrast=dict(type='mmkd3d.SingleModalContrast', embed_dims=32),
    )
    return MODELS.build({**cfg, **kwargs}).train()


def cloud(batch=4, points=128):
    return torch.randn(batch, points, 3, generator=torch.Generator().manual_seed(1))


def samples(*categories):
    return [BaseDataElement(metainfo=dict(category=c)) for c in categories]


KINDS = samples('chair', 'lamp', 'chair', 'sofa')


def trained(model, *names):
    """Names of the parameters that losses of these names reach."""
    torch.manual_seed(0)
    losses = model.loss(cloud(), KINDS)
    model.zero_grad()
    sum(losses[name] for name in names).backward()
    return {
        name
        for name, p in model.named_parameters()
        if p.grad is not None and p.grad.abs().sum() > 0
    }


def test_every_loss_stays_in_its_stream():
    model = recon()
    local = trained(model, 'loss_chamfer')
    assert not any('global_' in n or 'contrast' in n or n.startswith('proj') for n in local)
    assert 'backbone.patch_embed.first.0.weight' in local
    img = trained(model, 'loss_img')
    assert 'backbone.global_token.img' in img and 'proj.img.weight' in img
    only = ('backbone.global_', 'proj.img', 'backbone.norm.')
    assert all(n.startswith(only) or '_contrast' in n for n in img)
    assert not any('.text' in n or '.cls' in n for n in img)
    kind = trained(model, 'loss_contrast')
    assert 'backbone.global_token.cls' in kind
    assert not any('.img' in n or '.text' in n for n in kind)


def test_without_the_stop_gradient_teachers_reach_the_embedding():
    model = recon(stop_gradient=False)
    assert 'backbone.patch_embed.first.0.weight' in trained(model, 'loss_text')


def test_a_local_token_does_not_see_the_global_ones():
    model = recon().eval()
    before = model.backbone(cloud())['tokens']
    for value in model.backbone.global_token.values():
        value.data.normal_()
    assert torch.equal(model.backbone(cloud())['tokens'], before)


def test_global_tokens_do_not_see_each_other():
    model = recon().eval()
    before = model.backbone(cloud())['global_tokens']
    model.backbone.global_token['img'].data.normal_()
    after = model.backbone(cloud())['global_tokens']
    assert torch.equal(after['text'], before['text'])
    assert not torch.allclose(after['img'], before['img'])


@pytest.mark.parametrize(
    'left_out, lost',
    [
        (dict(targets=dict(text=None)), {'loss_text'}),
        (dict(targets=dict(img=None)), {'loss_img'}),
        (dict(reconstruct=None), {'loss_chamfer'}),
        (dict(contrast=None), {'loss_contrast'}),
    ],
)
def test_any_branch_can_be_switched_off(left_out, lost):
    whole = recon()
    if 'targets' in left_out:
        both = dict(
            img=dict(type='ConstantTarget', dims=6), text=dict(type='ConstantTarget', dims=5)
        )
        left_out = dict(targets={**both, **left_out['targets']})
    model = recon(**left_out)
    losses = model.loss(cloud(), KINDS)
    assert set(whole.loss(cloud(), KINDS)) - set(losses) == lost
    sum(losses.values()).backward()
    unused = {n for n, p in model.named_parameters() if p.grad is None}
    name = lost.pop().removeprefix('loss_')
    assert unused <= {f'backbone.global_token.{name}', f'backbone.global_pos.{name}'}


@pytest.mark.parametrize('tokens', [('img',), ('text', 'img'), ()])
def test_the_list_of_global_tokens_is_free(tokens):
    targets = {n: dict(type='ConstantTarget', dims=4) for n in tokens}
    model = recon(tokens, targets=targets, contrast=None)
    losses = model.loss(cloud(), None)
    assert set(losses) == {'loss_chamfer', *(f'loss_{n}' for n in tokens)}
    assert model.backbone.extract_feat(cloud()).shape == (4, 64)
    assert model.backbone.global_names == tokens


def test_a_third_teacher_is_one_more_entry():
    targets = {n: dict(type='ConstantTarget', dims=4) for n in ('img', 'text', 'depth')}
    model = recon(('cls', 'img', 'text', 'depth'), targets=targets)
    assert 'loss_depth' in model.loss(cloud(), KINDS)
    assert 'backbone.global_token.depth' in trained(model, 'loss_depth')


def test_weights_scale_their_loss():
    targets = dict(
        img=dict(type='ConstantTarget', dims=6), text=dict(type='ConstantTarget', dims=5)
    )
    plain = recon(targets=targets).eval()
    heavy = recon(targets=targets, weights=dict(text=3.0)).eval()
    heavy.load_state_dict(plain.state_dict())
    for name, target in heavy.targets.items():
        target.feature = plain.targets[name].feature
    mask = torch.arange(16).expand(4, -1) < 8
    losses = []
    for model in (plain, heavy):
        said = {n: t(cloud(), None) for n, t in model.targets.items()}
        losses.append(model.losses(model.encode(cloud(), mask), said, [s.category for s in KINDS]))
    torch.testing.assert_close(losses[1]['loss_text'], 3 * losses[0]['loss_text'])
    torch.testing.assert_close(losses[1]['loss_img'], losses[0]['loss_img'])


def naive_contrast(z, categories, temperature):
    z = F.normalize(z, dim=-1)
    total = 0.0
    for i in range(len(z)):
        cosine = [float(z[i] @ z[j]) for j in range(len(z))]
        same = [c for c, k in zip(cosine, categories) if k == categories[i]]
        other = [c for c, k in zip(cosine, categories) if k != categories[i]]
        logits = [c / temperature for c in [sum(same) / len(same), *other]]
        total += math.log(sum(map(math.exp, logits))) - logits[0]
    return total / len(z)


def test_contrast_is_that_of_a_loop():
    z = torch.randn(7, 16)
    kinds = [0, 1, 0, 2, 1, 0, 3]
    same = torch.tensor(kinds)[:, None] == torch.tensor(kinds)
    cosine = F.normalize(z, dim=-1) @ F.normalize(z, dim=-1).T
    got = supervised_contrast(cosine, same, 0.1)
    assert float(got) == pytest.approx(naive_contrast(z, kinds, 0.1), rel=1e-5)
    loss = recon().contrast
    feats, names = torch.randn(7, 32), [str(kind) for kind in kinds]
    once, loss.loss_weight = loss(feats, names), 3.0
    torch.testing.assert_close(loss(feats, names), 3 * once)


def test_autocast_does_not_change_the_contrast_of_shapes_that_are_alike():
    loss = recon().contrast
    torch.manual_seed(0)
    feats = (torch.randn(1, 32) + 0.01 * torch.randn(16, 32)).requires_grad_()
    kinds = list('abcdabcdabcdabcd')
    exact = loss(feats, kinds)
    with torch.autocast('cpu', torch.bfloat16):
        rounded = loss(feats, kinds)
    torch.testing.assert_close(rounded, exact)
    torch.testing.assert_close(*(torch.autograd.grad(value, feats) for value in (rounded, exact)))


def test_contrast_of_one_category_is_zero_and_finite_in_its_gradient():
    loss = MODELS.build(dict(type='mmkd3d.SingleModalContrast', embed_dims=32))
    feats = torch.randn(4, 32, requires_grad=True)
    value = loss(feats, ['chair'] * 4)
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-6)
    assert feats.grad.isfinite().all()


TOWERS = dict(
    type='mmkd3d.TwoTower',
    masked=dict(type='mmkd3d.PointTransformer', with_cls_token=False, **SIZES),
    contrast=dict(
        type='mmkd3d.ReConTransformer', plain_blocks=True, global_tokens=('img', 'text'), **SIZES
    ),
)


def test_two_towers_share_patches_and_nothing_else():
    model = recon(backbone=TOWERS, contrast=None)
    local = trained(model, 'loss_chamfer')
    assert not any('contrast' in name for name in local)
    img = trained(model, 'loss_img')
    assert not any('.masked' in n or 'decoder' in n for n in img)
    mask = torch.arange(16).expand(4, -1) < 8
    model.eval()
    out = model.encode(cloud(), mask)
    other = model.encode(cloud(), ~mask)
    assert torch.equal(out.global_tokens['img'], other.global_tokens['img'])


def test_two_towers_are_cut_where_the_local_tokens_are():
    student = recon(backbone=TOWERS, contrast=None).eval().backbone
    student.masked.out_indices = (0,)
    (level,) = student(cloud())['levels']
    student.cut_after(0)
    assert torch.equal(student.extract_feat(cloud(), 'token'), level)


@pytest.mark.parametrize(
    'change, says',
    [
        (dict(tokens=('img',)), r"No global token for \['text', 'cls'\]"),
        (dict(tokens=('cls', 'img', 'img', 'text')), 'different names'),
        (dict(weights=dict(txt=2.0)), r"Weights for \['txt'\]"),
        (dict(masker=dict(type='mmkd3d.RandomMasker', ratio=0)), 'masked'),
        (dict(targets={}, contrast=None, reconstruct=None), 'Nothing to learn'),
    ],
)
def test_parts_that_do_not_fit_are_named(change, says):
    with pytest.raises(ValueError, match=says):
        recon(**change)


@pytest.mark.parametrize('idle', [dict(reconstruct=None), dict(targets={}, contrast=None)])
def test_each_of_two_towers_needs_a_loss(idle):
    with pytest.raises(ValueError, match='Each of two towers needs a loss'):
        recon(backbone=TOWERS, **{'contrast': None, **idle})


def test_what_is_not_rebuilt_can_not_be_drawn():
    model = recon(reconstruct=None).eval()
    with pytest.raises(ValueError, match='reconstruct=None'):
        model.predict(cloud(), None)
    drawn = recon().eval().predict(cloud(2), None)
    assert drawn[0]['visible'].shape == drawn[0]['pred'].shape == (64, 3)
