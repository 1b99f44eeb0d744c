"""ReCon: gradients of each loss, and optional parts.

tests/parity compares features, losses and gradients with the published ones.
"""

import math

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.registry import DefaultScope
from mmengine.structures import BaseDataElement

import mmkd3d
from mmkd3d.evaluation.accuracy import Accuracy
from mmkd3d.models.losses.modal_contrast import supervised_contrast
from mmkd3d.registry import MODELS
from tests.models import steps
from tests.models.steps import SMALL, check_step, losses_of, odd_clouds


@MODELS.register_module()
class ConstantTarget(nn.Module):
    """Returns the same random feature for all samples."""

    def __init__(self, dims):
        super().__init__()
        self.dims, self.teacher = dims, None
        self.feature = torch.randn(dims)

    def forward(self, points, data_samples):
        return self.feature.expand(len(points), -1)


TARGETS = dict(img=dict(type='ConstantTarget', dims=6), text=dict(type='ConstantTarget', dims=5))
NO_CONTRAST = dict(contrast=None)
CONTRAST = dict(type='mmkd3d.SingleModalContrast', embed_dims=32)
SMOOTH = dict(type='mmkd3d.SmoothL1Loss')
LOSSES = dict(chamfer=dict(type='mmkd3d.ChamferLoss'), img=SMOOTH, text=SMOOTH, contrast=CONTRAST)
SIZES = dict(SMALL, embed_dims=32, depth=3, num_heads=2, drop_path_rate=0.0)


def recon(tokens=('cls', 'img', 'text'), stop_gradient=True, losses=(), **kwargs):
    """Small model; ``losses`` are merged into LOSSES."""
    torch.manual_seed(0)
    options = dict(global_tokens=tokens, stop_gradient=stop_gradient)
    cfg = dict(
        type='mmkd3d.ReCon',
        backbone=dict(type='mmkd3d.ReConTransformer', **options, **SIZES),
        targets=TARGETS,
        masker=dict(type='mmkd3d.RandomMasker', ratio=0.5),
        decoder=dict(type='mmkd3d.MaskedDecoder', embed_dims=32, depth=1, num_heads=2),
        losses={**LOSSES, **dict(losses)},
    )
    return MODELS.build({**cfg, **kwargs}).train()


def cloud(batch=4, points=128):
    return steps.cloud(batch, points)


def samples(*categories):
    return [BaseDataElement(metainfo=dict(category=c)) for c in categories]


KINDS = samples('chair', 'lamp', 'chair', 'sofa')


def trained(model, name):
    """Names of the parameters with a gradient from the loss ``name``."""
    torch.manual_seed(0)
    losses = model.loss(cloud(), KINDS)
    model.zero_grad()
    losses[name].backward()
    return steps.reached(model)


def test_every_loss_stays_in_its_stream_unless_the_gradient_is_not_stopped():
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
    free = trained(recon(stop_gradient=False), 'loss_text')
    assert 'backbone.patch_embed.first.0.weight' in free


def test_global_tokens_are_seen_by_no_local_token_and_by_no_other_global_one():
    net = recon().eval().backbone
    before = net(cloud())
    net.global_token['img'].data.normal_()
    after = net(cloud())
    assert torch.equal(after['tokens'], before['tokens'])
    for name, same in dict(img=False, text=True, cls=True).items():
        tokens = (out['global_tokens'][name] for out in (before, after))
        assert torch.equal(*tokens) == same


def test_any_loss_or_target_can_be_switched_off():
    names = {'loss_chamfer', 'loss_img', 'loss_text', 'loss_contrast'}
    for name in LOSSES:
        losses = recon(losses={name: None}).loss(cloud(), KINDS)
        assert set(losses) == names - {f'loss_{name}'}
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
    targets, depth = dict(TARGETS, depth=TARGETS['img']), dict(SMOOTH, loss_weight=3.0)
    model = recon(('cls', 'img', 'text', 'depth'), targets=targets, losses=dict(depth=depth))
    assert 'backbone.global_token.depth' in trained(model, 'loss_depth')
    pred, target = torch.randn(2, 4, 6)
    torch.testing.assert_close(
        model.loss_fns['depth'](pred, target), 3 * model.loss_fns['img'](pred, target)
    )
    names = ['loss_chamfer', 'loss_img', 'loss_text', 'loss_depth', 'loss_contrast']
    assert list(model.loss(cloud(), KINDS)) == names


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
    loss = MODELS.build(CONTRAST)
    feats, names = torch.randn(7, 32, requires_grad=True), [str(kind) for kind in kinds]
    once, loss.loss_weight = loss(feats, names), 3.0
    torch.testing.assert_close(loss(feats, names), 3 * once)
    value = loss(feats, ['chair'] * 7)
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-6)
    assert feats.grad.isfinite().all()


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


TOWERS = dict(
    type='mmkd3d.TwoTower',
    masked=dict(type='mmkd3d.PointTransformer', with_cls_token=False, **SIZES),
    contrast=dict(
        type='mmkd3d.ReConTransformer', plain_blocks=True, global_tokens=('img', 'text'), **SIZES
    ),
)


def test_two_towers_share_patches_and_nothing_else():
    model = recon(backbone=TOWERS, losses=NO_CONTRAST)
    assert not any('contrast' in name for name in trained(model, 'loss_chamfer'))
    assert not any('.masked' in n or 'decoder' in n for n in trained(model, 'loss_img'))
    mask = torch.arange(16).expand(4, -1) < 8
    model.eval()
    patches = model.group(cloud())
    img = [model.forward_encoder(patches, m)['global_tokens']['img'] for m in (mask, ~mask)]
    assert torch.equal(*img)
    student = model.backbone
    student.masked.out_indices = (0,)
    (level,) = student(cloud())['levels']
    student.truncate(0)
    assert torch.equal(student.extract_feat(cloud(), 'token'), level)


