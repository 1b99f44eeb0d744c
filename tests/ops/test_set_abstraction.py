"""Stock set abstraction of mmdetection3d, as we run it and as it is."""

import copy

import pytest
import torch

import mmkd3d  # noqa: F401

pytest.importorskip('mmdet3d')
from mmdet3d.models.layers import PointSAModule  # noqa: E402

from tests.ops.clouds import choose_form, random_cloud  # noqa: E402


def abstraction(channels, **options):
    torch.manual_seed(0)
    options = dict(num_point=20, radius=0.3, num_sample=9) | options
    net = PointSAModule(mlp_channels=[*channels], **options)
    for layer in net.mlps[0]:
        torch.nn.init.uniform_(layer.norm.weight, -1, 2)
    return net


def run(net, points, features):
    points, features = (x.clone().requires_grad_() for x in (points, features))
    _, out, idx = net(points, features)
    assert out.is_contiguous()
    (out * torch.arange(out.numel()).view_as(out).sin()).sum().backward()
    gradients = [p.grad for p in net.parameters()]
    return idx, [out.detach(), points.grad, features.grad, *gradients, *net.buffers()]


@pytest.mark.parametrize(
    'channels, options',
    [
        ([5, 16, 24], {}),
        ([16, 16, 24, 12], dict(normalize_xyz=True)),  # grouped after the first layer
        ([16, 8], {}),
        ([16, 8, 12], dict(use_xyz=False)),
        ([16, 8, 12], dict(pool_mod='avg')),
        ([16, 8, 12], dict(num_point=None)),  # one group of all points
    ],
)
def test_set_abstraction_is_the_stock_one(channels, options, monkeypatch):
    net = abstraction(channels, **options)
    stock = copy.deepcopy(net)
    points, features = random_cloud(2, 300), torch.randn(2, channels[0], 300)
    idx, found = run(net, points, features)
    with torch.no_grad():
        evaluated = net.eval()(points, features)[1]
    choose_form(monkeypatch, 'torch')
    stock_idx, expected = run(stock, points, features)
    assert idx is stock_idx is None or torch.equal(idx, stock_idx)
    for got, want in zip(found, expected, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(evaluated, stock.eval()(points, features)[1])
    assert net.state_dict().keys() == stock.state_dict().keys()


@pytest.mark.parametrize('name', ['groupers.0', 'mlps.0', 'mlps.0.layer0', 'mlps.0.layer1.conv'])
def test_hooks_are_called_and_change_nothing(name):
    net = abstraction([16, 8, 12])
    points, features, seen = random_cloud(2, 300), torch.randn(2, 16, 300), []
    expected = net(points, features)[1]
    net.get_submodule(name).register_forward_hook(lambda module, args, out: seen.append(out.shape))
    torch.testing.assert_close(net(points, features)[1], expected)
    assert len(seen) == 1 and seen[0][2:] == (20, 9)


def test_half_precision_stays_close():
    net = abstraction([16, 16, 24, 12])
    points, features = random_cloud(2, 300), torch.randn(2, 16, 300)
    expected = net(points, features)[1]
    with torch.autocast('cpu', torch.bfloat16):
        found = net(points, features)[1]
    assert found.dtype == torch.bfloat16
    assert (found - expected).norm() < 0.02 * expected.norm()
