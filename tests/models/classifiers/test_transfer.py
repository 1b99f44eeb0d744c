"""Transfer types of PointClassifier."""

import pytest
import torch
from mmengine.structures import BaseDataElement

from mmkd3d.models.classifiers.point_classifier import TRANSFER_TYPES
from mmkd3d.models.layers.side_tuning import SideTuning
from mmkd3d.registry import MODELS
from tests.helpers import rejects
from tests.models.steps import SMALL


def classifier(transfer_type, *, num_classes=3, small=True, backbone=None, pooling=None, **kwargs):
    torch.manual_seed(0)
    backbone = backbone or dict(type='mmkd3d.PointTransformer', **(SMALL if small else {}))
    head = dict(type='mmkd3d.ClsHead', in_channels=24 if small else 384, num_classes=num_classes)
    if transfer_type == 'linear':
        head.update(hidden_dims=())
    if pooling:
        head.update(pooling=pooling)
    cfg = dict(type='mmkd3d.PointClassifier', backbone=backbone, head=head, **kwargs)
    return MODELS.build(dict(cfg, transfer_type=transfer_type))


def batch(B=4):
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(B, 64, 3, generator=generator) * 2
    samples = [BaseDataElement(gt_label=torch.tensor(i % 3)) for i in range(B)]
    return dict(points=points), samples


