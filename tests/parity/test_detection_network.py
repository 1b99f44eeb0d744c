"""3DETR and 3DETR-m, from points to boxes, against the published networks."""

import re

import numpy as np
import pytest
import torch

from mmkd3d.checkpoints import load_pretrained
from mmkd3d.models.detectors.box_coding import decode_boxes
from mmkd3d.models.detectors.three_detr_head import extrema
from mmkd3d.registry import MODELS
from tests.helpers import load_case, parity_cases, reference_state
from tests.parity.box_corners import box_corners

MASK_RADII = dict(masked=(0.4**2, 0.8**2, 1.2**2), vanilla=())


def build(config: dict):
    masked = config['enc_type'] == 'masked'
    return MODELS.build(
        dict(
            type='mmkd3d.ThreeDETR',
            backbone=dict(
                type='mmkd3d.ThreeDETREncoder',
                in_channels=6 if config['use_color'] else 3,
                embed_dims=config['enc_dim'],
                depth=config['enc_nlayers'],
                num_heads=config['enc_nhead'],
                ffn_dims=config['enc_ffn_dim'],
                dropout=config['enc_dropout'],
                num_groups=config['preenc_npoints'],
                mask_radii=MASK_RADII[config['enc_type']],
            ),
            bbox_head=dict(
                type='mmkd3d.ThreeDETRHead',
                num_classes=config['num_semcls'],
                in_channels=config['enc_dim'],
                num_queries=config['nqueries'],
                num_angle_bins=config['num_angle_bin'],
                embed_dims=config['dec_dim'],
                num_proj_layers=2 if masked else 3,
                depth=config['dec_nlayers'],
                num_heads=config['dec_nhead'],
                ffn_dims=config['dec_ffn_dim'],
                dropout=config['dec_dropout'],
                mlp_dropout=config['mlp_dropout'],
                criterion=dict(type='mmkd3d.ThreeDETRCriterion'),
            ),
        )
    ).eval()


def scaled_state(manifest: dict) -> dict:
    """Weights of a case, scaled by its ``weight_scale``."""
    state = reference_state(manifest)
    for pattern, factor in manifest.get('weight_scale', ()):
        for key, value in state.items():
            if value.ndim >= 2 and re.search(pattern, key):
                state[key] = value * factor
    return state


@torch.no_grad()
def run(model, points: torch.Tensor, config: dict) -> dict:
    """Every array of a case, as our model computes it."""
    backbone, head = model.backbone, model.bbox_head
    low, high = extrema(points)
    patches = backbone.group(points)
    depth = config['enc_nlayers']
    feats = backbone.encode(patches, raw_indices=range(depth))
    tokens, centers = feats['tokens'], feats['centers']
    memory = head.projection(tokens.flatten(0, 1)).view(*tokens.shape[:2], -1)
    raw, query_xyz = model(dict(points=list(points)), mode='tensor')
    fourier = head.positions(query_xyz, low, high)
    boxes = decode_boxes(raw, query_xyz, low, high)
    last = boxes.layer(-1)
    stride, every = config['stride'], config['query_stride']
    thinned = dict(
        pre_enc_features=backbone.pre_encoder(patches.points),
        memory=memory,
        query_pos_fourier=fourier,
        query_embed=head.query_projection(fourier),
        **{f'encoder_layer{i}': feats['raw'][i] for i in range(depth)},
    )
    positions = head.positions(centers, low, high)
    decoded = head.decoder(memory, positions, thinned['query_embed'])
    all_layers = dict(
        sem_cls_logits=boxes.cls,
        center_unnormalized=boxes.center,
        center_normalized=boxes.center_normalized,
        size_unnormalized=boxes.size,
        size_normalized=boxes.size_normalized,
        angle_logits=boxes.angle_cls,
        angle_residual=boxes.angle_res_radians,
        angle_continuous=boxes.angle,
    )
    return dict(
        point_cloud_dims_min=low,
        point_cloud_dims_max=high,
        pre_enc_inds=patches.center_idx,
        enc_xyz=centers,
        enc_inds=feats['center_idx'],
        query_xyz=query_xyz,
        memory_pos_fourier=positions[:, :: 4 * stride],
        decoder_layers=decoded[:, :, ::stride],
        last_sem_cls_logits=last.cls,
        last_center_unnormalized=last.center,
        last_size_unnormalized=last.size,
        last_objectness_prob=last.objectness,
        last_box_corners=box_corners(last.center, last.size, last.angle[..., None]),
        **{name: x[:, ::stride] for name, x in thinned.items()},
        **{name: x[:, :, ::every] for name, x in all_layers.items()},
    )


@pytest.mark.parametrize('case', parity_cases('detection/3detr*'), ids=lambda path: path.name)
def test_network_gives_the_published_numbers(case):
    manifest, arrays = load_case(case)
    model = build(manifest['config'])
    report = load_pretrained(model, scaled_state(manifest), prefix='')
    assert not (report.missing or report.unexpected or report.left_out)
    points = torch.from_numpy(arrays.pop('points'))
    got = run(model, points, manifest['config'])
    assert set(arrays) <= set(got)
    tolerance = manifest['tolerance']
    for name, expected in arrays.items():
        value = got[name].numpy()
        assert value.shape == expected.shape, name
        if expected.dtype.kind == 'i':
            assert np.array_equal(value, expected), name
            continue
        np.testing.assert_allclose(value, expected, **tolerance, err_msg=name)
