"""3DETR's head and detector, around its own encoder and other students."""

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

ENCODER = dict(
    type='mmkd3d.ThreeDETREncoder',
    embed_dims=16,
    num_heads=2,
    ffn_dims=8,
    num_groups=24,
    group_size=8,
    radius=0.3,
)
OTHER_STUDENTS = dict(
    transformer=dict(
        type='mmkd3d.PointTransformer',
        embed_dims=16,
        depth=2,
        num_heads=2,
        num_groups=24,
        group_size=8,
        patch_dims=(8, 16),
        fps_rule='mmcv',
    ),
    pyramid=dict(
        type='mmkd3d.PointM2AE',
        level_dims=(8, 16),
        depths=(1, 1),
        num_heads=2,
        num_groups=(48, 24),
        group_sizes=(8, 4),
        patch_dims=(8, 8),
    ),
)


def detector(backbone=ENCODER, *, neck=None, test_cfg=None, **head):
    head = dict(
        dict(
            type='mmkd3d.ThreeDETRHead',
            num_classes=4,
            in_channels=16,
            num_queries=12,
            embed_dims=16,
            depth=3,
            num_heads=2,
            ffn_dims=16,
            criterion=dict(type='mmkd3d.ThreeDETRCriterion'),
        ),
        **head,
    )
    model = MODELS.build(
        dict(
            type='mmkd3d.ThreeDETR',
            data_preprocessor=dict(type='mmdet3d.Det3DDataPreprocessor'),
            backbone=dict(backbone),
            neck=neck,
            bbox_head=copy.deepcopy(head),
            test_cfg=test_cfg,
        )
    )
    model.init_weights()
    return model


def sunrgbd(**kwargs):
    """Options of a head for boxes with headings."""
    return dict(
        num_angle_bins=12,
        criterion=dict(type='mmkd3d.ThreeDETRCriterion', loss_weights=dict(giou=0.0)),
        **kwargs,
    )


def rooms(B=2, N=200, channels=3):
    points = torch.rand(B, N, channels)
    points[..., :3] = points[..., :3] * torch.tensor([3.0, 2.0, 1.0]) - 1
    return points


def sample(num_boxes, yaw=0.0):
    from mmdet3d.structures import DepthInstance3DBoxes, Det3DDataSample

    boxes = torch.rand(num_boxes, 7) + 0.2
    boxes[:, 6] = yaw
    found = Det3DDataSample()
    found.set_metainfo(dict(box_type_3d=DepthInstance3DBoxes, lidar_path='scene0011_00.bin'))
    found.gt_instances_3d = InstanceData(
        bboxes_3d=DepthInstance3DBoxes(boxes, origin=(0.5, 0.5, 0.5)),
        labels_3d=torch.arange(num_boxes) % 4,
    )
    return found


def batch(points, counts, **kwargs):
    return dict(
        inputs=dict(points=list(points)), data_samples=[sample(n, **kwargs) for n in counts]
    )


def train_step(model, data):
    """Losses of a batch, as the Runner computes them, and their gradients."""
    data = model.data_preprocessor(copy.deepcopy(data), True)
    losses = model(**data, mode='loss')
    total, log = model.parse_losses(losses)
    model.zero_grad()
    total.backward()
    return {name: float(value.detach()) for name, value in log.items()}


@pytest.mark.parametrize(
    'name, count, scope',
    [('3detr', 7_305_691, 'mmdet3d'), ('3detr', 7_305_691, None), ('3detr-m', 7_438_555, 'mmkd3d')],
)
def test_the_published_configs_have_the_published_sizes(name, count, scope):
    if scope:
        init_default_scope(scope)
    model = MODELS.build(get_config(f'{name}_1xb8-1080e_scannet-3d').model)
    assert sum(p.numel() for p in model.parameters()) == count
    assert type(model.data_preprocessor).__name__ == 'Det3DDataPreprocessor'


@pytest.mark.parametrize(
    'name, published',
    [
        ('3detr', dict(cls=1, no_object=0.1, layers=3)),
        ('3detr-m', dict(cls=0.8, no_object=0.1, layers=2)),
    ],
)
def test_settings_of_sunrgbd(name, published):
    head = MODELS.build(get_config(f'{name}_1xb8-1080e_sunrgbd-3d').model).bbox_head
    weights = head.criterion.loss_weights
    assert (
        dict(
            cls=weights['cls'],
            no_object=head.criterion.no_object_weight,
            layers=len(head.projection) // 3,
        )
        == published
    )
    assert (head.num_classes, head.num_queries, head.num_angle_bins, weights['giou']) == (
        10,
        128,
        12,
        0,
    )


