"""ReCon: what teaches what, and what can be left out."""

import math

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.structures import BaseDataElement

from mmkd3d.evaluation.accuracy import Accuracy
from mmkd3d.models.losses.modal_contrast import supervised_contrast
from mmkd3d.registry import MODELS
from tests.helpers import REPO
from tests.models.pretrainers.test_act_autoencoder import odd_clouds


@MODELS.register_module()
class ConstantTarget(nn.Module):
    """The same feature for all, drawn once."""

    def __init__(self, dims):
        super().__init__()
        self.dims, self.teacher = dims, None
        self.feature = torch.randn(dims)

    def forward(self, points, data_samples):
        return self.feature.expand(len(points), -1)


TARGETS = dict(img=dict(type='ConstantTarget', dims=6), text=dict(type='ConstantTarget', dims=5))
NO_CONTRAST = dict(contrast=None)
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
    """A small model; tests change one thing; ``losses`` are merged."""
    torch.manual_seed(0)
    cfg = dict(
        type='mmkd3d.ReCon',
        backbone=dict(
            type='mmkd3d.ReConTransformer',
            global_tokens=tokens,
            stop_gradient=stop_gradient,
            **SIZES,
        ),
        targets=TARGETS,
        masker=dict(type='mmkd3d.RandomMasker', ratio=0.5),
        decoder=dict(type='mmkd3d.MaskedDecoder', embed_dims=32, depth=1, num_heads=2),
    )
    losses = dict(
        chamfer=dict(type='mmkd3d.ChamferLoss'),
        img=dict(type='mmkd3d.SmoothL1Loss'),
        text=dict(type='mmkd3d.SmoothL1Loss'),
        contrast=dict(type='mmkd3d.SingleModalContrast', embed_dims=32),
    )
    cfg = {**cfg, **kwargs, 'losses': {**losses, **(kwargs.get('losses') or {})}}
    return MODELS.build(cfg).train()


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


@pytest.mark.parametrize('name', ['chamfer', 'img', 'text', 'contrast'])
def test_any_loss_can_be_switched_off(name):
    losses = recon(losses={name: None}).loss(cloud(), KINDS)
    names = {'loss_chamfer', 'loss_img', 'loss_text', 'loss_contrast'}
    assert set(losses) == names - {f'loss_{name}'}


def test_a_target_that_is_none_switches_its_branch_off():
    model = recon(targets=dict(TARGETS, text=None))
    assert 'loss_text' not in model.loss(cloud(), KINDS) and 'text' not in model.proj


@pytest.mark.parametrize('tokens', [('img',), ('text', 'img'), ()])
def test_the_list_of_global_tokens_is_free(tokens):
    targets = dict.fromkeys(TARGETS) | {n: TARGETS[n] for n in tokens}
    model = recon(tokens, targets=targets, losses=NO_CONTRAST)
    losses = model.loss(cloud(), None)
    assert set(losses) == {'loss_chamfer', *(f'loss_{n}' for n in tokens)}
    assert model.backbone.extract_feat(cloud()).shape == (4, 64)
    assert model.backbone.global_names == tokens


def test_a_third_teacher_is_one_more_entry():
    model = recon(
        ('cls', 'img', 'text', 'depth'),
        targets=dict(TARGETS, depth=TARGETS['img']),
        losses=dict(depth=dict(type='mmkd3d.SmoothL1Loss', loss_weight=3.0)),
    )
    losses = model.loss(cloud(), KINDS)
    assert 'backbone.global_token.depth' in trained(model, 'loss_depth')
    pred, target = torch.randn(2, 4, 6)
    torch.testing.assert_close(
        model.loss_fns['depth'](pred, target), 3 * model.loss_fns['img'](pred, target)
    )
    assert list(losses) == ['loss_chamfer', 'loss_img', 'loss_text', 'loss_depth', 'loss_contrast']


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
    model = recon(backbone=TOWERS, losses=NO_CONTRAST)
    local = trained(model, 'loss_chamfer')
    assert not any('contrast' in name for name in local)
    img = trained(model, 'loss_img')
    assert not any('.masked' in n or 'decoder' in n for n in img)
    mask = torch.arange(16).expand(4, -1) < 8
    model.eval()
    patches = model.group(cloud())
    img = [model.forward_encoder(patches, m)['global_tokens']['img'] for m in (mask, ~mask)]
    assert torch.equal(*img)


