"""Downstream models with ReCon's student against the published models."""

import numpy as np
import pytest
import torch
import torch.nn as nn
from mmengine.structures import BaseDataElement

from mmkd3d.checkpoints import load_pretrained
from mmkd3d.registry import MODELS
from tests.helpers import load_case, parity_cases, reference_state, thin

NAMES = ('cls', 'img', 'text')
STREAMS = dict(ALL=('cls', 'max', 'img', 'text'), MDM=('cls', 'max'), CMC=('img', 'text'))


def student(config: dict, **kwargs) -> dict:
    """Our config for a published trunk."""
    return dict(
        dict(
            type='mmkd3d.ReConTransformer',
            embed_dims=config['trans_dim'],
            depth=config['depth'],
            num_heads=config['num_heads'],
            num_groups=config['num_group'],
            group_size=config['group_size'],
            drop_path_rate=config['drop_path_rate'],
        ),
        **kwargs,
    )


def classifier(config: dict, pooling: tuple, backbone: dict, **head) -> dict:
    return dict(
        type='mmkd3d.PointClassifier',
        backbone=backbone,
        head=dict(
            type='mmkd3d.ClsHead',
            in_channels=config['trans_dim'],
            num_classes=config['cls_dim'],
            pooling=pooling,
            **head,
        ),
    )


def build(cfg: dict, manifest: dict, states: str = 'state_dict'):
    """Model with the published weights; no key is missing or left over."""
    model = MODELS.build(cfg).eval()
    state = reference_state(dict(state_dict=manifest[states]))
    report = load_pretrained(model, state, prefix='')
    assert not (report.missing or report.unexpected or report.left_out)
    return model


def stack(tokens: dict) -> torch.Tensor:
    return torch.stack([tokens[name] for name in NAMES], dim=1)  # (B, 3, C)


def check(got: dict, arrays: dict, tolerance: dict) -> None:
    """Compare every array of a case except its inputs."""
    assert set(got) >= set(arrays) - {'points', 'onehot', 'is_centre', 'class_text_features'}
    for name in got.keys() & arrays.keys():
        expected, value = arrays[name], got[name].numpy()
        assert value.shape == expected.shape, name
        if name == 'neighborhood':
            check_sets(value, expected)
        elif np.issubdtype(expected.dtype, np.integer):
            assert (value == expected).all(), name
        else:
            limit = {} if name == 'center' else tolerance
            np.testing.assert_allclose(
                value, expected, limit.get('rtol', 0), limit.get('atol', 0), err_msg=name
            )


def check_sets(got: np.ndarray, expected: np.ndarray) -> None:
    """Compare groups (B, G, K, 3) as sets: the order of their points is arbitrary."""
    difference = np.abs(got[:, :, :, None] - expected[:, :, None]).max(-1)
    assert difference.min(2).max() <= 1e-6 and difference.min(3).max() <= 1e-6


@torch.no_grad()
@pytest.mark.parametrize(
    'case', parity_cases('recon/classifier_scanobjectnn*'), ids=lambda p: p.name
)
def test_classifier_gives_the_published_numbers(case):
    manifest, arrays = load_case(case)
    config = manifest['config']
    cfg = classifier(config, (*NAMES, 'max'), student(config))
    model = build(cfg, manifest)
    backbone = model.backbone
    points = torch.from_numpy(arrays['points'])
    patches, outputs = backbone.group(points), []
    for block in backbone.blocks:
        block.register_forward_hook(lambda m, args, out: outputs.append(out))
    feats = backbone(points)
    layers = torch.stack(outputs)  # (depth, B, 3 + G, C)
    local = layers[:, :, 3:].flatten(0, 1)
    local = thin(local, arrays['local_per_layer_strided'].shape[2])
    tokens = backbone.patch_embed(patches.points)
    pos = backbone.pos_embed(patches.centers)
    got = {}
    if 'state_dict_linear' in manifest:
        linear = classifier(config, (*NAMES, 'max'), student(config), hidden_dims=())
        linear = build(linear, manifest, 'state_dict_linear')
        got['logits_linear_head'] = linear(dict(points=points))
    check(
        dict(
            got,
            fps_idx=patches.center_idx,
            center=patches.centers,
            neighborhood=patches.points,
            tokens_strided=thin(tokens, arrays['tokens_strided'].shape[1]),
            pos_strided=thin(pos, arrays['pos_strided'].shape[1]),
            global_tokens_per_layer=layers[:, :, :3],
            local_per_layer_strided=local.unflatten(0, layers.shape[:2]),
            global_tokens_final=stack(feats['global_tokens']),
            feature=model.head.pool(feats),
            logits=model(dict(points=points)),
        ),
        arrays,
        manifest['tolerance'],
    )


@torch.no_grad()
@pytest.mark.parametrize('case', parity_cases('recon/classifier_twotower*'), ids=lambda p: p.name)
def test_classifier_of_two_towers_gives_the_published_numbers(case):
    manifest, arrays = load_case(case)
    config, points = manifest['config'], torch.from_numpy(arrays['points'])
    towers = dict(
        type='mmkd3d.TwoTower',
        masked=student(config, type='mmkd3d.PointTransformer'),
        contrast=student(config, global_tokens=('img', 'text'), plain_blocks=True),
    )
    got = {}
    for stream, pooling in STREAMS.items():
        suffix = '' if stream == 'ALL' else f'_{stream}'
        if f'state_dict{suffix}' not in manifest:
            continue
        model = build(
            classifier(config, pooling, towers, skip_tokens=2), manifest, f'state_dict{suffix}'
        )
        got[f'feature_{stream}'] = model.head.pool(model.backbone(points))
        got[f'logits_{stream}'] = model(dict(points=points))
    patches = model.backbone.group(points)
    got.update(center=patches.centers, neighborhood=patches.points)
    check(got, arrays, manifest['tolerance'])


