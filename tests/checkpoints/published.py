"""Small state dicts with the keys and shape patterns of published files.

They follow the published layouts (``spec/act.md``, section 10,
``spec/recon.md``, section 9, ``spec/i2p_mae.md``, section 13, and
``spec/detection.md``, sections 1.8 and 8.1), independently of the key maps
under test.
"""

import torch

from tests.checkpoints import published_m2ae, published_three_detr
from tests.checkpoints.layers import (
    batch_norm,
    block,
    classifier_head,
    linear,
    norm,
    patch_embed,
    pos_embed,
    under,
)


def student(C: int = 6, *, with_class: bool = True) -> dict:
    state = dict(cls_token=torch.randn(1, 1, C), cls_pos=torch.randn(1, 1, C))
    if not with_class:
        state = {}
    state |= under('encoder.', patch_embed(C)) | pos_embed('pos_embed', C)
    for i in range(2):
        state |= under(f'blocks.blocks.{i}.', block(C))
    return state | norm('norm', C)


def recon_block(C: int) -> dict:
    state = block(C) | norm('norm1_contrast', C) | norm('norm2_contrast', C)
    for name, rows in (('q', C), ('kv', 2 * C)):
        state |= linear(f'attn_contrast.{name}', rows, C, bias=False)
    state |= linear('attn_contrast.proj', C, C)
    state |= linear('mlp_contrast.fc1', 4 * C, C)
    return state | linear('mlp_contrast.fc2', C, 4 * C)


def recon_student(C: int = 6) -> dict:
    state = student(C) | {
        f'{name}_{kind}': torch.randn(1, 1, C)
        for name in ('img', 'text')
        for kind in ('token', 'pos')
    }
    for i in range(2):
        state |= under(f'blocks.blocks.{i}.', recon_block(C))
    return state


def recon_projections(C: int) -> dict:
    return linear('text_proj', 5, C) | linear('img_proj', 7, C)


def recon_decoder(C: int) -> dict:
    state = dict(mask_token=torch.randn(1, 1, C))
    state |= pos_embed('decoder_pos_embed', C)
    state |= under('MAE_decoder.blocks.0.', block(C))
    state |= norm('MAE_decoder.norm', C)
    return state | linear('increase_dim.0', 24, C, 1) | recon_projections(C)


def clip_text(C: int = 4) -> dict:
    state = dict(positional_embedding=torch.randn(7, C), text_projection=torch.randn(C, C))
    state['token_embedding.weight'] = torch.randn(9, C)
    state |= norm('transformer.resblocks.0.ln_1', C)
    return under('text_encoder.', state | norm('ln_final', C))


def clip_image(C: int = 4) -> dict:
    """CLIP's image encoder. Its class token is a vector, unlike timm's."""
    state = dict(cls_token=torch.randn(C), pos_embed=torch.randn(5, C), proj=torch.randn(C, 3))
    state['conv1.weight'] = torch.randn(C, 3, 2, 2)
    for name in ('ln_pre', 'blocks.0.ln_1', 'ln_post'):
        state |= norm(name, C)
    return under('img_encoder.', state)


def in21k_image(C: int = 4) -> dict:
    state = dict(cls_token=torch.randn(1, 1, C), pos_embed=torch.randn(1, 5, C))
    state['patch_embed.proj.weight'] = torch.randn(C, 3, 2, 2)
    state |= norm('blocks.0.norm1', C) | norm('norm', C)
    return under('img_encoder.', state | linear('pre_logits.fc', C, C))


def recon(C: int = 6) -> dict:
    """Pretraining checkpoint, with the class token's contrastive loss and the teachers."""
    return recon_alone(C) | in21k_image() | clip_text()


def recon_clip(C: int = 6) -> dict:
    """Checkpoint of the zero-shot run, whose image teacher is CLIP."""
    return recon_alone(C) | clip_image() | clip_text()