def train_a_step(model):
    before = {k: v.clone() for k, v in model.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    model.train()(*batch(), mode='loss')['loss_cls'].backward()
    optimizer.step()
    return {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}


@pytest.mark.parametrize(
    'transfer_type, num_classes, count',
    [
        ('full', 15, 22_093_327),
        ('mlp-3', 15, 268_303),
        ('linear', 15, 12_303),
        ('linear', 40, 31_528),
    ],
)
def test_trained_parameters_number_as_published(transfer_type, num_classes, count):
    model = classifier(transfer_type, num_classes=num_classes, small=False)
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == count


@pytest.mark.parametrize('transfer_type', TRANSFER_TYPES)
def test_a_step_changes_what_the_table_says(transfer_type):
    model = classifier(transfer_type)
    names = {k for k, _ in model.named_parameters()}
    parts = {
        'full': ('',),
        'mlp-3': ('head.', 'cls_'),
        'linear': ('head.', 'cls_'),
        'side': ('head.', 'cls_', 'side.'),
        'bit-fit': ('head.', 'cls_', 'bias'),
        'probe': ('head.',),
    }[transfer_type]
    expected = {name for name in names if any(part in name for part in parts)}
    assert (transfer_type == 'full') == (expected == names)
    assert {k for k, p in model.named_parameters() if p.requires_grad} == expected
    changed = train_a_step(model) & names
    assert 'head.mlp.0.weight' in changed <= expected
    assert ('backbone.cls_token' in changed) == (transfer_type != 'probe')


def statistics(keys):
    return {k for k in keys if 'running' in k and 'backbone' in k}


@pytest.mark.parametrize('transfer_type', ['mlp-3', 'linear', 'side'])
def test_frozen_parts_stay_in_eval_mode_only_if_asked(transfer_type):
    assert statistics(train_a_step(classifier(transfer_type)))
    model = classifier(transfer_type, frozen_eval=True)
    assert not statistics(train_a_step(model))
    assert model.head.training
    assert not any(m.training for m in model.backbone.blocks.modules())
    inputs, _ = batch()
    feats = model.backbone(inputs['points'])
    torch.testing.assert_close(model.eval().backbone(inputs['points'])['tokens'], feats['tokens'])


def test_a_probe_reads_features_that_do_not_change():
    model = classifier('probe')
    assert not statistics(train_a_step(model))
    assert model.head.training and model.head.mlp[1].training
    assert not any(m.training for m in model.backbone.modules())
    inputs, _ = batch()
    feats = model.backbone(inputs['points'])
    assert not feats['tokens'].requires_grad
    torch.testing.assert_close(model.eval().backbone(inputs['points'])['tokens'], feats['tokens'])


SMALL_RECON = dict(type='mmkd3d.ReConTransformer', **SMALL)
TOWERS = dict(
    type='mmkd3d.TwoTower',
    masked=dict(type='mmkd3d.PointTransformer', **SMALL),
    contrast=dict(SMALL_RECON, global_tokens=('img', 'text'), plain_blocks=True),
)


@pytest.mark.parametrize(
    'transfer_type, backbone, own',
    [
        ('mlp-3', SMALL_RECON, {'global_token.cls', 'global_pos.cls'}),
        ('linear', TOWERS, {'masked.cls_token', 'masked.cls_pos'}),
        ('probe', SMALL_RECON, set()),
    ],
)
def test_of_the_global_tokens_only_that_of_the_class_is_trained(backbone, own, transfer_type):
    pooling = ('cls', 'img', 'text', 'max')
    model = classifier(transfer_type, backbone=backbone, pooling=pooling)
    assert {k for k, p in model.backbone.named_parameters() if p.requires_grad} == own
    assert all(p.requires_grad for p in model.head.parameters())
    assert {'head.mlp.0.weight'} <= train_a_step(model)


def test_what_is_trained_is_never_kept_in_eval_mode():
    model = classifier('bit-fit', frozen_eval=True).train()
    assert model.backbone.patch_embed.first[1].training
    model = classifier('full', frozen_eval=True).train()
    assert all(m.training for m in model.modules())
    assert not any(m.training for m in model.eval().modules())


@pytest.mark.parametrize('name, hint', [('linaer', "'linear'"), ('bitfit', "'bit-fit'"), ('', '')])
def test_an_unknown_type_is_an_error_that_knows_better(name, hint):
    with pytest.raises(ValueError, match='mlp-3.*linear.*side') as error:
        classifier(name)
    assert not hint or f'Did you mean {hint}?' in str(error.value)


def test_linear_needs_a_linear_head():
    cfg = dict(type='mmkd3d.PointClassifier', transfer_type='linear')
    cfg['backbone'] = dict(type='mmkd3d.PointTransformer', **SMALL)
    cfg['head'] = dict(type='mmkd3d.ClsHead', in_channels=24, num_classes=3)
    with pytest.raises(ValueError, match=r'hidden_dims=\(\)'):
        MODELS.build(cfg)


def test_side_tokens_are_blended_before_the_maximum():
    model = classifier('side').eval()
    inputs, _ = batch()
    with torch.no_grad():
        model.side.alpha.fill_(0.7)
        share = torch.tensor(0.7).sigmoid()
        patches = model.backbone.group(inputs['points'])
        plain = model.backbone(inputs['points'])
        side = model.side.proj(model.side.patch_embed(patches.points))
        tokens = share * plain['tokens'] + (1 - share) * side
        expected = model.head(dict(plain, tokens=tokens))
        torch.testing.assert_close(model(inputs), expected)
        model.side.alpha.fill_(20.0)  # weight 1 for the student's tokens
        torch.testing.assert_close(model(inputs), model.head(plain))


def test_side_branch_starts_in_the_middle():
    branch = SideTuning(24)
    assert branch.proj.bias is None and branch.alpha.shape == ()
    torch.manual_seed(0)
    tokens, patches = torch.randn(2, 5, 24), torch.randn(2, 5, 8, 3)
    side = branch.proj(branch.patch_embed.eval()(patches))
    torch.testing.assert_close(branch(tokens, patches), (tokens + side) / 2)


def test_a_sample_without_a_label_is_named():
    inputs, samples = batch()
    samples[2] = BaseDataElement(metainfo=dict(sample_id='bed/7'))
    model = classifier('full')
    rejects(
        '1 of 4 samples have no gt_label: bed/7.*folders of classes', model, inputs, samples, 'loss'
    )
