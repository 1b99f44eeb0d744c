"""Head and detector of 3DETR, with its own encoder and with other students."""

import copy
import math

import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from mmkd3d import get_config
from mmkd3d.checkpoints import load_pretrained, to_published
from mmkd3d.models.detectors.box_coding import decode_boxes
from mmkd3d.models.detectors.detr_layers import FourierPositions
from mmkd3d.models.detectors.three_detr_head import extrema
from mmkd3d.registry import MODELS
from tests.models.steps import SMALL

ENCODER = dict(
    type='mmkd3d.ThreeDETREncoder',
    embed_dims=16,
    num_heads=2,
    ffn_dims=8,
    num_groups=24,
    group_size=8,
    radius=0.3,
)
TRANSFORMER = dict(
    SMALL,
    type='mmkd3d.PointTransformer',
    embed_dims=16,
    num_heads=2,
    num_groups=24,
    fps_rule='mmcv',
)
PYRAMID = dict(
    type='mmkd3d.PointM2AE',
    level_dims=(8, 16),
    depths=(1, 1),
    num_heads=2,
    num_groups=(48, 24),
    group_sizes=(8, 4),
    patch_dims=(8, 8),
)
HEAD = dict(
    type='mmkd3d.ThreeDETRHead',
    num_classes=4,
    in_channels=16,
    num_queries=12,
    embed_dims=16,
    depth=3,
    num_heads=2,
    ffn_dims=16,
    criterion=dict(type='mmkd3d.ThreeDETRCriterion'),
)


def detector(backbone=ENCODER, *, neck=None, test_cfg=None, **head):
    cfg = dict(
        type='mmkd3d.ThreeDETR',
        data_preprocessor=dict(type='mmdet3d.Det3DDataPreprocessor'),
        backbone=dict(backbone),
        neck=neck,
        bbox_head=copy.deepcopy(dict(HEAD, **head)),
        test_cfg=test_cfg,
    )
    model = MODELS.build(cfg)
    model.init_weights()
    return model


def sunrgbd(**kwargs):
    """Head options for boxes with headings."""
    criterion = dict(type='mmkd3d.ThreeDETRCriterion', loss_weights=dict(giou=0.0))
    return dict(num_angle_bins=12, criterion=criterion, **kwargs)


def rooms(B=2, N=200, channels=3):
    points = torch.rand(B, N, channels)
    points[..., :3] = points[..., :3] * torch.tensor([3.0, 2.0, 1.0]) - 1
    return points


def sample(num_boxes, yaw=0.0):
    from mmdet3d.structures import DepthInstance3DBoxes, Det3DDataSample

    boxes = torch.rand(num_boxes, 7) + 0.2
    boxes[:, 6] = yaw
    boxes = DepthInstance3DBoxes(boxes, origin=(0.5, 0.5, 0.5))
    meta = dict(box_type_3d=DepthInstance3DBoxes, lidar_path='scene0011_00.bin')
    found = Det3DDataSample(metainfo=meta)
    labels = torch.arange(num_boxes) % 4
    found.gt_instances_3d = InstanceData(bboxes_3d=boxes, labels_3d=labels)
    return found


def batch(points, counts, **kwargs):
    samples = [sample(n, **kwargs) for n in counts]
    return dict(inputs=dict(points=list(points)), data_samples=samples)


def train_step(model, data):
    """Compute the losses of a batch as the Runner does, and their gradients."""
    data = model.data_preprocessor(copy.deepcopy(data), True)
    losses = model(**data, mode='loss')
    total, log = model.parse_losses(losses)
    model.zero_grad()
    total.backward()
    return {name: float(value.detach()) for name, value in log.items()}


@pytest.mark.parametrize(
    'name, count, scope', [('3detr', 7_305_691, None), ('3detr-m', 7_438_555, 'mmdet3d')]
)
def test_the_published_configs_have_the_published_sizes(name, count, scope):
    if scope:
        init_default_scope(scope)
    model = MODELS.build(get_config(f'{name}_1xb8-1080e_scannet-3d').model)
    assert sum(p.numel() for p in model.parameters()) == count
    assert type(model.data_preprocessor).__name__ == 'Det3DDataPreprocessor'


