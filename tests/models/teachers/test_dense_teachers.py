"""Feature and saliency maps against the libraries' own results."""

import copy

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F

from mmkd3d.models.targets.base import describe
from mmkd3d.models.teachers.base import BaseTeacher
from mmkd3d.models.teachers.saliency import activation_energy
from mmkd3d.registry import MODELS
from tests.models.teachers.nets import (
    SIZE,
    PublishedClip,
    clip_maps,
    clip_resnet,
    clip_towers,
    mobilenet,
    small_cnn,
    varied_teacher,
    vit_maps,
)


def dino(**kwargs):
    """Like DINOv2 with registers: layer scale, class token first and without position."""
    return vit_maps(init_values=0.1, reg_tokens=4, no_embed_class=True, **kwargs)


ATTENTION = dict(
    vit=vit_maps,
    distilled=lambda **kw: vit_maps('deit_tiny_distilled_patch16_224', **kw),
    dino=dino,
    hybrid=lambda **kw: vit_maps('vit_tiny_r_s16_p8_224', img_size=(64, 96), **kw),
    all_norms=lambda **kw: vit_maps(qk_norm=True, scale_attn_norm=True, pre_norm=True, **kw),
)


def no_class_token(**kwargs):
    return vit_maps(class_token=False, global_pool='avg', reg_tokens=2, **kwargs)


# Networks without readable attention, and the reason.
OTHERS = dict(
    beit=(
        lambda **kw: vit_maps('beit_base_patch16_224', embed_dim=64, num_heads=4, **kw),
        'relative position biases',
    ),
    eva=(lambda **kw: vit_maps('eva02_tiny_patch14_224', img_size=28, **kw), 'EvaBlock'),
    registers=(no_class_token, 'no class token'),
    mixer=(lambda **kw: varied_teacher('TimmTeacher', 'mixer_s32_224', **kw), 'no class token'),
    cnn=(lambda **kw: varied_teacher('TimmTeacher', 'resnet10t', **kw), 'no class token'),
)
ALL = dict(ATTENTION, clip_vit=clip_maps, clip_resnet=clip_resnet)
ALL.update(mobilenet=mobilenet, small_cnn=small_cnn)
ALL.update({name: make for name, (make, _) in OTHERS.items()})


def images_of(teacher, batch=2):
    generator = torch.Generator().manual_seed(1)
    return torch.rand(batch, 3, *teacher.size, generator=generator)


def varied(saliency):
    """Return the saliency; check that it varies over positions."""
    assert (saliency.std((1, 2)) / saliency.mean((1, 2))).min() > 0.01
    return saliency


def check_global(teacher, images):
    """Check that dense outputs include the global feature of ``forward``."""
    exact, got = (f(images)['global'] for f in (teacher, teacher.forward_dense))
    assert got.shape == (2, teacher.global_dims) and not got.requires_grad
    torch.testing.assert_close(got, exact, rtol=1e-5, atol=1e-5)
    assert (exact[0] - exact[1]).norm() > 1e-3 * exact[0].norm()
    with torch.autocast('cpu', torch.bfloat16):
        got, half = (f(images)['global'] for f in (teacher.forward_dense, teacher))
    assert got.dtype == half.dtype
    assert (got - half).norm() < 2**-7 * half.norm()  # bf16 rounding


def test_maps_of_other_outputs_come_with_the_feature_of_the_whole_image():
    sizes = dict(img_size=SIZE, depth=2)
    for teacher in (
        varied_teacher('TimmTeacher', 'vit_tiny_patch16_224', pre_logits=True, model_kwargs=sizes),
        clip_maps(projection=True),
        clip_resnet(projection=True),
        clip_maps(saliency='activation'),
    ):
        check_global(teacher, images_of(teacher))


@pytest.mark.parametrize('make', ALL.values(), ids=ALL)
def test_maps_are_the_tokens_in_raster_order_of_one_pass(make):
    teacher = make()
    images = images_of(teacher)
    plain, passes = teacher(images), []
    first = next(m for m in teacher.net.modules() if isinstance(m, nn.Conv2d))
    first.register_forward_hook(lambda *_: passes.append(1))
    out = teacher.forward_dense(images)
    assert len(passes) == 1
    (h, w), dims = plain['grid_size'], teacher.dense_dims
    assert dims == teacher.embed_dims and not out['feats'].requires_grad
    assert out['feats'].shape == (2, dims, h, w) and out['saliency'].shape == (2, h, w)
    for row, column in ((0, w - 1), (h - 1, 0)):
        token = plain['tokens'][:, row * w + column]
        torch.testing.assert_close(out['feats'][:, :, row, column], token)
    assert varied(out['saliency']).min() >= 0
    assert out['saliency'].sum((1, 2)).max() <= 1 + 1e-6
    with torch.autocast('cpu', torch.bfloat16):
        low = teacher.forward_dense(images)
    for name in ('feats', 'saliency'):
        assert low[name].dtype == torch.float32
        error = (low[name] - out[name]).norm() / out[name].norm()
        assert 0 < error < 0.3
    check_global(teacher, images)


