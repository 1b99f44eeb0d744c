"""Part and scene segmentation: head, losses, predictions and errors."""

import pytest
import torch
from mmengine.structures import BaseDataElement

from mmkd3d.models.heads.point_segmentation import PointSegHead
from mmkd3d.ops import three_nn
from mmkd3d.registry import MODELS
from tests.models.steps import SMALL

STUDENT = dict(SMALL, drop_path_rate=0.0, out_indices=(0, 1))
BACKBONE = dict(STUDENT, type='mmkd3d.PointTransformer', with_cls_token=False)
RECON = dict(STUDENT, type='mmkd3d.ReConTransformer')
HEAD_SIZES = dict(num_levels=2, propagation_dims=(40, 32), hidden_dims=(20, 12))
HEAD = dict(
    type='mmkd3d.PointSegHead', in_channels=24, num_classes=5, num_categories=2, **HEAD_SIZES
)
PARTS = ((0, 1), (2, 3, 4))


def segmentor(*, category_parts=PARTS, backbone=BACKBONE, **head):
    torch.manual_seed(0)
    cfg = dict(type='mmkd3d.PointSegmentor', backbone=backbone, head=dict(HEAD, **head))
    return MODELS.build(dict(cfg, category_parts=category_parts))


def batch(B=3, N=64):
    """Clouds with two parts, lower and upper half; every second cloud has category 1."""
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(B, N, 3, generator=generator) * 2 - 1
    samples = []
    for i, cloud in enumerate(points):
        upper = (cloud[:, 2] > 0).long()
        samples.append(BaseDataElement(gt_label=torch.tensor(i % 2), gt_parts=upper + 2 * (i % 2)))
    return dict(points=points), samples


def published_form(head, feats, category):
    """Published form of the head: repeat all features for each point, then concatenate."""
    points, centers = feats['points'], feats['centers']
    B, N = points.shape[:2]
    levels = torch.cat(feats['levels'], dim=2)
    up = []
    for b in range(B):
        near = three_nn(points[b : b + 1], centers[b : b + 1])
        weight = 1 / (near.dist[0] ** 2 + 1e-8)
        weight = weight / weight.sum(1, keepdim=True)
        up.append((levels[b][near.idx[0]] * weight[..., None]).sum(1))
    x = head.propagation(torch.cat([points, torch.stack(up)], 2).flatten(0, 1))
    one_hot = torch.eye(head.num_categories)[category]
    parts = [levels.amax(1), levels.mean(1)]
    if head.with_global:
        cls, img, text = feats['raw_global_tokens'].values()
        parts.append(torch.maximum(torch.maximum(cls, img), text))
    parts.append(head.label(one_hot))
    parts = [p[:, None].expand(B, N, -1).flatten(0, 1) for p in parts]
    return head.mlp(torch.cat([x, *parts], 1)).view(B, N, -1).transpose(1, 2)


@pytest.mark.parametrize(
    'student, training',
    [(dict(), False), (dict(), True), (dict(backbone=RECON, with_global=True), True)],
)
def test_head_is_the_published_concatenation(student, training):
    model = segmentor(dropout=0.0, **student).train(training)
    inputs, samples = batch()
    feats = model.backbone(inputs['points'])
    expected = published_form(model.head, feats, torch.tensor([0, 1, 0]))
    torch.testing.assert_close(model(inputs, samples), expected, atol=1e-5, rtol=1e-5)


def test_loss_is_the_weighted_mean_over_labelled_points():
    weight = [1.0, 2.0, 3.0, 4.0, 5.0]
    model = segmentor(class_weight=weight, ignore_index=9).eval()
    assert segmentor().state_dict().keys() == model.state_dict().keys()
    inputs, samples = batch()
    samples[0].gt_parts[:10] = 9
    losses = model(inputs, samples, mode='loss')
    log_prob = model(inputs, samples).log_softmax(1)
    total = norm = hits = count = 0.0
    for b, sample in enumerate(samples):
        for n, label in enumerate(sample.gt_parts.tolist()):
            if label == 9:
                continue
            total -= weight[label] * log_prob[b, label, n].item()
            norm += weight[label]
            hits += log_prob[b, :, n].argmax().item() == label
            count += 1
    assert losses['loss_seg'].item() == pytest.approx(total / norm, rel=1e-5)
    assert losses['accuracy'].item() == pytest.approx(hits / count)


