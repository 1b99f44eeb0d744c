"""Small teachers and transformers of all families, with random weights."""

import pytest
import torch
from timm.models.mlp_mixer import Affine, MlpMixer, ResBlock

from mmkd3d.models.teachers.base import BaseTeacher
from mmkd3d.models.teachers.token_transformer import TokenTransformer
from mmkd3d.registry import MODELS

VIT = dict(
    type='mmkd3d.TimmTeacher',
    model_name='vit_tiny_patch16_224',
    random_weights=True,
    model_kwargs=dict(img_size=32, depth=2),
)
TINY = dict(depth=1, embed_dim=24, num_heads=2)
TOWER = dict(image_size=32, patch_size=16, width=64, layers=2, head_width=16)
TEXT_TOWER = dict(context_length=8, vocab_size=16, width=16, heads=2, layers=1)
CLIP = dict(
    type='mmkd3d.OpenClipTeacher',
    model_name='ViT-B-16-quickgelu',
    random_weights=True,
    model_kwargs=dict(vision_cfg=TOWER, text_cfg=TEXT_TOWER),
)


def build_timm(name, **kwargs):
    return MODELS.build(dict(VIT, model_name=name, model_kwargs=VIT['model_kwargs'] | kwargs))


def build_clip(**kwargs):
    pytest.importorskip('open_clip')
    return MODELS.build(dict(CLIP, **kwargs))


# Transformers for prompting.
def vit():
    return build_timm('vit_tiny_patch16_224')


def deit_distilled():
    return build_timm('deit_tiny_distilled_patch16_224')


def hybrid():
    return build_timm('vit_tiny_r_s16_p8_224')


def vit_with_everything():
    """Layer scale as in DINOv2, and all optional norms of a block."""
    norms = dict(qk_norm=True, scale_attn_norm=True, scale_mlp_norm=True, pre_norm=True)
    return build_timm('vit_tiny_patch16_224', init_values=1e-5, **norms)


def beit(**kwargs):
    return build_timm('beit_base_patch16_224', embed_dim=64, num_heads=4, **kwargs)


def beit_without_gammas():
    return beit(init_values=0.0, qkv_bias=False)


def mixer(**kwargs):
    """Mixer built directly: the sizes of timm's named mixers are fixed."""
    return MlpMixer(num_blocks=2, embed_dim=64, num_classes=0, **kwargs)


def resmlp():
    return mixer(block_layer=ResBlock, norm_layer=Affine, mlp_ratio=4)


def clip():
    tower = dict(TOWER, ls_init_value=1e-5)
    return build_clip(model_kwargs=dict(vision_cfg=tower, text_cfg=TEXT_TOWER))


def language(kind):
    """Language model with random weights; teachers need a file to build one."""
    transformers = pytest.importorskip('transformers')
    sizes = dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96)
    config = getattr(transformers, f'{kind}Config')(vocab_size=16, **sizes)
    return getattr(transformers, f'{kind}Model')(config)


def bert():
    return language('Bert')


def roberta():
    return language('Roberta')


MIXERS = (mixer, resmlp)
ATTENTION = (vit, deit_distilled, hybrid, vit_with_everything, beit, beit_without_gammas, clip)
ATTENTION += (bert, roberta)


def randomized(build):
    """Transformer of a family with random weights, none at a neutral value."""
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


class Lender(BaseTeacher):
    """Teacher with a small random transformer of a given family."""

    def __init__(self, build, shift=0.0):
        net = randomized(build)
        for p in net.parameters():
            p.data += shift
        super().__init__(net, net.embed_dims)

    def token_transformer(self):
        return self.net


def lent(build) -> dict:
    """Config of a small transformer of a given family with 4 prompts (mixer: 180)."""
    num_prompts = 196 - 16 if build is mixer else 4
    return dict(num_prompts=num_prompts, teacher=dict(type=Lender, build=build))


# Dense teachers with weights large enough for positions to differ.
SIZE = (32, 48)  # 2 rows, 3 columns of patches


def varied_teacher(kind, name, seed=0, **kwargs):
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


def vit_maps(name='vit_tiny_patch16_224', saliency='auto', **kwargs):
    kwargs = dict(img_size=SIZE, depth=2) | kwargs
    return varied_teacher('TimmTeacher', name, saliency=saliency, model_kwargs=kwargs)


def clip_towers(vision_cfg):
    return dict(embed_dim=24, vision_cfg=vision_cfg, text_cfg=TEXT_TOWER)


def clip_maps(tower=(), **kwargs):
    pytest.importorskip('open_clip')
    sizes = clip_towers(dict(TOWER, image_size=list(SIZE), **dict(tower)))
    return varied_teacher('OpenClipTeacher', 'ViT-B-16-quickgelu', model_kwargs=sizes, **kwargs)


def clip_resnet(**kwargs):
    pytest.importorskip('open_clip')
    sizes = clip_towers(dict(layers=(1, 1, 1, 1), width=8, image_size=96, head_width=32))
    return varied_teacher('OpenClipTeacher', 'RN50-quickgelu', model_kwargs=sizes, **kwargs)


def small_cnn(name='resnet18', **kwargs):
    sizes = dict(pretrained_cfg_overlay=dict(input_size=(3, 64, 96)), **kwargs)
    return varied_teacher('TimmTeacher', name, model_kwargs=sizes)


def mobilenet():
    return small_cnn('mobilenetv2_100', pad_type='same')


class PublishedClip(torch.nn.Module):
    """CLIP model for tracing, with the three extra entries of OpenAI's archives."""

    def __init__(self, model):
        super().__init__()
        self.__dict__['_modules'] = model._modules
        self.__dict__['_parameters'] = model._parameters
        for name in ('input_resolution', 'context_length', 'vocab_size'):
            self.register_buffer(name, torch.tensor(1))

    def forward(self, x):
        return x

    def save_archive(self, path):
        torch.jit.trace(self, torch.ones(1)).save(str(path))