def test_two_towers_are_cut_where_the_local_tokens_are():
    student = recon(backbone=TOWERS, losses=NO_CONTRAST).eval().backbone
    student.masked.out_indices = (0,)
    (level,) = student(cloud())['levels']
    student.truncate(0)
    assert torch.equal(student.extract_feat(cloud(), 'token'), level)


@pytest.mark.parametrize(
    'change, text',
    [
        (dict(tokens=('img',)), r"No global token for \['text', 'cls'\]"),
        (dict(tokens=('cls', 'img', 'img', 'text')), 'different names'),
        (dict(losses=dict(txt=dict(type='mmkd3d.L2Loss'))), r"only one of them for \['txt'\]"),
        (dict(targets=dict(img=TARGETS['img'])), r"only one of them for \['text'\]"),
        (dict(masker=dict(type='mmkd3d.RandomMasker', ratio=0)), 'higher ratio'),
        (dict(decoder=None), 'give a decoder'),
        (dict(losses=dict.fromkeys(('chamfer', 'img', 'text', 'contrast'))), 'Nothing to learn'),
        (dict(backbone=TOWERS, losses=dict(chamfer=None, **NO_CONTRAST)), 'Each of two towers'),
        (
            dict(backbone=TOWERS, losses=dict.fromkeys(('img', 'text', 'contrast'))),
            'Each of two towers',
        ),
    ],
)
def test_parts_that_do_not_fit_are_named(change, text):
    with pytest.raises(ValueError, match=text):
        recon(**change)


def test_without_reconstruction_nothing_is_drawn():
    model = recon(losses=dict(chamfer=None)).eval()
    with pytest.raises(ValueError, match='nothing is reconstructed'):
        model.predict(cloud(), None)
    drawn = recon().eval().predict(cloud(2), None)
    assert drawn[0]['visible'].shape == drawn[0]['pred'].shape == (64, 3)


def check_step(net, points, data_samples):
    losses = net(dict(points=points), data_samples, mode='loss')
    assert losses and all(torch.isfinite(v) for v in losses.values())
    sum(losses.values()).backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())
    return losses


@pytest.mark.parametrize('stop_gradient', [True, False])
@pytest.mark.parametrize('name', ['one', 'no_more_than_a_patch', 'origin', 'fewer_than_groups'])
def test_odd_clouds_give_finite_losses_and_gradients(name, stop_gradient):
    points = {**odd_clouds(), 'fewer_than_groups': cloud(2, 12)}[name]
    losses = NO_CONTRAST if len(points) == 1 else {}
    net = recon(stop_gradient=stop_gradient, losses=losses)
    check_step(net, points, samples('chair', 'lamp')[: len(points)])


def test_the_contrast_needs_two_shapes_to_train():
    with pytest.raises(ValueError, match='batch of 1.*drop_last=True'):
        recon().loss(cloud(1), samples('chair'))
    assert recon().eval().loss(cloud(1), samples('chair'))['loss_contrast'] == 0


def test_the_contrast_names_the_samples_without_a_category():
    unnamed = [BaseDataElement(metainfo=dict(sample_id=f'shape {i}')) for i in range(2)]
    with pytest.raises(
        ValueError, match='2 of 4 samples have no category: shape 0, shape 1. .*contrast=None'
    ):
        recon().loss(cloud(), KINDS[:2] + unnamed)
    check_step(recon(losses=NO_CONTRAST), cloud(), KINDS[:2] + unnamed)


