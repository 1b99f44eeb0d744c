"""Transformers of all families, with and without prompts, against their original blocks."""

import copy

import pytest
import timm
import torch
import torch.nn as nn

from mmkd3d.models.teachers.token_transformer import TokenTransformer
from tests.models.teachers.nets import (
    ATTENTION,
    MIXERS,
    beit,
    bert,
    build_timm,
    clip,
    deit_distilled,
    randomized,
    vit,
)


@pytest.fixture(params=ATTENTION + MIXERS, ids=lambda build: build.__name__)
def net(request):
    net = randomized(request.param)
    assert net.num_tokens == (196 if request.param in MIXERS else None)
    assert isinstance(net.norm, nn.Identity) == request.param.__name__.startswith(('be', 'rob'))
    return net


def original_block(net, index, x):
    """The library's own block on the whole sequence."""
    block = copy.deepcopy(net.blocks[index])
    if hasattr(getattr(block, 'attn', None), 'relative_position_bias_table'):
        block.attn.relative_position_bias_table = None
    return block(x)


def outputs_and_gradients(run, net, batch_of_prompts):
    """Output and gradients of ``run(net, x, prompts)`` for a fixed random input."""
    torch.manual_seed(1)
    length = (net.num_tokens or 11) - 5
    x = torch.randn(3, length, net.embed_dims).double().requires_grad_()
    prompts = torch.randn(batch_of_prompts, 5, net.embed_dims).double().requires_grad_()
    out = run(net, x, prompts)
    loss = (out * torch.randn(x.shape)).sum()
    return out, *torch.autograd.grad(loss, (x, prompts))


def test_blocks_and_norms_are_the_original_ones_between_prompts_too(net):
    def ours(net, x, prompts):
        return net.run_block(1, x, prompts)

    def original(net, x, prompts):
        whole = torch.cat([prompts.expand(3, -1, -1), x], dim=1)
        return original_block(net, 1, whole)[:, 5:]

    x = torch.randn(2, net.num_tokens or 7, net.embed_dims)
    expected = net.pre(x)
    for index in range(len(net.blocks)):
        expected = original_block(net, index, expected)
    expected = net.norm(expected)
    torch.testing.assert_close(net(x), expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
    net = net.double()
    for num in (1, 3):
        got, expected = (outputs_and_gradients(run, net, num) for run in (ours, original))
        torch.testing.assert_close(got, expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize('build', [vit, deit_distilled])
def test_the_tokens_of_an_image_end_as_in_the_model(build):
    teacher = build()
    image = torch.rand(2, 3, 32, 32)
    caught = []
    first = teacher.token_transformer().blocks[0]
    hook = first.register_forward_pre_hook(lambda module, inputs: caught.append(inputs[0]))
    out = teacher(image)
    hook.remove()
    net = teacher.token_transformer()
    net.pre = nn.Identity()  # ``pre`` is applied before the first block.
    tokens = net(caught[0])[:, -out['tokens'].shape[1] :]
    torch.testing.assert_close(tokens, out['tokens'], rtol=1e-4, atol=1e-4)


def test_clip_ends_as_in_the_model():
    teacher = clip()
    image = torch.rand(2, 3, 32, 32)
    expected = teacher.net.forward_intermediates(
        teacher.prepare(image),
        indices=1,
        normalize_intermediates=True,
        intermediates_only=True,
        output_fmt='NLC',
        output_extra_tokens=True,
    )
    out = teacher(image)
    (tokens,) = expected['image_intermediates']
    (first,) = expected['image_intermediates_prefix']
    torch.testing.assert_close(out['tokens'], tokens, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(out['global'], first[:, 0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('name', ['mixer_s32_224', 'resmlp_12_224'])
def test_a_mixer_runs_an_image_as_the_model_does(name):
    teacher = build_timm(name, img_size=224, depth=None)
    image = torch.rand(1, 3, 224, 224)
    out = teacher(image)
    rows, columns = out['grid_size']
    assert out['tokens'].shape == (1, rows * columns, teacher.embed_dims)
    assert out['global'].shape == (1, teacher.embed_dims)
    tokens = teacher.net.stem(teacher.prepare(image))
    torch.testing.assert_close(teacher.forward_tokens(tokens), out['tokens'], rtol=1e-4, atol=1e-4)


def test_keys_are_those_of_the_pretrained_model():
    teacher = vit()
    published = {key for key in teacher.net.state_dict() if key.startswith(('blocks.', 'norm.'))}
    net = teacher.token_transformer()
    assert set(net.state_dict()) == published
    assert net.blocks[0] is teacher.net.blocks[0]
    parts = {key.split('.')[0] for key in clip().token_transformer().state_dict()}
    assert parts == {'pre', 'blocks', 'norm'}


def test_train_does_not_reach_the_blocks():
    net = randomized(bert).train()
    assert not any(module.training for module in net.modules())
    x = torch.randn(1, 4, 64)
    assert torch.equal(net(x), net(x))


@pytest.mark.parametrize('build', MIXERS)
def test_a_mixer_says_how_many_prompts_it_takes(build):
    net = randomized(build)
    x = torch.randn(1, 64, net.embed_dims)
    with pytest.raises(ValueError, match='196 tokens, got 74: use 132 prompt'):
        net.run_block(0, x, torch.randn(1, 10, net.embed_dims))
    with pytest.raises(ValueError, match='got 64'):
        net(x)


def test_shared_prompts_are_projected_once():
    net = randomized(vit)
    rows = []
    net.blocks[0].norm1.register_forward_hook(lambda module, inputs, out: rows.append(len(out)))
    net.blocks[0].mlp.register_forward_hook(lambda module, inputs, out: rows.append(out.shape[1]))
    net.run_block(0, torch.randn(4, 6, 192), torch.randn(1, 5, 192))
    assert rows == [4, 1, 6]  # x, prompts once, and the MLP on x only


def timm_blocks(name, **kwargs):
    return timm.create_model(name, depth=1, **kwargs).blocks


def causal_blocks():
    transformers = pytest.importorskip('transformers')
    sizes = dict(hidden_size=64, num_hidden_layers=1, num_attention_heads=4)
    return transformers.BertModel(transformers.BertConfig(is_decoder=True, **sizes)).encoder.layer


@pytest.mark.parametrize(
    'make, named',
    [
        (lambda: [nn.Linear(2, 2)], 'Linear'),
        (lambda: [], 'type none'),
        (lambda: timm_blocks('eva02_tiny_patch14_224', img_size=28), 'EvaBlock'),
        (lambda: timm_blocks('vit_tiny_patch16_224', attn_layer='diff'), 'DiffAttention'),
        (lambda: [*vit().net.blocks, *beit().net.blocks], 'beit.Block'),
        (causal_blocks, 'causal'),
    ],
)
def test_unknown_blocks_are_an_error_that_names_them(make, named):
    with pytest.raises(ValueError, match=named):
        TokenTransformer(make(), None, 64)
