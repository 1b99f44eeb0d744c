"""Groups as rows, and 1x1 convolutions of them."""

import pytest
import torch

import mmkd3d  # noqa: F401

pytest.importorskip('mmcv')
from mmcv.cnn import ConvModule  # noqa: E402
from mmcv.ops import grouping_operation  # noqa: E402


def test_groups_are_rows_and_gradients_add_up():
    features = torch.rand(2, 4, 9, requires_grad=True)
    idx = torch.randint(9, (2, 7, 3), dtype=torch.int32)
    out = grouping_operation(features, idx)
    assert out.is_contiguous(memory_format=torch.channels_last)
    expected = torch.stack([x[:, i.long()] for x, i in zip(features, idx)])
    assert torch.equal(out, expected)
    weight = torch.rand_like(out)
    grads = [torch.autograd.grad((x * weight).sum(), features)[0] for x in (out, expected)]
    torch.testing.assert_close(*grads)


def conv(**options):
    return ConvModule(4, 6, **{**dict(kernel_size=1, norm_cfg=dict(type='BN2d')), **options})


@pytest.mark.parametrize(
    'options',
    [
        dict(kernel_size=3, padding=1),
        dict(stride=2),
        dict(groups=2),
        dict(norm_cfg=None),
        dict(norm_cfg=dict(type='GN', num_groups=2)),
        dict(act_cfg=dict(type='LeakyReLU')),
        dict(act_cfg=None),
        dict(order=('norm', 'conv', 'act')),
    ],
)
@pytest.mark.parametrize('rows', [True, False])
def test_other_convolutions_run_as_before(options, rows):
    torch.manual_seed(0)
    net = conv(**options)
    x = torch.randn(2, 4, 5, 8)
    if rows:
        x = x.to(memory_format=torch.channels_last)
    expected = x
    for name in net.order:
        layer = dict(conv=net.conv, norm=net.norm, act=getattr(net, 'activate', None))[name]
        if layer is not None:
            expected = layer(expected)
    torch.testing.assert_close(net(x), expected)


def test_hooks_of_the_convolution_are_called():
    net, seen = conv(), []
    net.conv.register_forward_hook(lambda module, args, out: seen.append(out.shape))
    net(torch.randn(2, 4, 5, 8).to(memory_format=torch.channels_last))
    assert seen == [(2, 6, 5, 8)]