@pytest.mark.parametrize('name, cls, layers', [('3detr', 1, 3), ('3detr-m', 0.8, 2)])
def test_settings_of_sunrgbd(name, cls, layers):
    head = MODELS.build(get_config(f'{name}_1xb8-1080e_sunrgbd-3d').model.bbox_head)
    weights = head.criterion.loss_weights
    assert (weights['cls'], weights['giou'], head.criterion.no_object_weight) == (cls, 0, 0.1)
    assert len(head.projection) // 3 == layers
    assert (head.num_classes, head.num_queries, head.num_angle_bins) == (10, 128, 12)


NECK = dict(type='mmkd3d.TokensToSeeds', in_channels=16, out_channels=20, num_seeds=40)
MASKED = dict(ENCODER, mask_radii=(0.2, 0.6, 1.4))
SETUPS = dict(
    plain=dict(),
    masked=dict(backbone=MASKED),
    colour=dict(backbone=dict(ENCODER, in_channels=6)),
    pyramid=dict(backbone=PYRAMID),
    neck=dict(backbone=TRANSFORMER, in_channels=20, neck=NECK),
    headings=sunrgbd(),
)


@pytest.mark.parametrize('options', SETUPS.values(), ids=SETUPS)
def test_every_parameter_is_trained_and_boxes_are_found(options):
    model = detector(**options)
    data = batch(rooms(channels=6), [3, 0])
    log = train_step(model, data)
    assert all(math.isfinite(value) for value in log.values())
    for name, p in model.named_parameters():
        # The normalised lower level of the pyramid is not used.
        if 'backbone.norms.0.' not in name:
            assert p.grad is not None and p.grad.isfinite().all(), name
    model.eval()
    with torch.no_grad():
        data = model.data_preprocessor(copy.deepcopy(data))
        found = model(**data, mode='predict')
    assert len(found) == 2
    for one in found:
        pred = one.pred_instances_3d
        assert pred.bboxes_3d.tensor.shape == (len(pred.scores_3d), 7)
        assert pred.labels_3d.max() < 4 and len(pred.labels_3d) % 4 == 0


@pytest.mark.parametrize('counts', [(0, 0), (40, 1)])
def test_scenes_without_boxes_and_with_more_than_queries(counts):
    log = train_step(detector(), batch(rooms(), counts))
    assert all(math.isfinite(value) for value in log.values())
    assert log['loss'] > 0


def test_it_learns_to_find_the_boxes_of_a_room():
    model = detector(dropout=0.0, mlp_dropout=0.0, num_queries=16)
    data = batch(rooms(B=2), [2, 3])
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    losses = []
    for _ in range(25):
        losses.append(train_step(model, data)['loss'])
        optimizer.step()
    assert losses[-1] < 0.6 * losses[0]


def naive_fps(points, count):
    picked = [0]
    while len(picked) < count:
        dist = [min((p - points[j]).square().sum().item() for j in picked) for p in points]
        picked.append(max(range(len(points)), key=dist.__getitem__))
    return points[picked]


def test_queries_are_far_from_each_other_in_whatever_order_tokens_stand():
    model = detector(fps_rule='mmcv').eval()
    centers = rooms(B=2, N=30)
    expected = torch.stack([naive_fps(scene, 12) for scene in centers])
    assert torch.equal(model.bbox_head.sample_queries(centers), expected)
    assert not torch.equal(expected, centers[:, :12])
    # with 3DETR's encoder, queries are at its first tokens
    points = rooms()
    _, query_xyz = model(dict(points=list(points)), mode='tensor')
    assert torch.equal(query_xyz, model.backbone(points)['centers'][:, :12])


def test_norms_of_the_box_mlps_see_all_layers_and_scenes_at_once():
    model = detector(dropout=0.0, mlp_dropout=0.0)
    head, seen = model.bbox_head, []
    head.decoder.register_forward_hook(lambda *args: seen.append(args[2]))
    model(dict(points=list(rooms())), mode='tensor')
    mlp, rows = head.mlps['center'], seen[0].detach()
    assert rows.shape == (3, 2, 12, 16)
    mean = mlp[0](rows.flatten(0, 2)).mean(0)
    torch.testing.assert_close(mlp[1].running_mean, 0.1 * mean)


