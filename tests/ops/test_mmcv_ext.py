"""mmcv's public point and box operators on the CPU."""

import math

import pytest
import torch

import mmkd3d  # noqa: F401

pytest.importorskip('mmcv')
import mmcv.ops  # noqa: E402

from tests.helpers import rejects
from tests.ops.test_boxes import contains, random_boxes, shared_area  # noqa


def squared(a, b):
    return float(((a - b) ** 2).sum())


def nearest(query, points, k):
    """Squared distances and indices of the k nearest points; ties are broken by index."""
    ranked = sorted((squared(query, p), i) for i, p in enumerate(points))
    return ranked[:k]


def test_furthest_point_sample_equals_loop():
    points = torch.rand(2, 40, 3)
    got = mmcv.ops.furthest_point_sample(points, 10)
    assert got.dtype == torch.int32
    for cloud, picked in zip(points, got.tolist()):
        expected = [0]
        while len(expected) < 10:
            room = [min(squared(p, cloud[i]) for i in expected) for p in cloud]
            expected.append(room.index(max(room)))
        assert picked == expected


def test_furthest_point_sample_with_dist_reads_rows_of_the_last_pick():
    dist = torch.rand(1, 20, 20)  # not symmetric
    got = mmcv.ops.furthest_point_sample_with_dist(dist, 6)
    assert got.dtype == torch.int32
    expected = [0]
    while len(expected) < 6:
        room = dist[0, expected].amin(0)
        expected.append(int(room.argmax()))
    assert got[0].tolist() == expected


def test_points_sampler_mixes_feature_and_coordinate_distances():
    sampler = mmcv.ops.PointsSampler([4, 4], ['F-FPS', 'D-FPS'], [16, -1])
    idx = sampler(torch.rand(2, 32, 3), torch.rand(2, 5, 32))
    assert idx.shape == (2, 8)
    assert idx[:, :4].max() < 16 <= idx[:, 4:].min()


def test_ball_query_takes_the_first_hits_in_index_order():
    points, centers = torch.rand(2, 60, 3), torch.rand(2, 8, 3)
    centers[:, 0] = points[:, 5]  # distance 0 is included despite min_radius
    centers[:, 1] = 9.0  # no neighbours
    got = mmcv.ops.ball_query(0.1, 0.4, 6, points, centers)
    assert got.dtype == torch.int32
    for b in range(2):
        for m in range(8):
            dist = [squared(p, centers[b, m]) for p in points[b]]
            hits = [i for i, d in enumerate(dist) if d == 0 or 0.01 <= d < 0.16]
            expected = (hits + hits[:1] * 6)[:6] or [0] * 6
            assert got[b, m].tolist() == expected


@pytest.mark.parametrize('transposed', [False, True])
def test_knn_puts_neighbours_before_centers(transposed):
    points, centers = torch.rand(2, 30, 3), torch.rand(2, 7, 3)
    args = (points.mT, centers.mT) if transposed else (points, centers)
    got = mmcv.ops.knn(5, *args, transposed)
    assert got.dtype == torch.int32 and got.shape == (2, 5, 7)
    for b in range(2):
        for m in range(7):
            expected = [i for _, i in nearest(centers[b, m], points[b], 5)]
            assert got[b, :, m].tolist() == expected
    got = mmcv.ops.knn(5, points[:1, :3])  # query defaults to the points; padded with index 0
    assert got[0, 0].tolist() == [0, 1, 2] and got[0, 3:].eq(0).all()


@pytest.mark.skipif(
    mmcv.ops.get_compiler_version() != 'none (operators of mmkd3d)',
    reason='the compiled kernel reads features as if they had three columns',
)
def test_knn_of_features_equals_loop():
    feats = torch.rand(2, 20, 64, requires_grad=True)
    got = mmcv.ops.knn(4, feats, feats)
    dist = (feats[:, :, None] - feats[:, None]).square().sum(-1)
    assert torch.equal(got.mT.long(), dist.argsort(-1)[..., :4])


