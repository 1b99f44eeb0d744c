"""Every family of transformers between prompts, against its own blocks."""

import copy

import pytest
import timm
import torch
import torch.nn as nn
from timm.models.mlp_mixer import Affine, MlpMixer, ResBlock

from mmkd3d.models.teachers.token_transformer import TokenTransformer
from mmkd3d.registry import MODELS


def build_timm(name, **kwargs):
    return MODELS.build(
        dict(
            type='mmkd3d.TimmTeacher',
            model_name=name,
            random_weights=True,
            model_kwargs=dict(img_size=32, depth=2) | kwargs,
        )
    )


def vit():
    return build_timm('vit_tiny_patch16_224')


def deit_distilled():
    return build_timm('deit_tiny_distilled_patch16_224')


def hybrid():
    return build_timm('vit_tiny_r_s16_p8_224')


def vit_with_everything():
    """Layer scale as in DINOv2, and all the norms that a block may have."""
    return build_timm(
        'vit_tiny_patch16_224',
        init_values=1e-5,
        qk_norm=True,
        scale_attn_norm=True,
        scale_mlp_norm=True,
        pre_norm=True,
    )


def beit():
    return build_timm('beit_base_patch16_224', embed_dim=64, num_heads=4)


def beit_without_gammas():
    return build_timm(
        'beit_base_patch16_224', embed_dim=64, num_heads=4, init_values=0.0, qkv_bias=False
    )


def small_mixer(**kwargs):
    """timm's named ones can not be made smaller."""
    return MlpMixer(num_blocks=2, embed_dim=64, num_classes=0, **kwargs)


def mixer():
    return small_mixer()


def resmlp():
    return small_mixer(block_layer=ResBlock, norm_layer=Affine, mlp_ratio=4)


def clip():
    pytest.importorskip('open_clip')
    return MODELS.build(
        dict(
            type='mmkd3d.OpenClipTeacher',
            model_name='ViT-B-16-quickgelu',
            random_weights=True,
            model_kwargs=dict(
                vision_cfg=dict(
                    image_size=32,
                    patch_size=16,
                    width=64,
                    layers=2,
                    head_width=16,
                    ls_init_value=1e-5,
                ),
                text_cfg=dict(context_length=8, vocab_size=16, width=16, heads=2, layers=1),
            ),
        )
    )


def language(kind):
    """Blocks of a language model, which no teacher builds without a file."""
    transformers = pytest.importorskip('transformers')
    config = getattr(transformers, f'{kind}Config')(
        vocab_size=16,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=96,
    )
    return getattr(transformers, f'{kind}Model')(config)


def bert():
    return language('Bert')


def roberta():
    return language('Roberta')


ATTENTION = (
    vit,
    deit_distilled,
    hybrid,
    vit_with_everything,
    beit,
    beit_without_gammas,
    clip,
    bert,
    roberta,
)
MIXERS = (mixer, resmlp)


def randomized(build):
    """Transformer of a family, no weight of which has a neutral value."""
    net = build()
    if hasattr(net, 'token_transformer'):
        net = net.token_transformer()
    elif isinstance(net, MlpMixer):
        net = TokenTransformer(net.blocks, net.norm, 64)
    else:
        net = TokenTransformer(net.encoder.layer, None, 64)
    generator = torch.Generator().manual_seed(0)
    for p in net.parameters():
        p.data = torch.randn(p.shape, generator=generator) * 0.2 + 0.1
    return net.requires_grad_(False)


@pytest.fixture(params=ATTENTION + MIXERS, ids=lambda build: build.__name__)
def net(request):
    return randomized(request.param)


def original_block(net, index, x):
    """The library's own block on the whole sequence."""
    block = copy.deepcopy(net.blocks[index])
    if hasattr(getattr(block, 'attn', None), 'relative_position_bias_table'):
        block.attn.relative_position_bias_table = None
    return block(x)


def outputs_and_gradients(run, net, batch_of_prompts):
    """What ``run(net, x, prompts)`` returns, with the same random input."""
    torch.manual_seed(1)
    length = (net.num_tokens or 11) - 5
    x = torch.randn(3, length, net.embed_dims).double().requires_grad_()
    prompts = torch.randn(batch_of_prompts, 5, net.embed_dims).double().requires_grad_()
    out = run(net, x, prompts)
    loss = (out * torch.randn(x.shape)).sum()
    return out, *torch.autograd.grad(loss, (x, prompts))


def test_a_block_between_prompts_is_the_original_one(net):
    def ours(net, x, prompts):
        return net.run_block(1, x, prompts)

    def original(net, x, prompts):
        whole = torch.cat([prompts.expand(3, -1, -1), x], dim=1)
        return original_block(net, 1, whole)[:, 5:]

    net = net.double()
    for batch_of_prompts in (1, 3):
        got, expected = (
            outputs_and_gradients(run, net, batch_of_prompts) for run in (ours, original)
        )
        torch.testing.assert_close(got, expected, rtol=1e-7, atol=1e-9)


def test_all_blocks_and_norms_are_the_original_ones(net):
    x = torch.randn(2, net.num_tokens or 7, net.embed_dims)
    expected = net.pre(x)
    for index in range(len(net.blocks)):
        expected = original_block(net, index, expected)
    expected = net.norm(expected)
    torch.testing.assert_close(net(x), expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


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
    net.pre = nn.Identity()  # It comes before the first block.
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
    assert {key.split('.')[0] for key in clip().token_transformer().state_dict()} == {
        'pre',
        'blocks',
        'norm',
    }


def test_beit_and_bert_have_no_last_norm():
    for build in (beit, bert):
        assert isinstance(randomized(build).norm, nn.Identity)


def test_train_does_not_reach_the_blocks():
    net = randomized(bert).train()
    assert not any(module.training for module in net.modules())
    x = torch.randn(1, 4, 64)
    assert torch.equal(net(x), net(x))


def test_only_mixers_fix_the_number_of_tokens():
    assert {randomized(build).num_tokens for build in MIXERS} == {196}
    assert {randomized(build).num_tokens for build in ATTENTION} == {None}


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
    assert rows == [4, 1, 6]  # x, the prompts once, and no MLP for them


@pytest.mark.parametrize(
    'make, named',
    [
        (lambda: [nn.Linear(2, 2)], 'Linear'),
        (lambda: [], 'type none'),
        (
            lambda: timm.create_model('eva02_tiny_patch14_224', depth=1, img_size=28).blocks,
            'EvaBlock',
        ),
        (
            lambda: timm.create_model('vit_tiny_patch16_224', depth=1, attn_layer='diff').blocks,
            'DiffAttention',
        ),
        (lambda: [*vit().net.blocks, *beit().net.blocks], 'beit.Block'),
    ],
)
def test_unknown_blocks_are_an_error_that_names_them(make, named):
    with pytest.raises(ValueError, match=named):
        TokenTransformer(make(), None, 2)


def test_a_causal_language_model_is_an_error():
    transformers = pytest.importorskip('transformers')
    config = transformers.BertConfig(
        hidden_size=64, num_hidden_layers=1, num_attention_heads=4, is_decoder=True
    )
    with pytest.raises(ValueError, match='causal'):
        TokenTransformer(transformers.BertModel(config).encoder.layer, None, 64)