@pytest.mark.parametrize('make', ATTENTION.values(), ids=ATTENTION)
def test_saliency_is_the_attention_of_the_class_token(make):
    teacher = make()
    attn = teacher.net.blocks[-1].attn
    attn.fused_attn = False  # so that the attention passes through attn_drop
    seen = []
    attn.attn_drop.register_forward_hook(lambda _, x, y: seen.append(y))
    images = images_of(teacher)
    saliency = varied(teacher.forward_dense(images)['saliency'])
    h, w = teacher.grid_size
    expected = seen[0].mean(1)[:, 0, -h * w :]
    torch.testing.assert_close(saliency.flatten(1), expected)
    rest = seen[0].mean(1)[:, 0, : -h * w].sum(1)
    torch.testing.assert_close(saliency.sum((1, 2)), 1 - rest)


def energies(feature_map):
    """Activation energy by definition, position by position."""
    out = torch.zeros(len(feature_map), *feature_map.shape[2:])
    for b, row, column in torch.cartesian_prod(*map(torch.arange, out.shape)):
        out[b, row, column] = (feature_map[b, :, row, column] ** 2).mean()
    return out / out.flatten(1).sum(1).view(-1, 1, 1)


@pytest.mark.parametrize('make, reason', OTHERS.values(), ids=OTHERS)
def test_without_attention_saliency_is_the_energy(make, reason):
    teacher = make()
    images = images_of(teacher)
    saliency = teacher.forward_dense(images)['saliency']
    assert torch.equal(saliency, make(saliency='activation').forward_dense(images)['saliency'])
    if hasattr(teacher.net, 'norm'):
        teacher.net.norm = nn.Identity()
    feature_map = teacher.forward_dense(images)['feats']
    torch.testing.assert_close(saliency, energies(feature_map))
    with pytest.raises(ValueError, match=f"saliency='attention'.*{reason}"):
        make(saliency='attention')


@pytest.mark.parametrize(
    'make, normed',
    [
        (vit_maps, lambda teacher: teacher.net),
        (clip_maps, lambda teacher: teacher.tower.transformer),
        (clip_resnet, None),
    ],
)
def test_activations_can_be_asked_for_in_place_of_attention(make, normed):
    teacher = make(saliency='activation')
    images = images_of(teacher)
    saliency = varied(teacher.forward_dense(images)['saliency'])
    if normed:
        normed(teacher).norm = nn.Identity()
    feature_map = teacher.forward_dense(images)['feats']
    torch.testing.assert_close(saliency, energies(feature_map))


def test_energy_is_a_distribution_also_where_nothing_is_active():
    feature_map = torch.zeros(2, 5, 2, 3)
    feature_map[1, 2, 1, 0] = -1e4
    expected = torch.full((2, 2, 3), 1 / 6)
    expected[1] = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    for x in (feature_map, feature_map.half()):
        torch.testing.assert_close(activation_energy(x), expected)


def test_attention_of_clip_is_that_of_its_own_module():
    teacher = clip_maps(dict(ls_init_value=0.1))
    block, seen = teacher.net.transformer.resblocks[-1], []
    handle = block.ln_1.register_forward_hook(lambda _, x, y: seen.append(y))
    saliency = varied(teacher.forward_dense(images_of(teacher))['saliency'])
    handle.remove()
    _, weights = block.attn(seen[0], seen[0], seen[0], need_weights=True)
    torch.testing.assert_close(saliency.flatten(1), weights[:, 0, 1:])
    with pytest.raises(ValueError, match='CustomResidualAttentionBlock'):
        clip_maps(dict(block_type='custom', qk_norm=True))


def test_maps_of_clip_in_the_joint_space():
    plain, teacher = (clip_maps(projection=p) for p in (False, True))
    images = images_of(teacher)
    out, tokens = teacher.forward_dense(images), plain(images)['tokens']
    expected = (tokens @ teacher.net.proj).transpose(1, 2).view(2, 24, 2, 3)
    torch.testing.assert_close(out['feats'], expected)
    assert (plain.dense_dims, teacher.dense_dims) == (64, 24)
    assert torch.equal(out['saliency'], plain.forward_dense(images)['saliency'])


def pooled(pool, feature_map):
    """Output and attention of CLIP's attention pooling, by torch's module."""
    x = feature_map.flatten(2).permute(2, 0, 1)
    x = torch.cat([x.mean(0, keepdim=True), x])
    x = x + pool.positional_embedding[:, None]
    layers = (pool.q_proj, pool.k_proj, pool.v_proj)
    attention = nn.MultiheadAttention(x.shape[2], pool.num_heads)
    attention.in_proj_weight.data = torch.cat([layer.weight for layer in layers])
    attention.in_proj_bias.data = torch.cat([layer.bias for layer in layers])
    attention.out_proj = pool.c_proj
    out, weights = attention(x, x, x)
    return out[0], weights[:, 0, 1:]