GLOBAL_LOSSES = ('img', 'text', 'contrast')


@pytest.mark.parametrize(
    'change, text',
    [
        (dict(tokens=('img',)), r"No global token for \['text', 'cls'\]"),
        (dict(tokens=('cls', 'img', 'img', 'text')), 'different names'),
        (dict(losses=dict(txt=dict(type='mmkd3d.L2Loss'))), r"only one of them for \['txt'\]"),
        (dict(targets=dict(img=TARGETS['img'])), r"only one of them for \['text'\]"),
        (dict(masker=dict(type='mmkd3d.RandomMasker', ratio=0)), 'higher ratio'),
        (dict(decoder=None), 'give a decoder'),
        (dict(losses=dict.fromkeys(LOSSES)), 'Nothing to learn'),
        (dict(backbone=TOWERS, losses=dict(chamfer=None, **NO_CONTRAST)), 'Each of two towers'),
        (dict(backbone=TOWERS, losses=dict.fromkeys(GLOBAL_LOSSES)), 'Each of two towers'),
    ],
)
def test_parts_that_do_not_fit_are_named(change, text):
    with pytest.raises(ValueError, match=text):
        recon(**change)


def test_without_reconstruction_nothing_is_drawn():
    with pytest.raises(ValueError, match='nothing is reconstructed'):
        recon(losses=dict(chamfer=None)).eval().predict(cloud(), None)
    drawn = recon().eval().predict(cloud(2), None)
    assert drawn[0]['visible'].shape == drawn[0]['pred'].shape == (64, 3)


ODD = {**odd_clouds(), 'fewer_than_groups': cloud(2, 12)}


@pytest.mark.parametrize(
    'name, stop_gradient',
    [
        ('one', True),
        ('no_more_than_a_patch', False),
        ('origin', True),
        ('fewer_than_groups', False),
        ('duplicated', True),
    ],
)
def test_odd_clouds_give_finite_losses_and_gradients(name, stop_gradient):
    losses = NO_CONTRAST if name == 'one' else {}
    net = recon(stop_gradient=stop_gradient, losses=losses)
    check_step(net, ODD[name], samples('chair', 'lamp')[: len(ODD[name])])


def test_the_contrast_needs_two_shapes_and_their_categories_to_train():
    with pytest.raises(ValueError, match='batch of 1.*drop_last=True'):
        recon().loss(cloud(1), samples('chair'))
    assert recon().eval().loss(cloud(1), samples('chair'))['loss_contrast'] == 0
    unnamed = [BaseDataElement(metainfo=dict(sample_id=f'shape {i}')) for i in range(2)]
    text = '2 of 4 samples have no category: shape 0, shape 1. .*contrast=None'
    with pytest.raises(ValueError, match=text):
        recon().loss(cloud(), KINDS[:2] + unnamed)
    check_step(recon(losses=NO_CONTRAST), cloud(), KINDS[:2] + unnamed)


def classifier(num_classes, **kwargs):
    torch.manual_seed(0)
    head = dict(
        type='mmkd3d.ClsHead',
        in_channels=32,
        hidden_dims=(),
        num_classes=num_classes,
        pooling=('cls', 'img', 'text', 'max'),
    )
    backbone = dict(type='mmkd3d.ReConTransformer', **dict(SIZES, **kwargs))
    return MODELS.build(dict(type='mmkd3d.PointClassifier', backbone=backbone, head=head)).eval()


@pytest.fixture(scope='module')
def pretrained(tmp_path_factory):
    """Checkpoint as saved by a run, and its model."""
    path = tmp_path_factory.mktemp('pretrained') / 'epoch_1.pth'
    net = recon()
    for parameter in net.parameters():
        parameter.data.add_(0.01)  # differs from any initialisation
    torch.save(dict(meta=dict(epoch=1), state_dict=net.state_dict()), path)
    return path, net


def start_from(path):
    return dict(init_cfg=dict(type='Pretrained', checkpoint=str(path)))


def check_same(backbone, expected):
    """Check that all values of ``backbone`` equal the pretrained ones."""
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


def test_a_pretrained_student_fills_a_detector_of_mmdet3d(pretrained):
    registry = pytest.importorskip('mmdet3d.registry')
    path, net = pretrained
    cfg = mmkd3d.get_config('votenet_recon-b_8xb8-36e_scannet-3d').model

    def votenet(**kwargs):
        detector = cfg.copy()
        detector.backbone.update({**SIZES, **kwargs})
        detector.backbone.init_cfg.checkpoint = str(path)
        detector.neck.in_channels = SIZES['embed_dims']
        with DefaultScope.overwrite_default_scope('mmdet3d'):
            return registry.MODELS.build(detector)

    detector = votenet()
    detector.init_weights()
    check_same(detector.backbone, net.backbone)
    unused = net.backbone.state_dict().keys() - detector.backbone.state_dict().keys()
    assert unused and all('global_' in key or '_contrast.' in key for key in unused)
    with pytest.raises(ValueError, match='unexpected: blocks.2.attn.proj'):
        votenet(depth=2).backbone.init_weights()


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
        text = f's1 is {label}, .* 3 classes.*num_classes.*class_names'
        with pytest.raises(ValueError, match=text):
            evaluate(0, label)
    with pytest.raises(ValueError, match=r'\[0, 7\], .*num_classes=3: set num_classes'):
        losses_of(classifier(3).train(), cloud(2), labelled(0, 7))
