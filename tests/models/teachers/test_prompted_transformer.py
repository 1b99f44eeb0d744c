"""Prompted frozen transformer against the loop of the paper."""

import copy

import pytest
import torch
from mmengine.optim import build_optim_wrapper

from mmkd3d.checkpoints import load_pretrained
from mmkd3d.registry import MODELS
from tests.models.teachers.nets import (
    ATTENTION,
    MIXERS,
    VIT,
    Lender,
    beit,
    bert,
    clip,
    mixer,
    randomized,
    vit,
)
from tests.models.teachers.test_token_transformer import original_block


def prompted(build=vit, *, shift=0.0, **kwargs):
    torch.manual_seed(0)
    lender = dict(type=Lender, build=build, shift=shift)
    sizes = dict(embed_dims=12, num_prompts=5, prompt_dropout=0.0)
    cfg = dict(type='mmkd3d.PromptedTransformer', teacher=lender, **sizes)
    model = MODELS.build(dict(cfg, **kwargs))
    for name, p in model.named_parameters():
        if 'prompt' in name:  # 0.02 is small compared with weights of 0.2
            p.data *= 50
    return model


def plain(**kwargs):
    """Prompted ViT with timm's initialisation."""
    return prompted(teacher=VIT, **kwargs)


def patches(model, B=3):
    """Tokens and centres."""
    length = (model.frozen.net.num_tokens or 12) - model.num_prompts
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(B, length, dims, generator=generator) for dims in (12, 3)]


def visual_prompt_tuning(model, tokens, centers):
    """As in the spec: prompt rows of h and pos are replaced before each block."""
    net, (B, P) = model.frozen.net, (len(tokens), model.num_prompts)
    x, pos = model.proj_pre(tokens), model.pos_embed(centers)
    if P:
        prompts = model.prompt_token.expand(B, -1, -1)
        x = torch.cat([prompts, x], dim=1)
        pos = torch.cat([model.prompt_pos.expand(B, -1, -1), pos], dim=1)
    h = original_block(net, 0, net.pre(x) + pos)
    for i in range(1, len(net.blocks)):
        if model.deep_prompts:
            h, pos = h.clone(), pos.clone()
            h[:, :P] = model.deep_prompt_tokens[i - 1]
            pos[:, :P] = model.deep_prompt_pos[i - 1]
        h = original_block(net, i, h + pos)
    return model.proj_post(net.norm(h)[:, P:])


@pytest.mark.parametrize(
    'build, deep',
    [(build, True) for build in ATTENTION + MIXERS]
    + [(build, False) for build in (vit, clip, mixer)],
)
def test_every_family_is_prompted_as_the_paper_does(build, deep):
    model = prompted(build, deep_prompts=deep).double()
    tokens, centers = (t.double() for t in patches(model))
    tokens.requires_grad_()
    outs = model(tokens, centers), visual_prompt_tuning(model, tokens, centers)
    torch.testing.assert_close(*outs, rtol=1e-7, atol=1e-9)
    learned = (tokens, *model.parameters())
    weight = torch.randn(outs[0].shape)
    for a, b in zip(*(torch.autograd.grad((out * weight).sum(), learned) for out in outs)):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize('deep', [True, False])
def test_without_prompts_the_projections_learn_all_the_same(deep):
    model = prompted(num_prompts=0, deep_prompts=deep)
    assert not [k for k in model.state_dict() if 'prompt' in k]
    tokens, centers = patches(model)
    tokens.requires_grad_()
    out = model(tokens, centers)
    torch.testing.assert_close(out, visual_prompt_tuning(model, tokens, centers))
    out.square().sum().backward()
    for grad in (tokens.grad, model.proj_pre.weight.grad):
        assert grad.abs().sum() > 0


@pytest.mark.parametrize(
    'build, options',
    [(build, dict()) for build in (beit, clip, bert, mixer)]
    + [(vit, dict(deep_prompts=False)), (clip, dict(precision='bf16'))],
)
def test_gradients_reach_exactly_what_trains(build, options):
    model = prompted(build, **options).train()
    before = copy.deepcopy(model.frozen.net.state_dict())
    model(*patches(model)).square().sum().backward()
    for name, p in model.named_parameters():
        assert p.grad is not None and p.grad.abs().sum() > 0, name
        assert p.grad.dtype == torch.float32
    frozen = list(model.frozen.net.parameters())
    assert frozen and not any(p.requires_grad or p.grad is not None for p in frozen)
    # a step does not change frozen weights or their fingerprint
    torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=1.0).step()
    for key, value in model.frozen.net.state_dict().items():
        assert torch.equal(value, before[key])
    prompted(build, **options).load_state_dict(model.state_dict())


@pytest.mark.parametrize('keep', [False, True])
def test_the_optimizer_holds_no_frozen_weight(keep):
    model = prompted(keep_teacher=keep)
    cfg = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=1.0))
    held = {id(p) for g in build_optim_wrapper(model, cfg).param_groups for p in g['params']}
    assert held == {id(p) for p in model.parameters()}
    assert not held & {id(p) for p in model.frozen.net.parameters()}


def test_clips_norm_sees_tokens_before_their_positions():
    model, seen = prompted(clip), []
    model.frozen.net.pre.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    tokens, centers = patches(model)
    model(tokens, centers)
    assert torch.equal(seen[0], model.proj_pre(tokens))
    assert torch.equal(seen[1], model.prompt_token)
    assert len(seen) == 2  # deep prompts are not normalised