@pytest.mark.parametrize(
    'options',
    [
        dict(),
        dict(backbone=dict(ENCODER, mask_radii=(0.2, 0.6, 1.4))),
        dict(backbone=dict(ENCODER, in_channels=6)),
        dict(backbone=OTHER_STUDENTS['transformer']),
        dict(backbone=OTHER_STUDENTS['pyramid']),
        dict(
            backbone=OTHER_STUDENTS['transformer'],
            in_channels=20,
            neck=dict(type='mmkd3d.TokensToSeeds', in_channels=16, out_channels=20, num_seeds=40),
        ),
        sunrgbd(),
    ],
    ids=['plain', 'masked', 'colour', 'transformer', 'pyramid', 'neck', 'headings'],
)
def test_every_parameter_is_trained_and_boxes_are_found(options):
    model = detector(**options)
    data = batch(rooms(channels=6), [3, 0])
    log = train_step(model, data)
    assert all(math.isfinite(value) for value in log.values())
    lacking = [
        n for n, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()
    ]
    # Nothing reads the lower level of the pyramid after its norm.
    assert not [n for n in lacking if 'backbone.norms.0.' not in n]
    model.eval()
    with torch.no_grad():
        data = model.data_preprocessor(copy.deepcopy(data))
        found = model(**data, mode='predict')
    assert len(found) == 2
    for one in found:
        pred = one.pred_instances_3d
        assert pred.bboxes_3d.tensor.shape == (len(pred.scores_3d), 7)
        assert pred.labels_3d.max() < 4 and len(pred.labels_3d) % 4 == 0


@pytest.mark.parametrize('counts', [(0, 0), (2, 0), (40, 1)])
def test_scenes_without_boxes_and_with_more_than_queries(counts):
    log = train_step(detector(), batch(rooms(), counts))
    assert all(math.isfinite(value) for value in log.values())
    assert log['loss'] > 0


def test_it_learns_to_find_the_boxes_of_a_room():
    model = detector(dropout=0.0, mlp_dropout=0.0, num_queries=16)
    data = batch(rooms(B=2), [2, 3])
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
    losses = []
    for _ in range(40):
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
    head = detector(fps_rule='mmcv').bbox_head
    centers = rooms(B=2, N=30)
    expected = torch.stack([naive_fps(scene, 12) for scene in centers])
    assert torch.equal(head.sample_queries(centers), expected)
    assert not torch.equal(expected, centers[:, :12])


def test_the_first_tokens_of_an_encoder_are_the_queries():
    model = detector().eval()
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


def test_layers_of_the_decoder_share_one_norm():
    decoder = detector().bbox_head.decoder.eval()
    memory, memory_pos, query_pos = torch.randn(3, 2, 9, 16)
    out = decoder(memory, memory_pos, query_pos)
    x = torch.zeros_like(query_pos)
    for i, layer in enumerate(decoder.layers):
        x = layer(x, query_pos, memory + memory_pos, memory)
        torch.testing.assert_close(out[i], decoder.norm(x))


def test_fourier_positions_against_a_loop():
    embed = FourierPositions(6)
    assert set(embed.state_dict()) == {'gauss_B'}
    points = rooms(B=2, N=5)
    low, high = extrema(rooms(B=2, N=50))
    got = embed(points, low, high)
    for b in range(2):
        for i in range(5):
            for k in range(3):
                angle = (
                    2
                    * math.pi
                    * sum(
                        float(
                            (points[b, i, a] - low[b, a])
                            / (high[b, a] - low[b, a])
                            * embed.gauss_B[a, k]
                        )
                        for a in range(3)
                    )
                )
                assert abs(got[b, i, k] - math.sin(angle)) < 1e-5
                assert abs(got[b, i, 3 + k] - math.cos(angle)) < 1e-5
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(embed(points, low, high), got)


def test_extrema_are_those_of_the_coordinates_the_model_got():
    points = rooms(channels=6)
    points[..., 3:] = 9.0
    low, high = extrema(points)
    assert torch.equal(low, points[..., :3].min(dim=1).values)
    assert high.max() < 9