def recon_alone(C: int) -> dict:
    state = under('MAE_encoder.', recon_student(C)) | recon_decoder(C)
    for i in (0, 3):
        state |= linear(f'cls_proj.{i}', 8, C if i == 0 else 8)
        state |= batch_norm(f'cls_proj.{i + 1}', 8)
    return state


def contrast_tower(C: int) -> dict:
    return {k: v for k, v in recon_student(C).items() if 'contrast' not in k and 'cls' not in k}


def recon_twotower(C: int = 6) -> dict:
    state = under('MAE_encoder.', student(C, with_class=False))
    state |= under('Dis_encoder.', contrast_tower(C))
    return state | recon_decoder(C) | clip_image() | clip_text()


def recon_twotower_classifier(C: int = 6) -> dict:
    return student(C) | under('Dis_encoder.', contrast_tower(C)) | classifier_head(2 * C)


def dgcnn(C: int, out: int) -> dict:
    state = linear('input_trans', 4, C, 1)
    for i in (1, 2, 3, 4):
        state |= linear(f'layer{i}.0', 4, 8, 1, 1, bias=False)
        state |= norm(f'layer{i}.1', 4)
    return state | linear('layer5.0', out, 16, 1, bias=False) | norm('layer5.1', out)


def vit(W: int) -> dict:
    state = {}
    for i in range(2):
        state |= under(f'visual_embed.0.{i}.', block(W))
        state[f'visual_embed.0.{i}.attn.qkv.bias'] = torch.randn(3 * W)
    return state | norm('visual_embed.1', W)


def clip(W: int) -> dict:
    state = norm('visual_embed.0', W)
    for i in range(2):
        start = f'visual_embed.1.{i}.'
        state[f'{start}attn.in_proj_weight'] = torch.randn(3 * W, W)
        state[f'{start}attn.in_proj_bias'] = torch.randn(3 * W)
        state |= under(
            start,
            linear('attn.out_proj', W, W)
            | norm('ln_1', W)
            | linear('mlp.c_fc', 4 * W, W)
            | linear('mlp.c_proj', W, 4 * W)
            | norm('ln_2', W),
        )
    return state | norm('visual_embed.2', W)


def bert(W: int) -> dict:
    state = {}
    for i in range(2):
        start = f'visual_embed.0.layer.{i}.'
        for name in ('query', 'key', 'value'):
            state |= linear(f'{start}attention.self.{name}', W, W)
        state |= under(
            start,
            linear('attention.output.dense', W, W)
            | norm('attention.output.LayerNorm', W)
            | linear('intermediate.dense', 4 * W, W)
            | linear('output.dense', W, 4 * W)
            | norm('output.LayerNorm', W),
        )
    return state


def autoencoder(frozen=None, C: int = 6, W: int = 8) -> dict:
    """Stage I checkpoint with a frozen ViT, CLIP, BERT or no transformer."""
    state = dict(codebook=torch.randn(12, C))
    if frozen is not None:
        for name, rows in (('visual_prompt_{}', 1), ('deep_prompt_{}', 2)):
            for kind in ('token' if rows == 1 else 'tokens', 'pos'):
                state[name.format(kind)] = torch.randn(rows, 5, W)
    state |= under('encoder.', patch_embed(C))
    state |= under('dgcnn_1.', dgcnn(C, 12)) | under('dgcnn_2.', dgcnn(C, C))
    for i, (out, width) in {0: (9, C), 2: (9, 9), 4: (24, 9)}.items():
        state |= linear(f'decoder.mlp.{i}', out, width)
    for i, (out, width) in {0: (9, C + 5), 3: (9, 9), 6: (3, 9)}.items():
        state |= linear(f'decoder.final_conv.{i}', out, width, 1)
        state |= batch_norm(f'decoder.final_conv.{i + 1}', 9) if i < 6 else {}
    if frozen is not None:
        state |= frozen(W) | linear('proj_pre', W, C)
        state |= pos_embed('visual_pos_embed', W) | linear('proj_post', C, W)
    return state