def test_mmdetection3ds_dgcnn_takes_a_step():
    pytest.importorskip('mmdet3d')
    from mmdet3d.models.backbones import DGCNNBackbone

    torch.manual_seed(0)
    net = DGCNNBackbone(9, num_samples=(5, 5, 5))
    out = net(torch.rand(2, 60, 9))
    assert out['fa_points'].shape == (2, 60, 1216)
    out['fa_points'].sum().backward()
    assert all(p.grad.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize('name, shape', [('gather_points', (7,)), ('grouping_operation', (7, 4))])
def test_gathering_and_its_gradient_equal_loop(name, shape):
    feats = torch.rand(2, 3, 9, requires_grad=True)
    idx = torch.randint(9, (2, *shape), dtype=torch.int32)
    got = getattr(mmcv.ops, name)(feats, idx)
    expected = torch.stack([feats[b][:, idx[b].long()] for b in range(2)])  # (B, C, ...)
    assert torch.equal(got, expected)
    weight = torch.rand_like(got)
    grads = [torch.autograd.grad((out * weight).sum(), feats)[0] for out in (got, expected)]
    torch.testing.assert_close(*grads)


def test_three_nn_returns_distances_that_are_not_squared():
    target, source = torch.rand(2, 8, 3), torch.rand(2, 12, 3)
    dist, idx = mmcv.ops.three_nn(target, source)
    assert idx.dtype == torch.int32
    for b in range(2):
        for n in range(8):
            expected = nearest(target[b, n], source[b], 3)
            assert idx[b, n].tolist() == [i for _, i in expected]
            root = torch.tensor([math.sqrt(d) for d, _ in expected])
            torch.testing.assert_close(dist[b, n], root)
    dist, idx = mmcv.ops.three_nn(target, source[:, :2])  # the third neighbour is at infinity
    assert dist[..., 2].isinf().all() and dist[..., :2].isfinite().all()
    assert idx[..., 2].eq(0).all()


def test_three_interpolate_and_its_gradient_equal_loop():
    feats = torch.rand(2, 5, 6, requires_grad=True)
    idx = torch.randint(6, (2, 9, 3), dtype=torch.int32)
    weight = torch.rand(2, 9, 3)
    got = mmcv.ops.three_interpolate(feats, idx, weight)
    picked = torch.stack([feats[b][:, idx[b].long()] for b in range(2)])  # (B, C, n, 3)
    expected = (picked * weight[:, None]).sum(-1)
    torch.testing.assert_close(got, expected)
    scale = torch.rand_like(got)
    grads = [torch.autograd.grad((out * scale).sum(), feats)[0] for out in (got, expected)]
    torch.testing.assert_close(*grads)


@pytest.mark.parametrize('radius', [0.5, None])
def test_query_and_group_puts_relative_coordinates_before_features(radius):
    points, feats = torch.rand(2, 30, 3), torch.rand(2, 4, 30)
    centers = points[:, :6].contiguous()
    options = dict(return_grouped_xyz=True, return_grouped_idx=True)
    group = mmcv.ops.QueryAndGroup(radius, 5, normalize_xyz=radius is not None, **options)
    grouped, xyz, idx = group(points, centers, feats)
    picked = torch.stack([points[b, idx[b].long()] for b in range(2)])
    torch.testing.assert_close(xyz, picked.permute(0, 3, 1, 2))  # absolute coordinates
    relative = (picked - centers[:, :, None]) / (radius or 1.0)
    torch.testing.assert_close(grouped[:, :3], relative.permute(0, 3, 1, 2))
    assert torch.equal(grouped[:, 3:], torch.stack([feats[b][:, idx[b].long()] for b in range(2)]))


def test_points_in_boxes_equal_loop():
    points = torch.rand(2, 40, 3) * torch.tensor([4.0, 4.0, 2.0])
    boxes = torch.stack([random_boxes(6, seed=i) for i in range(2)])
    expected = torch.tensor(
        [[[int(contains(box, p)) for box in boxes[b]] for p in points[b]] for b in range(2)]
    )
    for name in ('points_in_boxes_all', 'points_in_boxes_cpu'):
        got = getattr(mmcv.ops, name)(points, boxes)
        assert got.dtype == torch.int32
        assert got.tolist() == expected.tolist()
    part = mmcv.ops.points_in_boxes_part(points, boxes)
    assert part.dtype == torch.int32
    assert part.tolist() == [
        [row.index(1) if 1 in row else -1 for row in rows] for rows in expected.tolist()
    ]
    none = mmcv.ops.points_in_boxes_part(points, boxes[:, :0])
    assert none.eq(-1).all()
    rejects(r'\(2, 40, 3\).*\(1, 6, 7\)', mmcv.ops.points_in_boxes_all, points, boxes[:1])


def test_nms_rotated_lets_boxes_of_all_labels_compete():
    pytest.importorskip('shapely')
    boxes = random_boxes(40, room=2.0)[:, [0, 1, 3, 4, 6]]
    scores, labels = torch.rand(40), torch.randint(2, (40,))
    expected = []
    for i in scores.argsort(descending=True).tolist():
        x = boxes[i].tolist()
        for j in expected:
            y = boxes[j].tolist()
            shared = shared_area(x, y)
            if shared / (x[2] * x[3] + y[2] * y[3] - shared) > 0.3:
                break
        else:
            expected.append(i)
    for given in ((), (labels,)):
        dets, keep = mmcv.ops.nms_rotated(boxes, scores, 0.3, *given)
        assert keep.tolist() == expected
        torch.testing.assert_close(dets, torch.cat([boxes, scores[:, None]], 1)[keep])


def test_nms_rotated_gives_the_numbers_of_mmcvs_own_test():
    boxes = torch.tensor(
        [[6.0, 3, 8, 7, 0.5], [3, 6, 9, 11, 0.6], [3, 7, 10, 12, 0.3], [1, 4, 13, 7, 0.6]]
    )
    scores, labels = torch.tensor([0.7, 0.8, 0.5, 0.9]), torch.tensor([1.0, 0, 1, 0])
    for given in ((), (labels,)):
        dets, keep = mmcv.ops.nms_rotated(boxes, scores, 0.5, *given)
        assert keep.tolist() == [3, 1, 0] and torch.equal(dets[:, :5], boxes[keep])


@pytest.mark.parametrize('offset', [0, 1])
def test_nms_counts_pixels_with_an_offset(offset):
    corner, size = torch.rand(30, 2) * 20, torch.rand(30, 2) * 10
    boxes, scores = torch.cat([corner, corner + size], 1), torch.rand(30)
    _, keep = mmcv.ops.nms(boxes, scores, 0.4, offset=offset)
    expected = []
    for i in scores.argsort(descending=True).tolist():
        for j in expected:
            low = torch.maximum(boxes[i, :2], boxes[j, :2])
            high = torch.minimum(boxes[i, 2:], boxes[j, 2:])
            shared = (high - low + offset).clamp(min=0).prod()
            areas = [(boxes[k, 2:] - boxes[k, :2] + offset).prod() for k in (i, j)]
            if shared / (sum(areas) - shared) > 0.4:
                break
        else:
            expected.append(i)
    assert keep.tolist() == expected


def test_chamfer_distance_and_its_gradient_equal_loop():
    a = torch.rand(2, 7, 2, requires_grad=True)
    b = torch.rand(2, 5, 2, requires_grad=True)
    got = mmcv.ops.chamfer_distance(a, b)
    table = (a[:, :, None] - b[:, None]).square().sum(-1)
    expected = (*table.min(2), *table.min(1))
    order = (0, 2, 1, 3)  # two distance tensors, then two index tensors
    for x, i in zip(got, order):
        torch.testing.assert_close(x, expected[i].to(x.dtype))
    wa, wb = torch.rand(2, 7), torch.rand(2, 5)
    grads = [
        torch.autograd.grad((x * wa).sum() + (y * wb).sum(), (a, b))
        for x, y in (got[:2], (expected[0], expected[2]))
    ]
    torch.testing.assert_close(*grads)


@pytest.mark.parametrize('weighted', [False, True])
def test_sigmoid_focal_loss_and_its_gradient_follow_the_formula(weighted):
    logits = torch.randn(8, 4, requires_grad=True)
    target = torch.tensor([0, 1, 2, 3, 0, 1, 3, 2])
    weight = torch.rand(4) if weighted else None
    got = mmcv.ops.sigmoid_focal_loss(logits, target, 1.5, 0.3, weight, 'sum')
    p, one_hot = logits.sigmoid(), torch.eye(4)[target]
    table = -(
        one_hot * 0.3 * (1 - p) ** 1.5 * p.log() + (1 - one_hot) * 0.7 * p**1.5 * (1 - p).log()
    )
    if weighted:
        table = table * weight[target][:, None]
    torch.testing.assert_close(got, table.sum())
    torch.testing.assert_close(
        torch.autograd.grad(got, logits), torch.autograd.grad(table.sum(), logits)
    )


@pytest.mark.parametrize('name', ['grouping_operation', 'three_interpolate'])
def test_half_precision_features_keep_their_type(name):
    feats = torch.rand(1, 4, 9).half().requires_grad_()
    idx = torch.randint(9, (1, 5, 3), dtype=torch.int32)
    weight = [torch.rand(1, 5, 3)] if name == 'three_interpolate' else []
    out = getattr(mmcv.ops, name)(feats, idx, *weight)
    assert out.dtype == torch.half
    out.sum().backward()
    assert feats.grad.dtype == torch.half