def test_boxes_as_mmdetection3d_has_them():
    """Gravity centres, and headings turned the other way."""
    model = detector(
        **sunrgbd(), test_cfg=dict(min_points=0, use_nms=False, score_threshold=0.0)
    ).eval()
    points = rooms()
    with torch.no_grad():
        raw, query_xyz = model(dict(points=list(points)), mode='tensor')
        boxes = decode_boxes(raw, query_xyz, *extrema(points)).layer(-1)
        found = model(dict(points=list(points)), [sample(1), sample(0)], mode='predict')
    assert boxes.angle.abs().max() > 0.1
    for b, one in enumerate(found):
        pred = one.pred_instances_3d
        assert len(pred.scores_3d) == 12 * 4
        order = torch.arange(12).repeat_interleave(4)
        own = pred.bboxes_3d
        torch.testing.assert_close(own.gravity_center, boxes.center[b, order])
        torch.testing.assert_close(own.dims, boxes.size[b, order])
        torch.testing.assert_close(own.yaw, -boxes.angle[b, order])
        assert own.with_yaw
        expected = boxes.class_probs[b] * boxes.objectness[b][:, None]
        torch.testing.assert_close(pred.scores_3d, expected.flatten())


def test_what_is_kept_is_set_by_the_detector():
    points = rooms()
    counts = []
    for threshold in (0.0, 0.99):
        model = detector(test_cfg=dict(score_threshold=threshold)).eval()
        found = model(dict(points=list(points)), [sample(1), sample(0)], mode='predict')
        counts.append(sum(len(x.pred_instances_3d.scores_3d) for x in found))
    assert counts[0] > counts[1] == 0


@pytest.mark.parametrize(
    'backbone', [ENCODER, dict(ENCODER, mask_radii=(0.2, 0.6, 1.4))], ids=['plain', 'masked']
)
def test_training_in_half_precision(backbone):
    data = batch(rooms(), [3, 1])
    model = detector(backbone)
    model.eval()  # without dropout
    whole = train_step(model, data)
    with torch.autocast('cpu', torch.bfloat16):
        half = train_step(model, data)
    assert half['loss'] == pytest.approx(whole['loss'], rel=0.05)
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_fewer_tokens_than_queries():
    model = detector(num_queries=25)
    with pytest.raises(ValueError, match='25 .*24 tokens.*num_groups'):
        model(dict(points=list(rooms())), mode='tensor')


def test_a_student_of_another_width():
    model = detector(dict(ENCODER, embed_dims=8))
    with pytest.raises(ValueError, match='8 wide.*in_channels=16.*=8'):
        model(dict(points=list(rooms())), mode='tensor')


def test_scenes_of_different_sizes():
    model = detector()
    with pytest.raises(ValueError, match=r'\[200, 190\].*PointSample'):
        model(dict(points=[rooms()[0], rooms(N=190)[0]]), mode='tensor')


@pytest.mark.parametrize('value, mode', [(math.nan, 'loss'), (math.inf, 'predict')])
def test_points_that_are_not_finite(value, mode):
    points = rooms()
    points[1, 7, 2] = value
    data = batch(points, [1, 1])
    with pytest.raises(ValueError, match='Scene 1 .*scene0011_00.bin.*finite'):
        detector()(data['inputs'], data['data_samples'], mode=mode)


def test_a_published_file_is_read_and_written_again():
    model, other = detector(num_queries=10), detector()
    theirs = to_published(model.state_dict(), 'three_detr')
    report = load_pretrained(other, dict(model=theirs), prefix='')
    assert not (report.missing or report.unexpected or report.left_out)
    points = dict(points=list(rooms()))
    other.bbox_head.num_queries = 10
    for x, y in zip(model.eval()(points)[0], other.eval()(points)[0]):
        assert torch.equal(x, y)
    theirs.pop('pos_embedding.gauss_B')
    with pytest.raises(ValueError, match='missing: bbox_head.*gauss_B'):
        load_pretrained(other, dict(model=theirs), prefix='')


def test_the_encoder_of_a_published_detector_is_a_student():
    theirs = to_published(detector().state_dict(), 'three_detr')
    student = MODELS.build(dict(ENCODER))
    report = load_pretrained(student, dict(model=theirs))
    assert not (report.missing or report.unexpected)
    masked = detector(dict(ENCODER, mask_radii=(1.0, 1.0, 1.0)))
    with pytest.raises(ValueError, match='missing: backbone.downsample'):
        load_pretrained(masked, dict(model=theirs), prefix='')