def pretraining(teacher: dict, C: int = 6) -> dict:
    """Stage II checkpoint with the global branch's position, and a teacher."""
    state = dict(cls_pos=torch.randn(1, 1, C), mask_token=torch.randn(1, 1, C))
    state |= under('ACT_encoder.', student(C))
    state |= linear('ACT_encoder.lm_head', 12, C)
    state |= linear('ACT_encoder.cls_head.0', 5, C)
    state |= linear('ACT_encoder.cls_head.2', 5, 5)
    state |= under('dvae_tokenizer.', teacher) | linear('proj_head', C, C)
    state |= pos_embed('decoder_pos_embed', C)
    state |= under('ACT_decoder.blocks.0.', block(C))
    return state | norm('ACT_decoder.norm', C)


def point_mae(C: int = 6) -> dict:
    state = under('MAE_encoder.', student(C))
    state |= dict(mask_token=torch.randn(1, 1, C))
    state |= pos_embed('decoder_pos_embed', C)
    state |= under('MAE_decoder.blocks.0.', block(C))
    return state | norm('MAE_decoder.norm', C) | linear('increase_dim.0', 24, C, 1)


def classifier(C: int = 6) -> dict:
    """Finetuned classifier with side tuning."""
    state = student(C) | classifier_head(2 * C)
    state |= under('side.', patch_embed(C))
    state |= linear('side_projection', C, C, bias=False)
    return state | dict(side_alpha=torch.tensor(0.0))


def segmentor(suffix: str, *, has_label: bool, C: int = 6) -> dict:
    return student(C, with_class=False) | segmentor_head(suffix, has_label=has_label, C=C)


def segmentor_head(suffix: str, *, has_label: bool, C: int) -> dict:
    state = {}
    if has_label:
        state |= linear(f'label_conv{suffix}.0', 4, 16, 1, bias=False)
        state |= batch_norm(f'label_conv{suffix}.1', 4)
    for i, (out, width) in enumerate([(10, 3 * C + 3), (8, 10)]):
        start = f'propagation_0{suffix}.'
        state |= linear(f'{start}mlp_convs.{i}', out, width, 1)
        state |= batch_norm(f'{start}mlp_bns.{i}', out)
    for i, (out, width) in enumerate([(7, 40), (6, 7), (5, 6)], start=1):
        state |= linear(f'convs{i}{suffix}', out, width, 1)
        state |= batch_norm(f'bns{i}{suffix}', out) if i < 3 else {}
    return state


def small_files() -> dict[str, dict]:
    """One file per source."""
    return dict(
        point_mae=point_mae(),
        act_autoencoder=autoencoder(vit),
        act_autoencoder_clip=autoencoder(clip),
        act_autoencoder_bert=autoencoder(bert),
        act_autoencoder_plain=autoencoder(),
        act=pretraining(autoencoder(vit)),
        act_clip=pretraining(autoencoder(clip)),
        act_bert=pretraining(autoencoder(bert)),
        act_plain=pretraining(autoencoder()),
        act_student=pretraining({}),
        point_classifier=classifier(),
        act_semseg=segmentor('_cls', has_label=False),
        act_partseg=segmentor('_cls', has_label=True),
        act_semseg_old=segmentor('', has_label=False),
        act_partseg_old=segmentor('', has_label=True),
        recon=recon(),
        recon_clip=recon_clip(),
        recon_twotower=recon_twotower(),
        recon_student=recon_student(),
        recon_zeroshot=recon_student() | recon_projections(6) | clip_image() | clip_text(),
        recon_classifier=recon_student() | classifier_head(12),
        recon_twotower_classifier=recon_twotower_classifier(),
        recon_partseg=recon_student() | segmentor_head('', has_label=True, C=6),
        **published_m2ae.small_files(),
        **published_three_detr.small_files(),
    )


with torch.random.fork_rng(devices=[]):
    torch.manual_seed(0)
    PUBLISHED = small_files()
