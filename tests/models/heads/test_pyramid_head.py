"""Heads and necks for a student with levels of different resolution."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmengine.structures import BaseDataElement

from mmkd3d.models.heads.classification import ClsHead
from mmkd3d.models.heads.pyramid_segmentation import PyramidSegHead
from mmkd3d.models.necks.tokens_to_seeds import TokensToSeeds
from mmkd3d.ops import three_interpolate, three_nn
from mmkd3d.registry import MODELS

DIMS = (12, 18, 24)
BACKBONE = dict(
    type='mmkd3d.PointM2AE',
    level_dims=DIMS,
    depths=(1, 1, 1),
    num_heads=3,
    num_groups=(32, 16, 8),
    group_sizes=(8, 4, 4),
    patch_dims=(8, 16),
    drop_path_rate=0.0,
)
HEAD = dict(
    type='mmkd3d.PyramidSegHead',
    in_channels=DIMS,
    num_classes=5,
    propagation_dims=(20, 16),
    hidden_dims=(14, 12, 10),
)


def segmentor(**head):
    torch.manual_seed(0)
    head = dict(dict(HEAD, num_categories=2, dropout=0.0), **head)
    return MODELS.build(dict(type='mmkd3d.PointSegmentor', backbone=BACKBONE, head=head))


def batch(B=3, N=64):
    """Clouds with two parts, lower and upper half; every second cloud has category 1."""
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(B, N, 3, generator=generator) * 2 - 1
    samples = []
    for i, cloud in enumerate(points):
        parts = (cloud[:, 2] > 0).long() + 2 * (i % 2)
        samples.append(BaseDataElement(gt_label=torch.tensor(i % 2), gt_parts=parts))
    return dict(points=points), samples


def published_form(head, feats, category):
    """Published form of the head: repeat all features for each point, then concatenate."""
    points = feats['points']
    B, N = points.shape[:2]
    x = []
    for mlp, centers, tokens in zip(head.propagations, feats['level_centers'], feats['levels']):
        up = []
        for cloud, own, feat in zip(points, centers, tokens):
            near = three_nn(cloud[None], own[None])
            weight = 1 / (near.dist[0] ** 2 + 1e-8)
            weight = weight / weight.sum(1, keepdim=True)
            up.append((feat[near.idx[0]] * weight[..., None]).sum(1))
        up = torch.cat([points, torch.stack(up)], 2).flatten(0, 1)
        x.append(mlp(up).view(B, N, -1))
    x = torch.cat(x, 2)
    y = [x.max(1).values + x.mean(1)]
    if head.num_categories:
        y.append(head.label(torch.eye(head.num_categories)[category]))
    y = [p[:, None].expand(B, N, -1) for p in y]
    return head.mlp(torch.cat([*y, x], 2).flatten(0, 1)).view(B, N, -1).transpose(1, 2)


@pytest.fixture(scope='module')
def feats():
    return segmentor().eval().backbone(batch()[0]['points'])


@pytest.mark.parametrize('training, num_categories', [(False, 0), (True, 0), (True, 2)])
def test_head_is_the_published_concatenation(training, num_categories):
    model = segmentor(num_categories=num_categories).train(training)
    inputs, samples = batch()
    feats = model.backbone(inputs['points'])
    expected = published_form(model.head, feats, torch.tensor([0, 1, 0]))
    torch.testing.assert_close(model(inputs, samples), expected, atol=1e-5, rtol=1e-5)


def test_gradients_are_those_of_the_concatenation(feats):
    head = segmentor().head
    category = torch.tensor([0, 1, 0])
    levels = [x.detach().requires_grad_() for x in feats['levels']]
    feats = dict(feats, levels=levels)
    wanted = [*levels, *head.parameters()]
    forms = head(feats, category), published_form(head, feats, category)
    ours, naive = (torch.autograd.grad(form.square().sum(), wanted) for form in forms)
    for a, b in zip(ours, naive):
        torch.testing.assert_close(a, b, atol=2e-3, rtol=1e-3)
    assert all(grad.abs().sum() > 0 for grad in ours)


@pytest.mark.parametrize('levels', [(0,), (0, 1), (0, 1, 2, 2)])
def test_any_number_of_levels(feats, levels):
    keys = ('levels', 'level_centers', 'level_center_idx')
    feats = dict(feats, **{key: [feats[key][i] for i in levels] for key in keys})
    dims = [DIMS[i] for i in levels]
    head = PyramidSegHead(dims, 5, propagation_dims=(20, 16)).eval()
    torch.testing.assert_close(head(feats), published_form(head, feats, None), atol=1e-5, rtol=1e-5)
    seeds = TokensToSeeds(dims, 7, num_levels=len(dims))(feats)
    assert seeds['fp_features'][-1].shape == (3, 7, 32)


def test_the_head_serves_mmdetection3d():
    pytest.importorskip('mmdet3d')
    from mmdet3d.structures import Det3DDataSample, PointData

    init_default_scope('mmdet3d')
    parts = dict(backbone=BACKBONE, decode_head=dict(HEAD, ignore_index=5))
    parts.update(data_preprocessor=dict(type='Det3DDataPreprocessor'))
    cfg = dict(type='EncoderDecoder3D', test_cfg=ConfigDict(mode='whole'), **parts)
    model = MODELS.build(cfg)
    points, samples = batch()[0]['points'], []
    for cloud in points:
        labels = (cloud[:, 2] > 0).long()
        labels[:9] = 5
        samples.append(Det3DDataSample(gt_pts_seg=PointData(pts_semantic_mask=labels)))
    inputs = dict(points=[*points])
    assert model(inputs, samples, mode='loss')['decode.loss_seg'] > 0
    out = model.eval()(inputs, samples, mode='predict')
    expected = published_form(model.decode_head, model.backbone(points), None)
    assert torch.equal(out[1].pred_pts_seg.pts_semantic_mask, expected[1].argmax(0))


def test_categories_and_weights_that_do_not_fit_are_an_error(feats):
    head = segmentor().head
    for category, shown in (([0, 1, 2], r'\[0, 2\]'), ([0, -1, 1], r'\[-1, 1\]')):
        with pytest.raises(ValueError, match=f'num_categories=2.*{shown}'):
            head(feats, torch.tensor(category))
    with pytest.raises(ValueError, match='gt_label'):
        head(feats)
    with pytest.raises(ValueError, match='num_categories=0'):
        segmentor(num_categories=0).head(feats, torch.tensor([0, 0, 0]))
    with pytest.raises(ValueError, match='num_classes=5'):
        segmentor(class_weight=[1.0])


def test_students_of_other_levels_are_an_error(feats):
    head = PyramidSegHead(**{k: v for k, v in HEAD.items() if k != 'type'})
    levels, centers = feats['levels'], feats['level_centers']
    for part, given, text in (
        (head, {k: v for k, v in feats.items() if 'level_' not in k}, 'PointM2AE.*PointSegHead'),
        (
            head,
            dict(feats, levels=levels[:2], level_centers=centers[:2]),
            r'\(12, 18, 24\).*\(12, 18\) channels',
        ),
        (head, dict(feats, levels=levels[::-1]), r'\(24, 18, 12\) channels.*level_dims'),
        (TokensToSeeds(24, num_levels=3), feats, r'\(24, 24, 24\).*\(12, 18, 24\)'),
        (TokensToSeeds((12, 18), num_levels=2), feats, 'num_levels=2.*returns 3'),
    ):
        with pytest.raises(ValueError, match=text):
            part(given)
    with pytest.raises(ValueError, match=r'num_levels=3, got \(12, 24\)'):
        TokensToSeeds((12, 24), num_levels=3)
    with pytest.raises(ValueError, match=r'num_levels=0, got'):
        TokensToSeeds(DIMS)


def test_a_classifier_norms_the_tokens_that_it_pools(feats):
    torch.manual_seed(0)
    head = ClsHead(24, 5, pooling=('max+mean', 'mean'), norm=True)
    torch.nn.init.normal_(head.norm.weight)
    torch.nn.init.normal_(head.norm.bias)
    x = feats['tokens'] * 3 + 1
    normed = (x - x.mean(2, keepdim=True)) / (x.var(2, unbiased=False, keepdim=True) + 1e-5).sqrt()
    normed = normed * head.norm.weight + head.norm.bias
    expected = torch.cat([normed.max(1).values + normed.mean(1), normed.mean(1)], 1)
    torch.testing.assert_close(head.pool(dict(feats, tokens=x)), expected)
    assert head.mlp[0].in_features == 48
    keys = ClsHead(24, 5).state_dict().keys()
    assert head.state_dict().keys() - keys == {'norm.weight', 'norm.bias'}
    with pytest.raises(ValueError, match=r"\['img'\].*'max', 'mean'"):
        ClsHead(24, 5, pooling=('max+img',)).pool(feats)


def test_the_published_smoothing_is_torchs_of_another_strength():
    torch.manual_seed(0)
    logits, label, C = torch.randn(6, 40), torch.arange(6), 40
    target = torch.full((6, C), 0.2 / (C - 1))
    target[torch.arange(6), label] = 0.8
    head = ClsHead(2, C, pooling=('max',), label_smoothing=0.2 * 40 / 39)
    head.forward = lambda feats: logits
    loss = head.loss(None, label)['loss_cls']
    published = -(target * F.log_softmax(logits, 1)).sum(1).mean()
    torch.testing.assert_close(loss, published)


@pytest.mark.parametrize('num_seeds', [None, 50])
def test_seeds_are_of_the_finest_level_and_know_the_others(feats, num_seeds):
    neck = TokensToSeeds(DIMS, 7, num_levels=3, num_seeds=num_seeds).eval()
    out = neck(feats)
    index, seeds = out['fp_indices'][-1], out['fp_xyz'][-1]
    assert torch.equal(seeds, torch.stack([p[i] for p, i in zip(feats['points'], index)]))
    assert seeds.shape == (3, num_seeds or 32, 3)
    assert num_seeds or torch.equal(seeds, feats['level_centers'][0])
    levels = zip(feats['level_centers'], feats['levels'])
    tokens = [three_interpolate(seeds, centers, x) for centers, x in levels]
    # at a centre, interpolation returns its token up to about 1e-3
    expected = neck.project(torch.cat(tokens, 2).transpose(1, 2))
    torch.testing.assert_close(out['fp_features'][-1], expected, atol=1e-3, rtol=0)
    top = TokensToSeeds(24, 7)(feats)
    assert torch.equal(top['fp_xyz'][-1], feats['centers'])
    assert torch.equal(top['fp_indices'][-1], feats['center_idx'])
    assert top['fp_features'][-1].shape == (3, 7, 8)