def test_a_resnet_of_clip_is_a_teacher():
    teacher = clip_resnet()
    images = images_of(teacher)
    out, dense = teacher(images), teacher.forward_dense(images)
    with torch.no_grad():
        expected = teacher.net(teacher.prepare(images))
    torch.testing.assert_close(out['global'], expected)
    output, attention = pooled(teacher.net.attnpool, dense['feats'])
    torch.testing.assert_close(out['global'], output)
    torch.testing.assert_close(varied(dense['saliency']).flatten(1), attention)
    assert out['grid_size'] == (3, 3)
    assert (teacher.embed_dims, teacher.global_dims) == (256, 24)
    assert teacher.size == (96, 96) and teacher.net.attnpool.num_heads == 8
    with pytest.raises(ValueError, match='RN50-quickgelu is a ResNet.*ViT'):
        teacher.token_transformer()


def test_projected_pixels_of_a_resnet_lie_where_its_pool_leads():
    teacher = clip_resnet(projection=True)
    images, pool = images_of(teacher), teacher.net.attnpool
    feats = teacher.forward_dense(images)['feats']
    assert feats.shape == (2, 24, 3, 3) and teacher.dense_dims == 24
    raw = clip_resnet().forward_dense(images)['feats']
    for layer in (pool.v_proj, pool.c_proj):
        raw = F.conv2d(raw, layer.weight[..., None, None], layer.bias)
    torch.testing.assert_close(feats, raw)
    # a copy uses its own weights
    other = copy.deepcopy(teacher)
    other.net.attnpool.c_proj.weight.data.zero_()
    assert torch.equal(teacher.forward_dense(images)['feats'], feats)
    assert other.forward_dense(images)['feats'].std((0, 2, 3)).max() < 1e-6
    # For a constant map, the pooled output equals the projection of each pixel.
    pool.positional_embedding.data.zero_()
    flat = torch.randn(2, 256, 1, 1).expand(-1, -1, 3, 3)
    torch.testing.assert_close(teacher.tower.project(flat)[:, :, 1, 2], pool(flat))


@pytest.mark.parametrize('scripted', [False, True])
def test_a_resnet_is_read_from_a_file_of_both_towers(scripted, tmp_path):
    open_clip = pytest.importorskip('open_clip')
    sizes = clip_towers(dict(layers=(1, 1, 1, 1), width=8, image_size=32, head_width=32))
    model = open_clip.create_model('RN50-quickgelu', None, **sizes).eval()
    model.visual.bn1.running_mean += 1
    path = str(tmp_path / 'RN50.pt')
    if scripted:
        PublishedClip(model).save_archive(path)
    else:
        torch.save(model.state_dict(), path)
    cfg = dict(type='mmkd3d.OpenClipTeacher', model_name='RN50-quickgelu')
    teacher = MODELS.build(dict(cfg, checkpoint=path, model_kwargs=sizes))
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        expected = model.encode_image(teacher.prepare(images))
    torch.testing.assert_close(teacher(images)['global'], expected)
    assert type(teacher.net).__name__ == 'ModifiedResNet'  # No text tower.


@pytest.mark.parametrize('make', [mobilenet, clip_resnet])
def test_batch_norm_keeps_its_statistics_while_the_owner_trains(make):
    owner = nn.Module()
    owner.student, owner.teacher = nn.Linear(2, 2), make()
    net = owner.teacher.net
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    owner.train()
    assert norms and not any(norm.training for norm in norms)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    images = images_of(owner.teacher, 3)
    one, many = (owner.teacher.forward_dense(x) for x in (images[:1], images))
    torch.testing.assert_close(one['feats'], many['feats'][:1], rtol=1e-4, atol=1e-4)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert set(owner.state_dict()) == {'student.weight', 'student.bias'}


def test_hooks_are_gone_after_a_failure():
    teacher = vit_maps()
    with pytest.raises(RuntimeError):
        teacher.forward_dense_pixels(torch.rand(1, 4, *SIZE))
    assert not any(m._forward_pre_hooks for m in teacher.net.modules())


def test_bad_options_and_networks_are_refused():
    with pytest.raises(ValueError, match='auto, attention, activation, got'):
        vit_maps(saliency='gradient')
    with pytest.raises(ValueError, match=r'xcit.*\(1, 197, 128\)'):
        varied_teacher('TimmTeacher', 'xcit_nano_12_p16_224')
    with pytest.raises(NotImplementedError, match='cannot make maps'):
        BaseTeacher(nn.Linear(2, 2), 2).forward_dense(torch.rand(1, 3, 2, 2))


def test_cached_features_do_not_depend_on_the_saliency():
    cfg = dict(type='mmkd3d.TimmTeacher', model_name='resnet18')
    assert describe(cfg) == describe(dict(cfg, saliency='activation'))
    assert describe(cfg) != describe(dict(cfg, mean=(0.0, 0.0, 0.0)))