def test_parts_are_predicted_within_the_category():
    inputs, samples = batch(B=8)
    free = segmentor(category_parts=None).eval()
    bound = segmentor().eval()
    anywhere = free(inputs, samples, mode='predict')
    outside = [
        i for i, s in enumerate(anywhere) if not set(s.pred_parts.tolist()) <= set(PARTS[i % 2])
    ]
    assert outside  # otherwise the check below is vacuous
    logits = bound(inputs, samples)
    for i, sample in enumerate(bound(inputs, samples, mode='predict')):
        own = list(PARTS[i % 2])
        best = torch.tensor(own)[logits[i, own].argmax(0)]
        assert torch.equal(sample.pred_parts, best)


def test_every_parameter_learns_which_half_is_which():
    model = segmentor(dropout=0.0)
    inputs, samples = batch(B=4)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(40):
        losses = model(inputs, samples, mode='loss')
        optimizer.zero_grad()
        losses['loss_seg'].backward()
        optimizer.step()
    assert losses['accuracy'] > 0.95
    for name, parameter in model.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


def test_wrong_labels_say_what_to_do():
    model = segmentor()
    inputs, samples = batch()
    with pytest.raises(ValueError, match="must be one of 'loss'"):
        model(inputs, samples, mode='draw')

    def first_label(value):
        samples[1].gt_parts[0] = value

    def no_labels():
        for sample in samples:
            sample.gt_parts.fill_(-100)

    def fewer_labels():
        for sample in samples:
            sample.gt_parts = sample.gt_parts[:32]

    def no_field():
        for sample in samples:
            del sample.gt_parts

    for change, text in (
        (lambda: first_label(5), r'num_classes=5.*\[0, 5\]'),
        (lambda: first_label(-1), r'\[-1, 3\]'),
        (no_labels, 'No point of the batch'),
        (fewer_labels, 'sample both together'),
        (no_field, 'parts_column'),
    ):
        change()
        with pytest.raises(ValueError, match=text):
            model(inputs, samples, mode='loss')


@pytest.mark.parametrize('mode', ['loss', 'predict', 'tensor'])
def test_a_missing_or_unknown_category_is_an_error(mode):
    model = segmentor().eval()
    inputs, samples = batch()
    samples[2].gt_label = torch.tensor(2)
    with pytest.raises(ValueError, match='num_categories=2'):
        model(inputs, samples, mode=mode)
    del samples[2].gt_label
    with pytest.raises(ValueError, match='pass data samples with gt_label'):
        model(inputs, samples, mode=mode)


def test_parts_that_do_not_fit_are_an_error():
    with pytest.raises(ValueError, match='num_classes=5'):
        segmentor(class_weight=[1.0])
    with pytest.raises(ValueError, match='out_indices'):
        segmentor(num_levels=3)(*batch())
    for parts in ([(0, 1)], [(0, 1), (2, 5)], [(0, 1), ()]):
        with pytest.raises(ValueError, match='num_categories=2'):
            segmentor(category_parts=parts)
    with pytest.raises(ValueError, match='ReConTransformer'):
        segmentor(with_global=True)(*batch())
    scenes = PointSegHead(24, 5, **HEAD_SIZES)
    assert scenes.label is None
    feats = MODELS.build(BACKBONE)(batch()[0]['points'])
    with pytest.raises(ValueError, match='num_categories=0'):
        scenes(feats, torch.tensor([0, 0, 0]))
