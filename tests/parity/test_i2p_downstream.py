"""Downstream models with Point-M2AE's student against the published ones."""

import re

import numpy as np
import pytest
import torch
from mmengine.structures import BaseDataElement

from mmkd3d.checkpoints import load_pretrained
from mmkd3d.registry import MODELS
from tests.helpers import load_case, parity_cases, reference_state

POOLING = dict(I2P_MAE_ModelNet40=('max+mean',), I2P_MAE_ScanObjectNN=('mean', 'max'))


def student(config: dict, **kwargs) -> dict:
    """Our config for a published encoder."""
    return dict(
        type='mmkd3d.PointM2AE',
        level_dims=config['encoder_dims'],
        depths=config['encoder_depths'],
        num_heads=config['num_heads'],
        num_groups=config['num_groups'],
        group_sizes=config['group_sizes'],
        radii=config['local_radius'],
        drop_path_rate=config['drop_path_rate'],
        **kwargs,
    )


def build(cfg: dict, manifest: dict):
    """Model with the published weights; no key is missing or left over."""
    model = MODELS.build(cfg).eval()
    report = load_pretrained(model, reference_state(manifest), prefix='')
    assert not (report.missing or report.unexpected or report.left_out)
    return model


class Recorder:
    """Records the inputs and outputs of the blocks of each level of a student.

    Attributes:
        embed: Level to tokens (B, G, C) before the first block.
        tokens: Level to tokens after the last.
        blocked: Level to (B, G), the number of keys masked for each query.
    """

    def __init__(self, backbone):
        self.embed, self.tokens, self.blocked = {}, {}, {}
        for level, blocks in enumerate(backbone.blocks):
            blocks.register_forward_hook(self.hook(level), with_kwargs=True)

    def hook(self, level: int):

        def record(blocks, args, kwargs, output):
            x, allowed = args[0], kwargs['allowed']
            self.embed[level], self.tokens[level] = x, output[0]
            self.blocked[level] = torch.zeros(x.shape[:2])
            if allowed is not None:
                self.blocked[level] = (~allowed[:, 0]).sum(dim=2)

        return record


def strides(manifest: dict, name: str) -> list[int]:
    """Strides of the stored rows of an array, from its description."""
    role = manifest['arrays'][name]['role']
    return [int(s) for s in re.findall(r'every (\d+)|\[::(\d+)\]', role) for s in s if s]


def grouping(patches: list) -> dict:
    arrays = {}
    for i, level in enumerate(patches):
        arrays[f'knn_{i}'] = level.point_idx
        arrays[f'center_{i}'] = level.centers
    return arrays


def check(got: dict, arrays: dict, tolerance: dict) -> None:
    """Compare every array of a case except its inputs."""
    assert set(got) >= set(arrays) - {'points', 'label'}
    for name in got.keys() & arrays.keys():
        expected, value = arrays[name], got[name].numpy()
        assert value.shape == expected.shape, name
        if np.issubdtype(expected.dtype, np.integer):
            assert (value == expected).all(), name
        else:
            kind = name.split('_')[0]
            limit = tolerance.get(name, tolerance.get(kind))
            difference = np.abs(value - expected).max()
            assert difference <= limit, (name, difference)


@torch.no_grad()
@pytest.mark.parametrize('case', parity_cases('i2p_mae/cls_*'), ids=lambda p: p.name)
def test_classifier_gives_the_published_numbers(case):
    manifest, arrays = load_case(case)
    config, points = manifest['config'], torch.from_numpy(arrays['points'])
    model = build(
        dict(
            type='mmkd3d.PointClassifier',
            backbone=student(config, norm_levels=()),
            head=dict(
                type='mmkd3d.ClsHead',
                in_channels=config['encoder_dims'][-1],
                num_classes=arrays['logits'].shape[1],
                pooling=POOLING[config['cls_head']],
                norm=True,
            ),
        ),
        manifest,
    )
    seen = Recorder(model.backbone)
    feats = model.backbone(points)
    got = grouping(model.backbone.group(points))
    for i, x in seen.tokens.items():
        for name, value in (('embed', seen.embed[i]), ('tokens', x)):
            name = f'{name}_{i}'
            got[name] = value[:, :: strides(manifest, name)[0]]
        got[f'tokens_{i}_mean'] = x.mean(dim=2)
        got[f'att_blocked_{i}'] = seen.blocked[i]
    check(
        dict(got, head_in=model.head.pool(feats), logits=model(dict(points=points))),
        arrays,
        manifest['tolerance'],
    )


@torch.no_grad()
@pytest.mark.parametrize('case', parity_cases('i2p_mae/part_segmentation*'), ids=lambda p: p.name)
def test_part_segmentation_gives_the_published_numbers(case):
    manifest, arrays = load_case(case)
    config, points = manifest['config'], torch.from_numpy(arrays['points'])
    model = build(
        dict(
            type='mmkd3d.PointSegmentor',
            backbone=student(config),
            head=dict(
                type='mmkd3d.PyramidSegHead',
                in_channels=config['encoder_dims'],
                num_classes=config['num_parts'],
                num_categories=config['num_categories'],
            ),
        ),
        manifest,
    )
    head, feats = model.head, model.backbone(points)
    category = torch.from_numpy(arrays['label']).long()
    parts = (
        torch.arange(points.shape[0] * points.shape[1]).view(points.shape[:2]) % config['num_parts']
    )
    samples = [BaseDataElement(gt_label=label, gt_parts=own) for label, own in zip(category, parts)]
    ups = head.propagate(feats)
    got = grouping(model.backbone.group(points))
    for i, (level, up) in enumerate(zip(feats['levels'], ups)):
        got[f'tokens_{i}'] = level[:, :: strides(manifest, f'tokens_{i}')[0]]
        channels, rows = strides(manifest, f'prop_{i}')
        got[f'prop_{i}'] = up.transpose(1, 2)[:, ::channels, ::rows]
    # In the case, category features have a different order of clouds than log_prob;
    # only log_prob follows the order of `label`.
    own = head.embed_category(category)
    stored = torch.from_numpy(arrays['global_feature'][:, -own.shape[1] :])
    order = torch.cdist(stored, own).argmin(dim=1)
    assert category[order].sort().values.equal(category.sort().values)
    check(
        dict(
            got,
            global_feature=torch.cat([head.pool(ups), own[order]], dim=1),
            log_prob=model(dict(points=points), samples).log_softmax(dim=1).transpose(1, 2),
            loss=model(dict(points=points), samples, mode='loss')['loss_seg'],
        ),
        arrays,
        manifest['tolerance'],
    )