@torch.no_grad()
@pytest.mark.parametrize('case', parity_cases('recon/svm_*'), ids=lambda p: p.name)
def test_feature_of_the_svm_is_the_published_one(case):
    manifest, arrays = load_case(case)
    points = torch.from_numpy(arrays['points'])
    model = MODELS.build(student(manifest['config'])).eval()
    report = load_pretrained(model, reference_state(manifest))
    assert not (report.missing or report.unexpected or report.left_out)
    patches, feats = model.group(points), model(points)
    check(
        dict(
            center=patches.centers,
            neighborhood=patches.points,
            feature=model.extract_feat(points, 'global'),
            tokens_final_global=stack(feats['global_tokens']),
            tokens_final_strided=thin(feats['tokens'], arrays['tokens_final_strided'].shape[1]),
        ),
        arrays,
        manifest['tolerance'],
    )


@MODELS.register_module()
class GivenNames(nn.Module):
    """Placeholder for a text teacher, with injected class features."""

    def __init__(self, feats):
        super().__init__()
        self.feats, self.dims = torch.from_numpy(feats), feats.shape[1]

    def class_features(self, names):
        assert len(names) == len(self.feats)
        return self.feats[:, None]


@torch.no_grad()
@pytest.mark.parametrize('case', parity_cases('recon/zeroshot_*'), ids=lambda p: p.name)
def test_zero_shot_gives_the_published_numbers(case):
    manifest, arrays = load_case(case)
    config, points = manifest['config'], torch.from_numpy(arrays['points'])
    names = arrays['class_text_features']
    widths = {
        name: manifest['state_dict'][f'{name}_proj.bias']['shape'][0] for name in ('img', 'text')
    }
    got = {}
    for mode in ('full', 'text', 'image'):
        model = build(
            dict(
                type='mmkd3d.ZeroShotClassifier',
                backbone=student(config),
                proj=widths,
                text=dict(type='mmkd3d.GivenNames', feats=names),
                mode=mode,
                ratio=config['ratio'],
                class_names=[str(i) for i in range(len(names))],
            ),
            manifest,
        )
        samples = [BaseDataElement() for _ in points]
        model(dict(points=points), samples, mode='predict')
        got[f'feature_{mode}'] = model.embed(points)
        got[f'scores_{mode}'] = model(dict(points=points))
        got[f'pred_{mode}'] = torch.stack([s.pred_label for s in samples])
    patches = model.backbone.group(points)
    tokens = model.backbone(points)['global_tokens']
    got.update(
        center=patches.centers, neighborhood=patches.points, tokens_final_global=stack(tokens)
    )
    check(got, arrays, manifest['tolerance'])


@torch.no_grad()
@pytest.mark.parametrize('case', parity_cases('recon/partseg*'), ids=lambda p: p.name)
def test_part_segmentation_gives_the_published_numbers(case):
    manifest, arrays = load_case(case)
    config, levels = manifest['config'], (3, 7, 11)
    model = build(
        dict(
            type='mmkd3d.PointSegmentor',
            backbone=student(config, out_indices=levels),
            head=dict(
                type='mmkd3d.PointSegHead',
                in_channels=config['trans_dim'],
                num_classes=config['cls_dim'],
                num_categories=arrays['onehot'].shape[1],
                with_global=True,
            ),
        ),
        manifest,
    )
    backbone, head = model.backbone, model.head
    points = torch.from_numpy(arrays['points'])
    category = torch.from_numpy(arrays['onehot']).argmax(1)
    samples = [BaseDataElement(gt_label=label) for label in category]
    patches, feats = backbone.group(points), backbone(points)
    raw = backbone.encode(patches, raw_indices=levels)['raw']
    up = head.propagate(points, patches.centers, head.concat(feats['levels']))
    logits = model(dict(points=points), samples).transpose(1, 2)  # (B, N, 50)
    some = thin(logits, arrays['logits_strided'].shape[1])
    if 'is_centre' in arrays:
        # the case computes it from rounded distances
        distances = (points[:, :, None] - patches.centers[:, None]).norm(dim=-1).amin(2)
        differ = (distances == 0).numpy() != arrays['is_centre']
        assert distances.numpy()[differ].max(initial=0) < 1e-3
    check(
        dict(
            center=patches.centers,
            neighborhood=patches.points,
            tokens_strided=thin(
                backbone.patch_embed(patches.points), arrays['tokens_strided'].shape[1]
            ),
            **{
                f'level_{i}_strided': thin(x, arrays[f'level_{i}_strided'].shape[1])
                for i, x in enumerate(raw)
            },
            global_tokens=stack(feats['raw_global_tokens']),
            global_max=head.join_global_tokens(feats),
            label_feature=head.embed_category(category)[..., None],
            propagation_strided=up.transpose(1, 2)[:, ::8, ::64],
            logits_strided=some,
            log_prob_strided=some.log_softmax(dim=2),
            argmax=logits.argmax(dim=2),
        ),
        arrays,
        manifest['tolerance'],
    )
