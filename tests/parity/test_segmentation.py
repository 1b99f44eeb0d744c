"""ACT's two segmentors against the published models."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.structures import BaseDataElement

from mmkd3d.checkpoints import load_pretrained
from mmkd3d.registry import MODELS
from tests.helpers import REPO, load_case, parity_cases, reference_state, thin

SCHEDULE = REPO / 'configs/_base_/schedules/pretrain_300e.py'


def build(config: dict, num_categories: int, class_weight):
    return MODELS.build(
        dict(
            type='mmkd3d.PointSegmentor',
            backbone=dict(
                type='mmkd3d.PointTransformer',
                embed_dims=config['trans_dim'],
                depth=config['depth'],
                num_heads=config['num_heads'],
                num_groups=config['num_group'],
                group_size=config['group_size'],
                drop_path_rate=config['drop_path_rate'],
                with_cls_token=False,
                out_indices=config['fetch_layers'],
            ),
            head=dict(
                type='mmkd3d.PointSegHead',
                in_channels=config['trans_dim'],
                num_classes=config['cls_dim'],
                num_categories=num_categories,
                class_weight=class_weight,
            ),
        )
    ).eval()


@pytest.fixture(
    scope='module', params=parity_cases('act/*_segmentation'), ids=lambda path: path.name
)
def case(request):
    """Manifest, arrays, and the model with the published weights."""
    manifest, arrays = load_case(request.param)
    weight = arrays.get('class_weight')
    model = build(
        manifest['config'],
        16 if 'category' in arrays else 0,
        None if weight is None else weight.tolist(),
    )
    report = load_pretrained(model, reference_state(manifest), prefix='')
    assert not report.missing and not report.unexpected
    return manifest, arrays, model


@torch.no_grad()
def run(model, arrays: dict, layers) -> dict:
    """Every stored array, as our model computes it."""
    backbone, head = model.backbone, model.head
    points = torch.from_numpy(arrays['points'])
    samples = [
        BaseDataElement(gt_parts=torch.from_numpy(t.astype('int64'))) for t in arrays['target']
    ]
    for sample, category in zip(samples, arrays.get('category', ())):
        sample.gt_label = torch.tensor(int(category[0]))
    patches = backbone.group(points)
    raw = backbone.encode(patches, raw_indices=layers)['raw']
    levels = head.concat(backbone(points)['levels'])
    logits = model(dict(points=points), samples)
    loss = model(dict(points=points), samples, mode='loss')['loss_seg']
    got = dict(
        center=patches.centers,
        tokens=backbone.patch_embed(patches.points),
        tokens_1152=levels,
        propagated=head.propagate(points, patches.centers, levels),
        log_prob=logits.transpose(1, 2).log_softmax(dim=2),
        loss=loss[None],
        **{f'layer_{i}': x for i, x in zip(layers, raw)},
    )
    if 'label_feature' in arrays:
        got['label_feature'] = head.embed_category(head.categories(samples))
    return got


def test_segmenters_give_the_published_numbers(case):
    manifest, arrays, model = case
    got = run(model, arrays, manifest['config']['fetch_layers'])
    given = {'points', 'target', 'category', 'class_weight'}
    assert set(got) >= set(arrays) - given
    for name in got.keys() & arrays.keys():
        value, expected = got[name], arrays[name]
        if value.ndim == 3:
            value = thin(value, expected.shape[1])
        assert value.shape == expected.shape, name
        difference = np.abs(value.numpy() - expected).max()
        tolerance = manifest['tolerance'].get(name, 0)
        assert difference <= tolerance, (name, difference)


def test_parameters_and_their_weight_decay(case):
    manifest, _, model = case
    if 'parameters' not in manifest:
        pytest.skip('the case has no numbers of parameters')
    counts = manifest['parameters']
    assert sum(p.numel() for p in model.parameters()) == counts['total']
    wrapper = build_optim_wrapper(model, Config.fromfile(SCHEDULE).optim_wrapper.to_dict())
    decays = [
        group['weight_decay'] for group in wrapper.optimizer.param_groups for _ in group['params']
    ]
    assert decays.count(0.05) == counts['decay']
    assert decays.count(0.0) == counts['no_decay']
    assert len(decays) == counts['decay'] + counts['no_decay']