@pytest.mark.parametrize('build', [vit, clip])
def test_a_cloud_does_not_see_the_others_and_patches_have_no_order(build):
    model = prompted(build).double().eval()
    tokens, centers = (t.double() for t in patches(model))
    out, order = model(tokens, centers), torch.randperm(tokens.shape[1])
    torch.testing.assert_close(out[1:2], model(tokens[1:2], centers[1:2]))
    torch.testing.assert_close(out[:, order], model(tokens[:, order], centers[:, order]))


@pytest.mark.parametrize('deep', [True, False])
def test_dropout_hits_prompt_tokens_and_not_their_positions(deep):
    """At rate 1 the output equals that of a model with zero prompt tokens."""
    model = prompted(bert, deep_prompts=deep, prompt_dropout=1.0)
    inputs = patches(model)
    zero = copy.deepcopy(model).eval()
    for name, p in zero.named_parameters():
        if 'prompt_token' in name:
            p.data.zero_()
    assert torch.equal(model.train()(*inputs), zero(*inputs))
    assert not torch.equal(model.eval()(*inputs), zero(*inputs))


@pytest.mark.parametrize('deep', [True, False])
def test_dropout_differs_by_cloud_and_only_in_train_mode(deep):
    model = plain(deep_prompts=deep, prompt_dropout=0.5)
    twins = [t.expand(2, -1, -1) for t in patches(model, B=1)]
    a, b = model.train()(*twins)
    assert (a - b).abs().max() > 1e-3
    a, b = model.eval()(*twins)
    torch.testing.assert_close(a, b)
    assert torch.equal(model(*twins), model(*twins))


@pytest.mark.parametrize('build', [vit, bert])
def test_train_mode_without_dropout_of_prompts_is_eval_mode(build):
    model = prompted(build)
    inputs = patches(model)
    assert torch.equal(model.train()(*inputs), model.eval()(*inputs))
    assert not any(m.training for m in model.frozen.net.modules())


@pytest.mark.parametrize('precision, deep', [('bf16', True), ('bf16', False), ('fp16', True)])
def test_low_precision_is_near_and_returns_float32(precision, deep):
    model = plain(deep_prompts=deep)
    inputs = patches(model)
    exact = model(*inputs)
    model.precision = precision
    near = model(*inputs)
    assert near.dtype == torch.float32
    error = (near - exact).norm() / exact.norm()
    assert 1e-6 < error < 0.02
    with pytest.raises(ValueError, match="fp32, bf16, fp16, got 'int8'"):
        prompted(precision='int8')


@pytest.mark.parametrize('precision', ['fp32', 'bf16'])
@pytest.mark.parametrize(
    'options', [dict(), dict(deep_prompts=False), dict(num_prompts=0)], ids=str
)
def test_mixed_precision_around_it_does_not_change_that_of_the_blocks(precision, options):
    model, seen = plain(precision=precision, **options), []
    inputs = patches(model)
    mlp = model.frozen.net.blocks[1].mlp
    mlp.register_forward_hook(lambda module, inputs, out: seen.append(out.dtype))
    alone = model(*inputs)
    with torch.autocast('cpu', torch.bfloat16):
        out = model(*inputs)
    low = torch.bfloat16 if precision == 'bf16' else torch.float32
    assert seen == [low, low]
    assert (out - alone).norm() / alone.norm() < 0.02


@pytest.mark.parametrize('deep', [True, False])
def test_a_mixer_names_the_number_of_prompts(deep):
    model = prompted(mixer, deep_prompts=deep)
    text = '196 tokens, got 5 prompts and 64 patches: set num_prompts=132'
    with pytest.raises(ValueError, match=text):
        model(torch.randn(1, 64, 12), torch.randn(1, 64, 3))
    with pytest.raises(ValueError, match='set num_groups to 196 or less'):
        model(torch.randn(1, 200, 12), torch.randn(1, 200, 3))


def test_a_teacher_without_a_transformer_is_an_error():
    cnn = dict(type='mmkd3d.TimmTeacher', model_name='resnet10t', random_weights=True)
    with pytest.raises(ValueError, match='resnet10t'):
        prompted(teacher=cnn)


def test_a_file_brings_frozen_weights_or_asks_for_the_same_ones():
    written, light = prompted(keep_teacher=True, shift=0.3), prompted(shift=0.3)
    more = set(written.state_dict()) - set(light.state_dict())
    assert more == {f'frozen.net.{key}' for key in randomized(vit).state_dict()}
    for keep in (False, True):
        model = prompted(keep_teacher=keep)
        model.load_state_dict(written.state_dict(), strict=True)
        inputs = patches(model)
        assert torch.equal(model(*inputs), written(*inputs))
        assert torch.equal(model.fingerprint, written.fingerprint)
        assert not any(p.requires_grad for p in model.frozen.net.parameters())
    same, other = prompted(shift=0.3), prompted(shift=0.301)
    same.load_state_dict(light.state_dict(), strict=True)
    for load in (other.load_state_dict, lambda state: load_pretrained(other, state, prefix='')):
        with pytest.raises(ValueError, match='another frozen transformer'):
            load(light.state_dict())
