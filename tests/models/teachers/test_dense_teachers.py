"""Maps of features and saliencies, against what the libraries compute."""

import copy

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F

from mmkd3d.models.targets.base import describe
from mmkd3d.models.teachers.base import BaseTeacher
from mmkd3d.models.teachers.saliency import activation_energy
from mmkd3d.registry import MODELS

SIZE = (32, 48)  # 2 rows, 3 columns of patches
TEXT_CFG = dict(context_length=8, vocab_size=16, width=16, heads=2, layers=1)


def build(kind, name, seed=0, **kwargs):
    """A teacher with weights that are large enough for places to differ."""
    kwargs = dict(dict(random_weights=True), **kwargs)
    teacher = MODELS.build(dict(dict(type=f'mmkd3d.{kind}', model_name=name), **kwargs))
    generator = torch.Generator().manual_seed(seed)
    for name, p in teacher.net.named_parameters():
        if p.ndim > 1:
            fan = p[0].numel() if p.ndim > 2 or 'embed' not in name else 1
            p.data = torch.randn(p.shape, generator=generator) / fan**0.5
        else:
            p.data = p + 0.3 * torch.randn(p.shape, generator=generator)
    return teacher


def timm_vit(name='vit_tiny_patch16_224', saliency='auto', **kwargs):
    return build(
        'TimmTeacher', name, saliency=saliency, model_kwargs=dict(img_size=SIZE, depth=2) | kwargs
    )


def clip(vision_cfg, name, **kwargs):
    pytest.importorskip('open_clip')
    return build(
        'OpenClipTeacher',
        name,
        model_kwargs=dict(embed_dim=24, vision_cfg=vision_cfg, text_cfg=TEXT_CFG),
        **kwargs,
    )


def clip_vit(tower=(), **kwargs):
    return clip(
        dict(
            dict(image_size=list(SIZE), patch_size=16, width=64, layers=2, head_width=16),
            **dict(tower),
        ),
        'ViT-B-16-quickgelu',
        **kwargs,
    )


def clip_resnet(**kwargs):
    return clip(
        dict(layers=(1, 1, 1, 1), width=8, image_size=96, head_width=32), 'RN50-quickgelu', **kwargs
    )


def small_cnn(name='resnet18', **kwargs):
    return build(
        'TimmTeacher',
        name,
        model_kwargs=dict(pretrained_cfg_overlay=dict(input_size=(3, 64, 96)), **kwargs),
    )


def mobilenet():
    return small_cnn('mobilenetv2_100', pad_type='same')


def dino(**kwargs):
    """As DINOv2 with registers: layer scale, a plain class token first."""
    return timm_vit(init_values=0.1, reg_tokens=4, no_embed_class=True, **kwargs)


ATTENTION = dict(
    vit=timm_vit,
    distilled=lambda **kw: timm_vit('deit_tiny_distilled_patch16_224', **kw),
    dino=dino,
    hybrid=lambda **kw: timm_vit('vit_tiny_r_s16_p8_224', img_size=(64, 96), **kw),
    all_norms=lambda **kw: timm_vit(qk_norm=True, scale_attn_norm=True, pre_norm=True, **kw),
)

# Networks with no attention that could be read, and why.
OTHERS = dict(
    beit=(
        lambda **kw: timm_vit('beit_base_patch16_224', embed_dim=64, num_heads=4, **kw),
        'relative position biases',
    ),
    eva=(lambda **kw: timm_vit('eva02_tiny_patch14_224', img_size=28, **kw), 'EvaBlock'),
    registers=(
        lambda **kw: timm_vit(class_token=False, global_pool='avg', reg_tokens=2, **kw),
        'no class token',
    ),
    mixer=(lambda **kw: build('TimmTeacher', 'mixer_s32_224', **kw), 'no class token'),
    cnn=(lambda **kw: build('TimmTeacher', 'resnet10t', **kw), 'no class token'),
)

ALL = dict(
    dict(
        ATTENTION,
        clip_vit=clip_vit,
        clip_resnet=clip_resnet,
        mobilenet=mobilenet,
        small_cnn=small_cnn,
    ),
    **{name: make for name, (make, _) in OTHERS.items()},
)


def images_of(teacher, batch=2):
    generator = torch.Generator().manual_seed(1)
    return torch.rand(batch, 3, *teacher.size, generator=generator)


def varied(saliency):
    """The saliency, if it tells places apart."""
    assert (saliency.std((1, 2)) / saliency.mean((1, 2))).min() > 0.01
    return saliency


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
    assert out['feats'].shape == (2, dims, h, w)
    assert out['saliency'].shape == (2, h, w)
    assert dims == teacher.embed_dims
    for row, column in ((0, w - 1), (h - 1, 0)):
        torch.testing.assert_close(
            out['feats'][:, :, row, column], plain['tokens'][:, row * w + column]
        )
    assert not out['feats'].requires_grad
    assert varied(out['saliency']).min() >= 0
    assert out['saliency'].sum((1, 2)).max() <= 1 + 1e-6
    with torch.autocast('cpu', torch.bfloat16):
        low = teacher.forward_dense(images)
    for name in ('feats', 'saliency'):
        assert low[name].dtype == torch.float32
        error = (low[name] - out[name]).norm() / out[name].norm()
        assert 0 < error < 0.3


@pytest.mark.parametrize('make', ATTENTION.values(), ids=ATTENTION)
def test_saliency_is_the_attention_of_the_class_token(make):
    teacher = make()
    attn = teacher.net.blocks[-1].attn
    attn.fused_attn = False  # then all of it passes attn_drop
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
    """The definition, place by place."""
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
        (timm_vit, lambda teacher: teacher.net),
        (clip_vit, lambda teacher: teacher.tower.transformer),
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
    torch.testing.assert_close(activation_energy(feature_map), expected)
    half = activation_energy(feature_map.half())
    torch.testing.assert_close(half, expected)


