"""Plain student and its head against the published classifier."""

import numpy as np
import pytest
import torch

from mmkd3d.checkpoints import load_pretrained
from mmkd3d.registry import MODELS
from tests.helpers import load_case, parity_cases, reference_state, thin


def build(config: dict):
    linear = config['transfer_type'] == 'linear'
    return MODELS.build(
        dict(
            type='mmkd3d.PointClassifier',
            backbone=dict(
                type='mmkd3d.PointTransformer',
                embed_dims=config['embed_dim'],
                depth=config['depth'],
                num_heads=config['num_heads'],
                num_groups=config['num_group'],
                group_size=config['group_size'],
                drop_path_rate=config['drop_path_rate'],
                out_indices=(3, 7, 11),
            ),
            head=dict(
                type='mmkd3d.ClsHead',
                in_channels=config['embed_dim'],
                hidden_dims=() if linear else (256, 256),
                num_classes=config['cls_dim'],
            ),
        )
    ).eval()


@pytest.mark.parametrize('case', parity_cases('act/classifier*'), ids=lambda p: p.name)
def test_classifier_gives_the_published_numbers(case):
    manifest, arrays = load_case(case)
    model = build(manifest['config'])
    report = load_pretrained(model, reference_state(manifest), prefix='')
    assert not report.missing and not report.unexpected
    backbone = model.backbone
    with torch.no_grad():
        points = torch.from_numpy(arrays['points'])
        patches = backbone.group(points)
        feats = backbone(points)
        pooled = model.head.pool(feats)
        got = dict(
            center=patches.centers,
            neighborhood=patches.points,
            tokens=backbone.patch_embed(patches.points),
            pos=backbone.pos_embed(patches.centers),
            norm=torch.cat([feats['cls_token'][:, None], feats['tokens']], 1),
            pooled=pooled,
            logits=model.head(feats),
            loss=model.head.loss(feats, torch.from_numpy(arrays['label']))['loss_cls'][None],
        )
    tolerance = dict(manifest['tolerance'], center=0, neighborhood=1e-6)
    assert 'logits' in arrays
    for name in got.keys() & arrays.keys():
        expected, value = arrays[name], got[name].numpy()
        if name not in ('pooled', 'logits', 'loss'):
            value = thin(value, expected.shape[1])
        assert value.shape == expected.shape, name
        difference = np.abs(value - expected).max()
        assert difference <= tolerance[name], (name, difference)
