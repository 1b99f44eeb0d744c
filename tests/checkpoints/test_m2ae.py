"""Loading checkpoints of Point-M2AE and I2P-MAE into their models."""

import pytest
import torch
import torch.nn as nn

from mmkd3d.checkpoints import convert, load_pretrained, state_dict_of
from mmkd3d.registry import MODELS
from tests.checkpoints.published import PUBLISHED
from tests.checkpoints.published_m2ae import DIMS, clip_model
from tests.helpers import rejects

BACKBONE = dict(
    type='mmkd3d.PointM2AE',
    level_dims=DIMS,
    depths=(2, 2, 2),
    num_heads=2,
    num_groups=(16, 8, 4),
    group_sizes=(8, 8, 4),
    patch_dims=(4, 8),
)
PRETRAINER = dict(
    backbone=BACKBONE,
    decoder=dict(
        type='mmkd3d.M2AEDecoder',
        stage_dims=DIMS[:0:-1],
        depths=(1, 1),
        num_heads=2,
        propagation_depths=(2,),
    ),
    masker=dict(type='mmkd3d.RandomMasker', ratio=0.5),
    losses=dict(chamfer=dict(type='mmkd3d.ChamferLoss')),
)


@MODELS.register_module()
class NoTarget(nn.Module):
    """Placeholder for a target that is never called."""

    dims = 5


def classifier() -> nn.Module:
    dims = dict(in_channels=DIMS[-1], num_classes=5, hidden_dims=(9, 9))
    head = dict(type='mmkd3d.ClsHead', pooling=('max+mean',), norm=True, **dims)
    backbone = dict(BACKBONE, norm_levels=())
    return MODELS.build(dict(type='mmkd3d.PointClassifier', backbone=backbone, head=head))


def segmentor() -> nn.Module:
    head = dict(
        type='mmkd3d.PyramidSegHead',
        in_channels=DIMS,
        num_classes=6,
        num_categories=16,
        category_dims=5,
        propagation_dims=(9, 7),
        hidden_dims=(9, 8, 7),
    )
    return MODELS.build(dict(type='mmkd3d.PointSegmentor', backbone=BACKBONE, head=head))


def point_m2ae() -> nn.Module:
    return MODELS.build(dict(PRETRAINER, type='mmkd3d.M2AE', num_pred_points=16))


def i2p_mae() -> nn.Module:
    losses = dict(PRETRAINER['losses'], semantic=dict(type='mmkd3d.L2Loss'))
    target = dict(type='mmkd3d.NoTarget')
    return MODELS.build(dict(PRETRAINER, type='mmkd3d.I2PMAE', target=target, losses=losses))


MODELS_OF = dict(
    point_m2ae=point_m2ae,
    i2p_mae=i2p_mae,
    point_m2ae_classifier=classifier,
    point_m2ae_partseg=segmentor,
)


@pytest.mark.parametrize('source, start', zip(MODELS_OF, ['module.', '', '', 'module.']))
def test_a_file_fills_its_model(source, start, tmp_path):
    state = {start + key: value for key, value in PUBLISHED[source].items()}
    torch.save(dict(base_model=state, epoch=300), tmp_path / 'file.pth')
    model = MODELS_OF[source]()
    report = load_pretrained(model, tmp_path / 'file.pth', prefix='')
    assert len(report.loaded) == len(model.state_dict()) == len(state)
    assert not (report.missing or report.unexpected or report.left_out)


def test_clip_in_a_file_is_dropped():
    alone = PUBLISHED['i2p_mae']
    state = {f'module.{k}': v for k, v in (alone | clip_model()).items()}
    ours, meta = convert(state_dict_of(dict(base_model=state)), 'i2p_mae')
    assert meta['dropped'] == list(clip_model())
    assert ours.keys() == convert(alone, 'i2p_mae')[0].keys()
    report = load_pretrained(i2p_mae(), dict(base_model=state), prefix='')
    assert len(report.loaded) == len(alone)


@pytest.mark.parametrize('source', ['point_m2ae', 'i2p_mae'])
def test_a_pretrained_student_serves_downstream(source):
    state = PUBLISHED[source]
    student = MODELS.build(BACKBONE)
    report = load_pretrained(student, state)
    assert set(report.loaded) == set(student.state_dict())
    assert student.norms['2'].bias.equal(state['h_encoder.encoder_norms.2.bias'])
    assert all(not k.startswith('backbone.') for k in report.left_out)
    # the classifier's norm belongs to the head and is newly initialised
    model = classifier()
    report = load_pretrained(model.backbone, state)
    assert set(report.loaded) == set(model.backbone.state_dict())
    norms = [f'norms.{i}.{kind}' for i in range(3) for kind in ('weight', 'bias')]
    assert [k for k in report.left_out if k.startswith('norms.')] == norms


def test_files_of_other_models_are_an_error():
    for model, source, text in [
        (i2p_mae(), 'point_m2ae', 'missing: to_feats'),
        (point_m2ae(), 'i2p_mae', 'unexpected: to_feats'),
        (classifier(), 'i2p_mae', 'needed is a file of a finetuned model'),
        (point_m2ae(), 'point_m2ae_classifier', 'needed is a pretraining'),
        (classifier(), 'point_m2ae_partseg', 'unexpected: backbone.norms'),
        (segmentor(), 'point_m2ae_classifier', 'missing: backbone.norms'),
    ]:
        rejects(f'(?is){text}', load_pretrained, model, PUBLISHED[source], prefix='')
    student, state = MODELS.build(BACKBONE), PUBLISHED['point_m2ae_classifier']
    rejects('missing: norms.0', load_pretrained, student, state)
