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
        dict(padding=1, padding_mode='reflect'),
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
    if net.with_explicit_padding:
        expected = net.padding_layer(x)
    for name in net.order:
        layer = dict(conv=net.conv, norm=net.norm, act=getattr(net, 'activate', None))[name]
        if layer is not None:
            expected = layer(expected)
    torch.testing.assert_close(net(x), expected)


@pytest.mark.parametrize('where', ['of the layer', 'of the backward pass', 'of all modules'])
def test_any_hook_is_called(where):
    net, seen = conv(inplace=False), []
    add = dict(
        [
            ('of the layer', net.conv.register_forward_hook),
            ('of the backward pass', net.norm.register_full_backward_pre_hook),
            ('of all modules', torch.nn.modules.module.register_module_forward_hook),
        ]
    )[where]
    handle = add(lambda module, *_: seen.append(type(module)))
    try:
        net(torch.randn(2, 4, 5, 8).to(memory_format=torch.channels_last)).sum().backward()
    finally:
        handle.remove()
    assert {torch.nn.Conv2d, torch.nn.BatchNorm2d}.intersection(seen)


@pytest.mark.parametrize('training', [True, False])
def test_convolutions_run_in_bf16(training):
    torch.manual_seed(0)
    net = conv().train(training)
    x = torch.randn(2, 4, 5, 8).to(memory_format=torch.channels_last)
    with torch.autocast('cpu', torch.bfloat16), torch.set_grad_enabled(training):
        found, expected = net(x), net(x.contiguous())
    assert found.dtype == expected.dtype == torch.bfloat16
    torch.testing.assert_close(found, expected, rtol=0.05, atol=0.05)