def classifier(num_classes, **kwargs):
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='mmkd3d.PointClassifier',
            backbone=dict(type='mmkd3d.ReConTransformer', **dict(SIZES, **kwargs)),
            head=dict(
                type='mmkd3d.ClsHead',
                in_channels=32,
                hidden_dims=(),
                num_classes=num_classes,
                pooling=('cls', 'img', 'text', 'max'),
            ),
        )
    ).eval()


@pytest.fixture(scope='module')
def pretrained(tmp_path_factory):
    """A checkpoint as a run writes it, and the model."""
    path = tmp_path_factory.mktemp('pretrained') / 'epoch_1.pth'
    net = recon()
    for parameter in net.parameters():
        parameter.data.add_(0.01)  # no start of another model
    torch.save(dict(meta=dict(epoch=1), state_dict=net.state_dict()), path)
    return path, net


def start_from(path):
    return dict(init_cfg=dict(type='Pretrained', checkpoint=str(path)))


def check_same(backbone, expected):
    """All that ``backbone`` has is what the pretrained one has."""
    found = expected.state_dict()
    for key, value in backbone.state_dict().items():
        assert torch.equal(value, found[key]), key


def test_a_pretrained_student_fills_a_classifier_whole(pretrained, tmp_path):
    path, net = pretrained
    filled = classifier(3, **start_from(path))
    filled.init_weights()
    assert filled.backbone.state_dict().keys() == net.backbone.state_dict().keys()
    check_same(filled.backbone, net.backbone)
    part = net.state_dict()
    del part['backbone.global_token.img']
    torch.save(dict(state_dict=part), tmp_path / 'part.pth')
    with pytest.raises(ValueError, match='missing: global_token.img'):
        classifier(3, **start_from(tmp_path / 'part.pth')).init_weights()
    with pytest.raises(ValueError, match='unexpected: blocks.2.attn.proj'):
        classifier(3, depth=2, **start_from(path)).init_weights()


def test_a_pretrained_student_fills_a_detector_of_mmdet3d(pretrained, tmp_path):
    registry = pytest.importorskip('mmdet3d.registry')
    path, net = pretrained
    cfg = Config.fromfile(
        REPO / 'configs/recon/benchmarks/votenet_recon-base_8xb8-36e_scannet-3d.py'
    ).model

    def votenet(checkpoint, **kwargs):
        detector = cfg.copy()
        detector.backbone.update({**SIZES, **kwargs})
        detector.backbone.init_cfg.checkpoint = str(checkpoint)
        detector.neck.in_channels = SIZES['embed_dims']
        with DefaultScope.overwrite_default_scope('mmdet3d'):
            return registry.MODELS.build(detector)

    detector = votenet(path)
    detector.init_weights()
    check_same(detector.backbone, net.backbone)
    unused = net.backbone.state_dict().keys() - detector.backbone.state_dict().keys()
    assert unused and all('global_' in key or '_contrast.' in key for key in unused)
    with pytest.raises(ValueError, match='unexpected: blocks.2.attn.proj'):
        votenet(path, depth=2).backbone.init_weights()


def labelled(*labels):
    return [
        BaseDataElement(metainfo=dict(sample_id=f's{i}'), gt_label=torch.tensor([label]))
        for i, label in enumerate(labels)
    ]


def test_a_label_of_no_class_is_an_error():
    def evaluate(*labels):
        metric = Accuracy()
        out = classifier(3)(dict(points=cloud(len(labels))), labelled(*labels), 'predict')
        metric.process({}, [sample.to_dict() for sample in out])
        return metric.evaluate(len(labels))

    assert set(evaluate(0, 2)) == {'acc/overall', 'acc/class_mean'}
    for label in (3, -1):
        with pytest.raises(
            ValueError, match=f's1 is {label}, .* 3 classes.*num_classes.*class_names'
        ):
            evaluate(0, label)
    with pytest.raises(ValueError, match=r'\[0, 7\], .*num_classes=3: set num_classes'):
        classifier(3).train()(dict(points=cloud(2)), labelled(0, 7), mode='loss')
