"""Operators return the same results on a GPU as on a CPU."""

import pytest
import torch

from mmkd3d import ops
from mmkd3d.ops import sampling

from .clouds import CLOUDS

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')


@pytest.fixture(params=CLOUDS)
def points(request):
    """Two clouds of the same kind."""
    return CLOUDS[request.param](2, 5000)


@pytest.mark.parametrize('backend', ['triton', 'torch'])
@pytest.mark.parametrize('rule', ['mmcv', 'pointnet2'])
def test_fps_is_that_of_the_cpu(monkeypatch, points, backend, rule):
    if backend == 'torch':
        monkeypatch.setattr(sampling, '_triton_sampler', lambda: None)
    else:
        pytest.importorskip('triton')
        assert sampling._triton_sampler() is not None
    found = ops.farthest_point_sample(points.to('cuda'), 300, rule=rule)
    expected = ops.farthest_point_sample(points, 300, rule=rule)
    assert torch.equal(found.cpu(), expected)


@pytest.mark.parametrize(
    'search',
    [
        lambda query, points: ops.knn(query, points, 16).idx,
        lambda query, points: ops.knn(query, points, 1).idx,
        lambda query, points: ops.three_nn(query, points).idx,
        lambda query, points: ops.ball_query(query, points, 0.25, 32, min_radius=0.05),
    ],
)
def test_searches_are_those_of_the_cpu(points, search):
    query = points[:, ::7]
    found = search(query.to('cuda'), points.to('cuda'))
    assert torch.equal(found.cpu(), search(query, points))


def test_chamfer_and_gradients_are_those_of_the_cpu(points):
    results = []
    for device in ('cpu', 'cuda'):
        pred = points[:, :900].to(device).requires_grad_()
        loss = ops.chamfer_distance(pred, points.to(device))
        results.append((loss.cpu(), torch.autograd.grad(loss, pred)[0].cpu()))
    torch.testing.assert_close(*results)