def test_attention_of_clip_is_that_of_its_own_module():
    teacher = clip_vit(dict(ls_init_value=0.1))
    block, seen = teacher.net.transformer.resblocks[-1], []
    handle = block.ln_1.register_forward_hook(lambda _, x, y: seen.append(y))
    images = images_of(teacher)
    saliency = varied(teacher.forward_dense(images)['saliency'])
    handle.remove()
    _, weights = block.attn(seen[0], seen[0], seen[0], need_weights=True)
    torch.testing.assert_close(saliency.flatten(1), weights[:, 0, 1:])


def test_maps_of_clip_in_the_joint_space():
    plain, teacher = (clip_vit(projection=p) for p in (False, True))
    images = images_of(teacher)
    out, tokens = teacher.forward_dense(images), plain(images)['tokens']
    expected = (tokens @ teacher.net.proj).transpose(1, 2).view(2, 24, 2, 3)
    torch.testing.assert_close(out['feats'], expected)
    assert (plain.dense_dims, teacher.dense_dims) == (64, 24)
    assert torch.equal(out['saliency'], plain.forward_dense(images)['saliency'])


def test_clip_with_another_attention_is_not_known():
    with pytest.raises(ValueError, match='CustomResidualAttentionBlock'):
        clip_vit(dict(block_type='custom', qk_norm=True))


def pooled(pool, feature_map):
    """Output and attention of CLIP's pool, by torch's own function."""
    x = feature_map.flatten(2).permute(2, 0, 1)
    x = torch.cat([x.mean(0, keepdim=True), x])
    x = x + pool.positional_embedding[:, None]
    layers = (pool.q_proj, pool.k_proj, pool.v_proj)
    out, weights = F.multi_head_attention_forward(
        x,
        x,
        x,
        x.shape[2],
        pool.num_heads,
        None,
        torch.cat([layer.bias for layer in layers]),
        None,
        None,
        False,
        0.0,
        pool.c_proj.weight,
        pool.c_proj.bias,
        training=False,
        need_weights=True,
        use_separate_proj_weight=True,
        **{f'{n}_proj_weight': x.weight for n, x in zip('qkv', layers)},
    )
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
    # Of a map of one value the pool gives what each of its pixels gives.
    pool.positional_embedding.data.zero_()
    flat = torch.randn(2, 256, 1, 1).expand(-1, -1, 3, 3)
    torch.testing.assert_close(teacher.tower.project(flat)[:, :, 1, 2], pool(flat))


@pytest.mark.parametrize('scripted', [False, True])
def test_a_resnet_is_read_from_a_file_of_both_towers(scripted, tmp_path):
    open_clip = pytest.importorskip('open_clip')
    tower = dict(layers=(1, 1, 1, 1), width=8, image_size=32, head_width=32)
    sizes = dict(embed_dim=24, vision_cfg=tower, text_cfg=TEXT_CFG)
    model = open_clip.create_model('RN50-quickgelu', None, **sizes).eval()
    model.visual.bn1.running_mean += 1
    path = str(tmp_path / 'RN50.pt')
    if scripted:

        class Published(nn.Module):  # As OpenAI's: with three more entries.
            def __init__(self):
                super().__init__()
                self.__dict__['_modules'] = model._modules
                self.__dict__['_parameters'] = model._parameters
                for name in ('input_resolution', 'context_length', 'vocab_size'):
                    self.register_buffer(name, torch.tensor(1))

            def forward(self, x):
                return x

        torch.jit.trace(Published(), torch.ones(1)).save(path)
    else:
        torch.save(model.state_dict(), path)
    teacher = MODELS.build(
        dict(
            type='mmkd3d.OpenClipTeacher',
            model_name='RN50-quickgelu',
            checkpoint=path,
            model_kwargs=sizes,
        )
    )
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


def test_a_copy_reads_its_own_weights():
    teacher = clip_resnet(projection=True)
    images = images_of(teacher)
    expected = teacher.forward_dense(images)
    other = copy.deepcopy(teacher)
    other.net.attnpool.c_proj.weight.data.zero_()
    assert torch.equal(teacher.forward_dense(images)['feats'], expected['feats'])
    assert other.forward_dense(images)['feats'].std((0, 2, 3)).max() < 1e-6


def test_hooks_are_gone_after_a_failure():
    teacher = timm_vit()
    with pytest.raises(RuntimeError):
        teacher.forward_dense_pixels(torch.rand(1, 4, *SIZE))
    assert not any(m._forward_pre_hooks for m in teacher.net.modules())


def test_bad_options_and_networks_are_refused():
    with pytest.raises(ValueError, match='auto, attention, activation, got'):
        timm_vit(saliency='gradient')
    with pytest.raises(ValueError, match=r'xcit.*\(1, 197, 128\)'):
        MODELS.build(
            dict(type='mmkd3d.TimmTeacher', model_name='xcit_nano_12_p16_224', random_weights=True)
        )
    with pytest.raises(NotImplementedError, match='can not make maps'):
        BaseTeacher(nn.Linear(2, 2), 2).forward_dense(torch.rand(1, 3, 2, 2))


def test_cached_features_do_not_depend_on_the_saliency():
    cfg = dict(type='mmkd3d.TimmTeacher', model_name='resnet18')
    assert describe(cfg) == describe(dict(cfg, saliency='activation'))
    assert describe(cfg) != describe(dict(cfg, mean=(0.0, 0.0, 0.0)))