def test_positions_are_those_in_the_extent_of_the_coordinates_under_autocast_too():
    points, embed = rooms(channels=6), FourierPositions(6)
    points[..., 3:] = 9.0  # not coordinates
    low, high = extrema(points)
    assert torch.equal(low, points[..., :3].min(dim=1).values) and high.max() < 9
    assert set(embed.state_dict()) == {'gauss_B'}
    got = embed(points[..., :3], low, high)
    share = (points[1, 5, :3] - low[1]) / (high[1] - low[1])
    angle = 2 * math.pi * share @ embed.gauss_B
    torch.testing.assert_close(got[1, 5], torch.cat([angle.sin(), angle.cos()]))
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(embed(points[..., :3], low, high), got)


def test_boxes_as_mmdetection3d_has_them():
    """Gravity centres, and headings with the opposite sign."""
    every = dict(min_points=0, use_nms=False, score_threshold=0.0)
    model = detector(**sunrgbd(), test_cfg=every).eval()
    points, samples = rooms(), [sample(1), sample(0)]
    with torch.no_grad():
        raw, query_xyz = model(dict(points=list(points)), mode='tensor')
        boxes = decode_boxes(raw, query_xyz, *extrema(points)).layer(-1)
        found = model(dict(points=list(points)), samples, mode='predict')
    assert boxes.angle.abs().max() > 0.1
    order = torch.arange(12).repeat_interleave(4)
    for b, one in enumerate(found):
        pred = one.pred_instances_3d
        own = pred.bboxes_3d
        assert own.with_yaw and len(pred.scores_3d) == 12 * 4
        torch.testing.assert_close(own.gravity_center, boxes.center[b, order])
        torch.testing.assert_close(own.dims, boxes.size[b, order])
        torch.testing.assert_close(own.yaw, -boxes.angle[b, order])
        expected = boxes.class_probs[b] * boxes.objectness[b][:, None]
        torch.testing.assert_close(pred.scores_3d, expected.flatten())
    few = detector(**sunrgbd(), test_cfg=dict(every, score_threshold=0.99)).eval()
    found = few(dict(points=list(points)), samples, mode='predict')
    assert not any(len(one.pred_instances_3d.scores_3d) for one in found)


@pytest.mark.parametrize('backbone', [ENCODER, MASKED], ids=['plain', 'masked'])
def test_training_in_half_precision(backbone):
    data = batch(rooms(), [3, 1])
    model = detector(backbone)
    model.eval()  # without dropout
    whole = train_step(model, data)
    with torch.autocast('cpu', torch.bfloat16):
        half = train_step(model, data)
    assert half['loss'] == pytest.approx(whole['loss'], rel=0.05)
    assert all(p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(num_queries=25), '25 .*24 tokens.*num_groups'),
        (dict(backbone=dict(ENCODER, embed_dims=8)), '8 wide.*in_channels=16.*=8'),
        (dict(), r'\[200, 190\].*PointSample'),  # scenes of different sizes
    ],
)
def test_parts_and_scenes_that_do_not_fit_are_named(options, message):
    points = list(rooms()) if options else [rooms()[0], rooms(N=190)[0]]
    with pytest.raises(ValueError, match=message):
        detector(**options)(dict(points=points), mode='tensor')


@pytest.mark.parametrize('value, mode', [(math.nan, 'loss'), (-math.inf, 'predict')])
def test_points_that_are_not_finite(value, mode):
    points = rooms()
    points[1, 7, 2] = value
    data = batch(points, [1, 1])
    with pytest.raises(ValueError, match='Scene 1 .*scene0011_00.bin.*finite'):
        detector()(data['inputs'], data['data_samples'], mode=mode)


def test_a_published_file_is_read_whole_or_as_a_student():
    model, other = detector(num_queries=10), detector()
    theirs = to_published(model.state_dict(), 'three_detr')
    report = load_pretrained(other, dict(model=theirs), prefix='')
    assert not (report.missing or report.unexpected or report.left_out)
    points = dict(points=list(rooms()))
    other.bbox_head.num_queries = 10
    for x, y in zip(model.eval()(points)[0], other.eval()(points)[0]):
        assert torch.equal(x, y)
    report = load_pretrained(MODELS.build(dict(ENCODER)), dict(model=theirs))
    assert not (report.missing or report.unexpected)
    with pytest.raises(ValueError, match='missing: backbone.downsample'):
        load_pretrained(detector(MASKED), dict(model=theirs), prefix='')
    theirs.pop('pos_embedding.gauss_B')
    with pytest.raises(ValueError, match='missing: bbox_head.*gauss_B'):
        load_pretrained(other, dict(model=theirs), prefix='')
